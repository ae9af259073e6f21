"""Golden files as pytest nodes: an item a case, an item a suite metric. An item only reports."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast
from unittest import SkipTest

import pytest

# Reports travel between xdist's processes in these classes, and JUnit and the summary read them; no
# public function makes them of a text.
from _pytest._code.code import ExceptionChainRepr, ReprEntryNative, ReprFileLocation, ReprTraceback
from _pytest.fixtures import TopRequest
from _pytest.outcomes import Failed  # what `pytest.fail` raises

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import AppError, LLMOpsError, describe_error
from pytest_llmops.evaluation.conclusion import find_status, red_verdicts
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.golden.identity import file_of
from pytest_llmops.hookspecs import Measurement
from pytest_llmops.plugin.distribution import is_worker
from pytest_llmops.plugin.loops import use_loop_of_tests
from pytest_llmops.plugin.reported import OUTCOME, GoldenWarning
from pytest_llmops.plugin.session import app_fixtures, watch_end
from pytest_llmops.printable import printable, printable_lines
from pytest_llmops.protocols import App
from pytest_llmops.recorder.patches import Change, Patches
from pytest_llmops.records import Case, CaseResult, Golden, Verdict
from pytest_llmops.reports.terminal import (
    TracebackStyle,
    find_traceback,
    render_case,
    render_suite,
    summarize,
)
from pytest_llmops.runner.app.descriptors import note_streams
from pytest_llmops.runner.app.printed import Channel, collect_outside, current, keep_outside
from pytest_llmops.runner.app.process_end import describe, noting
from pytest_llmops.runner.app.routing import CaseLog, listening, routed
from pytest_llmops.runner.app.tracebacks import describe_traceback, find_crash, shorten
from pytest_llmops.runner.cases.case_runner import NotBegunError
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.settings import Settings

REFUSED = "llm_refused"
MUTATION = "mutation"
MEASURED = "llm_measured"
_ERROR = 1_200
_SHOWING = (
    "collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test", "markers", "help",
    "cacheshow",
)  # fmt: skip
_STYLES: dict[str, TracebackStyle] = {"short": "short", "line": "no", "no": "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """
    The cause of an item that is not good.

    Attributes:
        text: In full, for the section of the item and for JUnit.
        summary: On one line.
        path: Where to fix it, with `line`: where the app raised, else where the check is written.
    """

    text: str
    summary: str
    path: str
    line: int


class NotGoodError(Failed):
    """Ends an item that is not good, with the traceback of the app's exception, for a debugger."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text, pytrace=False)
        self.reason = reason


Measure = Callable[[Golden, App | None, Settings], Measurement]


class GoldenFile(pytest.File):
    """
    A golden file; its problems were reported before collection began.

    Attributes:
        measure: Measures it after its cases, as `--llm-mutate` asks for; None without the flag.
        measured: What came of it, once for all items.
    """

    evaluation: Evaluation
    golden: Golden
    tasks: dict[str, Task]
    measure: Measure | None = None
    measured: Measurement | None = None

    @classmethod
    def of(
        cls,
        parent: pytest.Collector,
        *,
        path: Path,
        evaluation: Evaluation,
        golden: Golden,
        measure: Measure | None = None,
    ) -> GoldenFile:
        file: GoldenFile = cls.from_parent(parent, path=path)
        file.evaluation, file.golden, file.measure = evaluation, golden, measure
        file.tasks = {task.case.id: task for task in evaluation.plan(golden)}
        return file

    def collect(self) -> Iterable[pytest.Item]:
        skipped = [
            case for id_, case in self.evaluation.source.skipped.items() if file_of(id_) == self.golden.path
        ]
        cases = [*(task.case for task in self.tasks.values()), *skipped]
        if skipped:  # in the order of the file
            cases.sort(key=lambda case: case.source.line if case.source else 0)
        for case in cases:
            if case.id in self.tasks:
                yield CaseItem.of(self, name=case.id, task=self.tasks[case.id])
            else:
                yield SkippedItem.of(self, case=case)
        if self.evaluation.settings.shard is None:  # else with all shards: llmops judge
            for metric in dict.fromkeys(check.metric for check in self.golden.suite):
                yield SuiteItem.of(self, metric=metric)
        if self.measure is not None:
            for bound in ("", *self.golden.measures.get(MUTATION, {})):
                yield MutationItem.of(self, bound=bound)


class GoldenItem(pytest.Item):
    """A case or a suite check: starts the file's cases, waits, judges and reports."""

    parent: GoldenFile
    verdicts: tuple[Verdict, ...] = ()
    _fixture_request: pytest.FixtureRequest | None = None

    def setup(self) -> None:
        file = self.parent
        if only_shows(self.config):
            return
        if refused := file.evaluation.refused:
            self.user_properties.append((REFUSED, refused))
            raise pytest.fail.Exception(refused, pytrace=False)
        try:
            if file.evaluation.needs_main_thread():
                use_loop_of_tests(self._request())
            file.evaluation.start(file.golden, self._app())
            with _keeping_captured(self):
                self.verdicts = self.judge(file.evaluation)
        except NotBegunError as error:
            pytest.skip(str(error))
        except LLMOpsError as error:
            self.user_properties.append((OUTCOME, "error"))
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        except BaseException:  # pytest's own way to fail is no `Exception`
            self.user_properties.append((OUTCOME, "error"))
            raise
        self.user_properties.append((OUTCOME, find_status(self.verdicts, file.evaluation.settings)))
        if any(verdict.outcome == "error" for verdict in self.verdicts):
            self.fail()

    def runtest(self) -> None:
        settings = self.parent.evaluation.settings
        if red_verdicts(self.verdicts, settings):
            self.fail()
        undecided = [verdict for verdict in self.verdicts if verdict.outcome == "undecided"]
        known = [verdict for verdict in self.verdicts if verdict.known]
        if undecided and settings.undecided == "warn":
            advice = "; ".join(
                f"{verdict.check}: {verdict.advice or verdict.reason}" for verdict in undecided
            )
            try:
                self.warn(GoldenWarning(f"undecided: {advice}"))
            except GoldenWarning:  # the project's filterwarnings make errors of warnings
                self.fail()
        expected = [verdict for verdict in self.verdicts if verdict.xfail]
        if any(verdict.outcome != "passed" for verdict in expected):
            pytest.xfail(expected[0].xfail)
        if known and settings.known_failures == "warn":
            pytest.xfail("known: " + "; ".join(f"{verdict.check}: {verdict.advice}" for verdict in known))

    def passed_unexpectedly(self) -> str:
        """Return why it was expected to fail; empty where it did, or was not."""
        reasons = [verdict.xfail for verdict in self.verdicts]
        return reasons[0] if reasons and all(reasons) and self.is_good() else ""

    def is_good(self) -> bool:
        return all(verdict.outcome == "passed" for verdict in self.verdicts)

    def fail(self) -> NoReturn:
        """End the item with the reason; in a debugger where the app raised."""
        raised = self.raised()
        raise NotGoodError(self.reason()).with_traceback(raised.__traceback__ if raised else None)

    def judge(self, evaluation: Evaluation) -> tuple[Verdict, ...]:
        raise NotImplementedError

    def render(self) -> str:
        raise NotImplementedError

    def reason(self) -> Reason:
        """Return why it is not good, in full and on one line."""
        path, line, _ = self.location
        line = 1 if line is None else line + 1
        return Reason(text=self.render(), summary=summarize(self.verdicts), path=path, line=line)

    def raised(self) -> BaseException | None:
        """The exception of the app, for a debugger."""
        return None

    def _app(self) -> Any:
        """The value of the fixture `llm_app`, where a conftest overrides it."""
        if not overrides_app(self):
            return None
        scope = app_fixtures(self)[-1].scope
        if scope != "session":
            raise AppError(
                f"the fixture llm_app has the scope {scope}; cases run ahead of their items, so it must be "
                '@pytest.fixture(scope="session")'
            )
        request = self._request()
        with noting() as ended, collect_outside():  # processes that it starts print for the run
            try:
                app = request.getfixturevalue("llm_app")
            except pytest.FixtureLookupError as raised:
                raise AppError(
                    f"the fixture llm_app needs {raised.argname}, which is no fixture here"
                ) from None
            except (pytest.skip.Exception, pytest.xfail.Exception, SkipTest, SystemExit) as raised:
                raise AppError(
                    f"the fixture llm_app raised {describe_error(raised)}; without an app a case is an error "
                    "and never skipped: choose cases by -k or -m"
                ) from None
        watch_end(self)
        if ended:
            raise AppError(describe(ended))
        return app

    def _request(self) -> pytest.FixtureRequest:
        """Return the request for fixtures, as doctest items make theirs; there is no public way."""
        if self._fixture_request is None:
            self.funcargs: dict[str, object] = {}
            manager = self.session._fixturemanager  # noqa: SLF001
            self._fixtureinfo = manager.getfixtureinfo(node=self, func=None, cls=None)
            self.fixturenames = self._fixtureinfo.names_closure  # which anyio asks for
            self._fixture_request = TopRequest(self, _ispytest=True)  # type: ignore[arg-type]
        return self._fixture_request


class SkippedItem(pytest.Item):
    """A case that its golden file skips: nothing is called."""

    parent: GoldenFile
    case: Case

    @classmethod
    def of(cls, parent: GoldenFile, *, case: Case) -> SkippedItem:
        item: SkippedItem = cls.from_parent(parent, name=case.id)
        item.case = case
        _mark(item, case)
        return item

    def setup(self) -> None:
        if not only_shows(self.config):
            raise pytest.skip.Exception(self.case.skip, _use_item_location=True)  # as the mark `skip` does

    def runtest(self) -> None:
        """Do nothing."""

    def reportinfo(self) -> tuple[Path, int, str]:
        return _find_place(self, self.case)


class CaseItem(GoldenItem):
    """
    A case.

    Attributes:
        waited_s: Time in which the item waited for cases, its own or others, in seconds.
    """

    task: Task
    result: CaseResult | None = None
    waited_s: float = 0.0

    @classmethod
    def of(cls, parent: GoldenFile, *, name: str, task: Task) -> CaseItem:
        item: CaseItem = cls.from_parent(parent, name=name)
        item.task = task
        _mark(item, task.case)
        return item

    def judge(self, evaluation: Evaluation) -> tuple[Verdict, ...]:
        started_s = time.perf_counter()
        self.result, verdicts = evaluation.judge_case(self.parent.golden, self.task)
        self.waited_s = time.perf_counter() - started_s
        for channel, text in self.result.printed:
            if channel == "log" or captures(self.config):  # uncaptured output was shown at once
                shown = "\n".join(printable_lines(text.expandtabs()))  # an app may print answers of a model
                self.add_report_section("call", channel, shown)
        for score in self.result.scores:
            suffix = f"[{score.repeat}]" if len(self.result.outputs) > 1 else ""
            self.user_properties.append((f"llm_{score.metric}{suffix}", score.value))
        return verdicts

    def render(self) -> str:
        if self.result is None:
            return ""
        style = _traceback_style(self.config)
        return render_case(self.task.case, self.result, self.verdicts, traceback=style)

    def reason(self) -> Reason:
        reason = GoldenItem.reason(self)
        crash = find_crash(find_traceback(self.result)) if self.result else None
        if crash is None:
            return reason
        path, line = crash
        return replace(reason, summary=f"{reason.summary} ({path}:{line})", path=path, line=line)

    def find_duration(self, report: pytest.TestReport) -> float:
        """Return seconds of a phase: those of the app's calls, which ran ahead, in place of the waiting."""
        own_s = max(0.0, report.duration - self.waited_s) if report.when == "setup" else report.duration
        if report.when == "call" or (report.when == "setup" and not report.passed):
            outputs = self.result.outputs if self.result else ()
            own_s += sum(output.latency_s or 0.0 for output in outputs)
        return own_s

    def raised(self) -> BaseException | None:
        return (self.parent.evaluation.raised or {}).get(self.task.id)

    def reportinfo(self) -> tuple[Path, int, str]:
        return _find_place(self, self.task.case)


def _mark(item: pytest.Item, case: Case) -> None:
    """Make marks of a case's tags."""
    for tag in case.tags:
        item.add_marker(pytest.MarkDecorator(pytest.Mark(tag, (), {}, _ispytest=True), _ispytest=True))


def _find_place(item: CaseItem | SkippedItem, case: Case) -> tuple[Path, int, str]:
    """Return where the case is written: in its golden file, or in the table that this names."""
    if case.source is None:
        return item.path, 0, item.name
    in_table = case.source.path == item.parent.golden.table
    path = item.config.rootpath / case.source.path if in_table else item.path
    return path, case.source.line - 1, item.name


class SuiteItem(GoldenItem):
    metric: str

    @classmethod
    def of(cls, parent: GoldenFile, *, metric: str) -> SuiteItem:
        name = f"suite[{metric}]"
        # In full, since pytest reads brackets as parameters wherever it meets an id as text (--lf).
        item: SuiteItem = cls.from_parent(parent, name=name, nodeid=f"{parent.nodeid}::{name}")
        item.metric = metric
        return item

    def judge(self, evaluation: Evaluation) -> tuple[Verdict, ...]:
        golden = self.parent.golden
        verdicts = evaluation.judge_suite(golden, evaluation.wait_for_all(golden))
        return tuple(verdict for verdict in verdicts if verdict.metric == self.metric)

    def render(self) -> str:
        return render_suite(self.verdicts)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.parent.golden.suite_lines.get(self.metric, 1) - 1, self.name


class MutationItem(GoldenItem):
    """Measures whether mutants of the file's answers are found: a bound on it, or all that is of no bound."""

    bound: str

    @classmethod
    def of(cls, parent: GoldenFile, *, bound: str) -> MutationItem:
        name = f"{MUTATION}[{bound}]" if bound else MUTATION
        item: MutationItem = cls.from_parent(parent, name=name, nodeid=f"{parent.nodeid}::{name}")
        item.bound = bound
        return item

    def judge(self, evaluation: Evaluation) -> tuple[Verdict, ...]:
        file = self.parent
        if file.measured is None and file.measure is not None:
            evaluation.wait_for_started()  # it has a recorder of its own, which judges of cases must not meet
            file.measured = file.measure(file.golden, self._app(), evaluation.settings)
            self.user_properties += [(MEASURED, line) for line in file.measured.lines]
        verdicts = file.measured.verdicts if file.measured else ()
        own = tuple(verdict for verdict in verdicts if verdict.case == f"{file.golden.path}::{self.name}")
        return own or (Verdict(check=self.name, outcome="undecided", reason="no verdict was given on it"),)

    def render(self) -> str:
        return render_suite(self.verdicts)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.parent.golden.suite_lines.get(MUTATION, 1) - 1, self.name


def only_shows(config: pytest.Config) -> bool:
    """Return whether pytest only shows what it would run: then no app and no model is called."""
    return any(config.getoption(name, None) for name in _SHOWING)


def overrides_app(node: pytest.Item | pytest.Collector) -> bool:
    """Return whether a conftest overrides `llm_app` for this node, and no flag overrules it."""
    return len(app_fixtures(node)) > 1 and node.config.getoption("llm_app") is None


def _traceback_style(config: pytest.Config) -> TracebackStyle:
    """The app's traceback under `--tb`."""
    return _STYLES.get(cast("str", config.getoption("tbstyle")), "long")


def _reason_of(raised: BaseException, item: pytest.Item) -> Reason | None:
    """Return why a golden item ended; None where pytest's own report is the only one."""
    if isinstance(raised, NotGoodError):
        return raised.reason
    traceback = describe_traceback(raised)
    if isinstance(raised, Failed) or not isinstance(raised, Exception) or not traceback:
        return None
    error = printable(mask(describe_error(raised)), _ERROR)
    path, line = find_crash(traceback) or (item.location[0], (item.location[1] or 0) + 1)
    style = _traceback_style(item.config)
    shown = shorten(traceback) if style == "short" else traceback
    text = error if style == "no" else f"{error}\n\n{shown}"
    return Reason(text=text, summary=f"{error} ({path}:{line})", path=path, line=line)


def _as_longrepr(reason: Reason, *, one_line: bool, when: str) -> ExceptionChainRepr:
    """
    Return a reason in the form that reports of pytest carry.

    Args:
        one_line: As `--tb=line` wants it; pytest writes that line itself, but of an error in setup.
    """
    place = ReprFileLocation(reason.path, reason.line, reason.summary)
    text = reason.text
    if one_line:
        text = f"{place}" if when == "setup" else ""
    entry = ReprEntryNative([f"{text}\n" if text else ""])
    return ExceptionChainRepr([(ReprTraceback([entry], None, "native"), place, None)])


def captures(config: pytest.Config) -> bool:
    """Not with `-s`, nor with `-p no:capture`, which takes the option away."""
    return bool(config.getoption("capture", "no") != "no")


class Reporting:
    """
    Reports the items of a golden run, and routes the output and logs of its app to each case.

    Streams and log handlers of pytest are changed for the session, and put back at its end.
    """

    def __init__(self, evaluation: Evaluation, config: pytest.Config) -> None:
        self._evaluation = evaluation
        self._session: pytest.Session | None = None
        self._captures = captures(config)
        self._tees = config.getoption("capture", "no") == "tee-sys"
        self._streams = Patches(self._find_streams)
        self._handlers: list[logging.Handler] = []
        self._log: logging.Handler | None = None
        self._listening = ExitStack()
        config.add_cleanup(self._close)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        if self._log is None:
            self._route_logs(session.config.pluginmanager.getplugin("logging-plugin"))

    @pytest.hookimpl(wrapper=True, trylast=True)  # within pytest's own, which begins to capture
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Route the streams that pytest captures by, before the first case prints."""
        self._apply()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Route the streams between two items, where pytest does not capture."""
        self._apply()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._apply()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Replace a traceback of our own code by the reason."""
        report = yield
        if not isinstance(item, GoldenItem):
            return report
        if isinstance(item, CaseItem):
            report.duration = item.find_duration(report)
        if report.passed and call.when == "call" and (passed := item.passed_unexpectedly()):
            report.wasxfail = passed
        if not report.failed or not call.excinfo:
            return report
        if reason := _reason_of(call.excinfo.value, item):
            one_line = item.config.getoption("tbstyle") == "line"
            report.longrepr = _as_longrepr(reason, one_line=one_line, when=call.when)
        return report

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtest_logreport")
    def pytest_end_refused(self, report: pytest.TestReport) -> None:
        """End the session once, in place of an error an item, where a worker found that nothing can run."""
        refused = dict(report.user_properties).get(REFUSED)
        if refused is not None and self._session is not None and not is_worker(self._session.config):
            self._evaluation.refused = str(refused)
            raise pytest.UsageError(self._evaluation.refused)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Begin no case after the failure that ends the session (`-x`, `--maxfail`)."""
        if self._session is not None and (self._session.shouldfail or self._session.shouldstop):
            self._evaluation.stop()

    def _apply(self) -> None:
        self._streams.apply()
        note_streams()

    def _find_streams(self) -> Iterator[Change]:
        """The streams of the moment, since pytest exchanges them; those found before stay routed."""
        yield sys.stdout, "write", partial(self._route, "stdout", sys.__stdout__)
        yield sys.stderr, "write", partial(self._route, "stderr", sys.__stderr__)

    def _route(self, channel: Channel, original: Any, write: Callable[[str], int]) -> Callable[[str], int]:
        shown = original.write if self._tees and original is not None else None
        return routed(write, channel, shown if self._captures else write)

    def _route_logs(self, plugin: Any) -> None:
        """
        Give the records of a case to the case, and no longer to the item that pytest happens to run.

        Args:
            plugin: pytest's `logging-plugin`, which is there once a session starts; None where it is off.
        """
        self._listening.enter_context(listening())
        for name in ("caplog_handler", "report_handler"):
            if isinstance(handler := getattr(plugin, name, None), logging.Handler):
                handler.addFilter(_is_of_no_case)
                self._handlers.append(handler)
        self._log = CaseLog(level=getattr(plugin, "log_level", None) or 0)
        self._log.setFormatter(getattr(plugin, "formatter", None))
        logging.getLogger().addHandler(self._log)

    def _close(self) -> None:
        self._listening.close()
        self._streams.restore()
        for handler in self._handlers:
            handler.removeFilter(_is_of_no_case)
        if self._log is not None:
            logging.getLogger().removeHandler(self._log)


@contextmanager
def _keeping_captured(item: pytest.Item) -> Iterator[None]:
    """Keep what pytest captures, while cases run, of native code and of processes that were not led."""
    manager: Any = item.config.pluginmanager.getplugin("capturemanager")
    if manager is None or item.config.getoption("capture") != "fd" or not manager.is_globally_capturing():
        yield
        return
    _take_captured(item, manager)  # of the project's hooks and fixtures
    try:
        yield
    finally:
        for channel, text in _take_captured(item, manager):
            keep_outside(channel, text)


def _take_captured(item: pytest.Item, manager: Any) -> list[tuple[Channel, str]]:
    """Take what was captured so far, and report it as pytest would have."""
    out, err = manager.read_global_capture()
    captured: list[tuple[Channel, str]] = [("stdout", out), ("stderr", err)]
    for channel, text in captured:
        if text:
            item.add_report_section("setup", channel, text)
    return captured


def _is_of_no_case(_record: logging.LogRecord) -> bool:
    return current.get() is None

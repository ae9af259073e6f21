"""Golden files as pytest nodes: an item a case, an item a suite metric. An item only reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from unittest import SkipTest

import pytest

# Doctest items get their fixtures the same way; there is no public one.
from _pytest.fixtures import TopRequest

from pytest_llmops.errors import AppError, LLMOpsError, describe_error
from pytest_llmops.evaluation.conclusion import red_verdicts
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.gates.outcomes import worst
from pytest_llmops.plugin.golden.capturing import captures
from pytest_llmops.plugin.golden.longrepr import NotGoodError, Reason, traceback_style
from pytest_llmops.plugin.golden_warnings import GoldenWarning
from pytest_llmops.plugin.reported import KNOWN, OUTCOME
from pytest_llmops.printable import printable
from pytest_llmops.records import CaseResult, Golden, Verdict
from pytest_llmops.reports.terminal import find_traceback, render_case, render_suite, summarize
from pytest_llmops.runner.app.process_end import describe, noting
from pytest_llmops.runner.app.tracebacks import find_crash
from pytest_llmops.runner.cases.case_runner import NotBegunError
from pytest_llmops.runner.cases.tasks import Task

REFUSED = "llm_refused"
_ESCAPED = 10  # characters at most of one that is escaped
_SHOWING = ("collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test")


class GoldenFile(pytest.File):
    """A golden file; its problems were reported before collection began."""

    evaluation: Evaluation
    golden: Golden
    tasks: dict[str, Task]

    @classmethod
    def of(
        cls, parent: pytest.Collector, *, path: Path, evaluation: Evaluation, golden: Golden
    ) -> GoldenFile:
        file: GoldenFile = cls.from_parent(parent, path=path)
        file.evaluation, file.golden = evaluation, golden
        file.tasks = {task.case.id: task for task in evaluation.plan(golden)}
        return file

    def collect(self) -> Iterable[pytest.Item]:
        for case_id, task in self.tasks.items():
            yield CaseItem.of(self, name=case_id, task=task)
        for metric in dict.fromkeys(check.metric for check in self.golden.suite):
            yield SuiteItem.of(self, metric=metric)


class GoldenItem(pytest.Item):
    """What a case and a suite check share: start the file's cases, then wait, judge and report."""

    parent: GoldenFile
    verdicts: tuple[Verdict, ...] = ()

    def setup(self) -> None:
        file = self.parent
        if only_shows(self.config):
            return
        if refused := file.evaluation.refused:
            self.user_properties.append((REFUSED, refused))
            raise pytest.fail.Exception(refused, pytrace=False)
        try:
            file.evaluation.start(file.golden, self._app())
            self.verdicts = self.judge(file.evaluation)
        except NotBegunError as error:
            pytest.skip(str(error))
        except LLMOpsError as error:
            self.user_properties.append((OUTCOME, "error"))
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        except BaseException:  # also what no `Exception` is, such as pytest's own way to fail
            self.user_properties.append((OUTCOME, "error"))
            raise
        self.user_properties.append((OUTCOME, worst(verdict.outcome for verdict in self.verdicts)))
        if any(verdict.outcome == "error" for verdict in self.verdicts):
            self.fail()

    def runtest(self) -> None:
        settings = self.parent.evaluation.settings
        if red_verdicts(self.verdicts, settings):
            self.fail()
        open_ = [each for each in self.verdicts if each.outcome == "undecided"]
        known = [each for each in self.verdicts if each.known]
        if open_ and settings.undecided == "warn":
            advice = "; ".join(f"{each.check}: {each.advice or each.reason}" for each in open_)
            try:
                self.warn(GoldenWarning(f"undecided: {advice}"))
            except GoldenWarning:  # the project's filterwarnings make errors of warnings
                self.fail()
        if known and settings.known_failures == "warn":
            self.user_properties.append((KNOWN, True))
            pytest.xfail("known: " + "; ".join(f"{each.check}: {each.advice}" for each in known))

    def fail(self) -> NoReturn:
        """End the item with the reason; in a debugger where the app raised."""
        raised = self.raised()
        raise NotGoodError(self.reason()).with_traceback(raised.__traceback__ if raised else None)

    def judge(self, evaluation: Evaluation) -> tuple[Verdict, ...]:
        raise NotImplementedError

    def render(self) -> str:
        raise NotImplementedError

    def reason(self) -> Reason:
        """Why it is not good, in full and on one line."""
        path, line, _ = self.location
        return Reason(
            text=self.render(),
            summary=summarize(self.verdicts),
            path=path,
            line=1 if line is None else line + 1,
        )

    def raised(self) -> BaseException | None:
        """What the app raised, where a debugger is to look at it."""
        return None

    def _app(self) -> Any:
        """The value of the fixture `llm_app`, where somebody overrides it."""
        if not overrides_app(self):
            return None
        scope = app_fixtures(self)[-1].scope
        if scope != "session":
            raise AppError(
                f"the fixture llm_app has the scope {scope}; cases run ahead of their items, so it must be "
                '@pytest.fixture(scope="session")'
            )
        self.funcargs: dict[str, object] = {}
        manager = self.session._fixturemanager  # noqa: SLF001 - see below
        self._fixtureinfo = manager.getfixtureinfo(node=self, func=None, cls=None)
        request = TopRequest(self, _ispytest=True)  # type: ignore[arg-type]
        with noting() as ended:
            try:
                app = request.getfixturevalue("llm_app")
            except (pytest.skip.Exception, pytest.xfail.Exception, SkipTest, SystemExit) as raised:
                raise AppError(
                    f"the fixture llm_app raised {describe_error(raised)}; without an app a case is an error "
                    "and never skipped: choose cases by -k or -m"
                ) from None
        if ended:
            raise AppError(describe(ended))
        return app


class CaseItem(GoldenItem):
    task: Task
    result: CaseResult | None = None

    @classmethod
    def of(cls, parent: GoldenFile, *, name: str, task: Task) -> CaseItem:
        item: CaseItem = cls.from_parent(parent, name=name)
        item.task = task
        for tag in task.case.tags:
            item.add_marker(pytest.MarkDecorator(pytest.Mark(tag, (), {}, _ispytest=True), _ispytest=True))
        return item

    def judge(self, evaluation: Evaluation) -> tuple[Verdict, ...]:
        self.result, verdicts = evaluation.judge_case(self.parent.golden, self.task)
        for channel, text in self.result.printed:
            if channel == "log" or captures(self.config):  # what pytest does not capture was shown at once
                self.add_report_section("call", channel, _escape_lines(text))
        for score in self.result.scores:
            suffix = f"[{score.repeat}]" if len(self.result.outputs) > 1 else ""
            self.user_properties.append((f"llm_{score.metric}{suffix}", score.value))
        return verdicts

    def render(self) -> str:
        if self.result is None:
            return ""
        style = traceback_style(self.config)
        return render_case(self.task.case, self.result, self.verdicts, traceback=style)

    def reason(self) -> Reason:
        reason = GoldenItem.reason(self)
        crash = find_crash(find_traceback(self.result)) if self.result else None
        if crash is None:
            return reason
        path, line = crash
        return replace(reason, summary=f"{reason.summary} ({path}:{line})", path=path, line=line)

    def raised(self) -> BaseException | None:
        return (self.parent.evaluation.raised or {}).get(self.task.id)

    def reportinfo(self) -> tuple[Path, int, str]:
        source = self.task.case.source
        return self.path, source.line - 1 if source else 0, self.name


class SuiteItem(GoldenItem):
    metric: str

    @classmethod
    def of(cls, parent: GoldenFile, *, metric: str) -> SuiteItem:
        name = f"suite[{metric}]"
        # Said in full, since pytest reads brackets as parameters wherever it meets an id as text (--lf).
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


def _escape_lines(text: str) -> str:
    """Escape the text: what an app prints may contain what a model said."""
    lines = text.expandtabs().split("\n")
    return "\n".join(printable(line, limit=_ESCAPED * len(line)) for line in lines)


def only_shows(config: pytest.Config) -> bool:
    """Whether pytest only shows what it would run: then no app and no model is called."""
    return any(config.getoption(name, None) for name in _SHOWING)


def overrides_app(node: pytest.Item | pytest.Collector) -> bool:
    """Whether a conftest gives this node another `llm_app` than the plugin's own, and no flag weighs more."""
    return len(app_fixtures(node)) > 1 and node.config.getoption("llm_app") is None


def app_fixtures(node: pytest.Item | pytest.Collector) -> Sequence[Any]:
    """The definitions of `llm_app` that this node sees, the one that counts last."""
    # Private, and used by every plugin with items that are no functions, pytest's own among them.
    return node.session._fixturemanager.getfixturedefs("llm_app", node) or ()  # noqa: SLF001

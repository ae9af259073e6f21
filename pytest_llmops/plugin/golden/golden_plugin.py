"""`--llm-golden`: collect golden files, run their cases ahead of their items, report every count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from pytest_llmops.errors import GoldenError, LLMOpsError
from pytest_llmops.evaluation.conclusion import Conclusion, conclude, save_run, sum_up
from pytest_llmops.evaluation.environment import describe_environment
from pytest_llmops.evaluation.estimate import estimate_run
from pytest_llmops.evaluation.reporting import forget_report, report_run
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.golden.files import find_golden_files, shown_path
from pytest_llmops.plugin import LOOSEN, written_settings
from pytest_llmops.plugin.assertions.golden_cases import find_wrong_tags
from pytest_llmops.plugin.distribution import is_controller, is_worker
from pytest_llmops.plugin.golden.items import (
    MEASURED,
    MUTATION,
    CaseItem,
    GoldenFile,
    Measure,
    MutationItem,
    Reporting,
    SuiteItem,
    only_shows,
    overrides_app,
)
from pytest_llmops.plugin.golden.selection import (
    Selection,
    approvals,
    asks_to_show,
    refuse_root_of_a_flag,
    select,
    selects,
)
from pytest_llmops.plugin.golden.status_line import StatusLine
from pytest_llmops.plugin.replacing import list_replacing
from pytest_llmops.plugin.reported import (
    Reported,
    complete_results,
    count_by_verdicts,
    explain_loss,
    is_golden,
    list_items,
    renamed,
    warn_of_doubts,
)
from pytest_llmops.plugin.session import session_of
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import OUTCOMES, CaseResult, Golden, Run, Verdict
from pytest_llmops.registry import open_measure
from pytest_llmops.runner.app import process_end
from pytest_llmops.settings import Settings, load_settings

_NAMED = 5
_SHOWN = (
    "error: nothing was called: the repository, and not the command line, has pytest show the cases only "
    "(--collect-only, --llm-dry-run); take that out of it"
)


@dataclass(slots=True, eq=False)
class GoldenPlugin:
    """
    Collects, runs and concludes one process's part in a golden run.

    Attributes:
        goldens: By resolved path; loaded before collection, so that every problem is reported at once.
        alone: Ordinary tests are not collected, though no paths were given.
        measure: Measures a golden file after its cases, as `--llm-mutate` asks for.
        measured: Lines of such measurements, for the summary.
        conclusion: Made at the end of the session.
        report: Writes the reports of the run, where it has any.
        is_kept: The file of the last golden run was written.
    """

    evaluation: Evaluation
    goldens: Mapping[Path, Golden]
    reported: Reported
    alone: bool = False
    files: list[GoldenFile] = field(default_factory=list)
    measure: Measure | None = None
    measured: list[str] = field(default_factory=list)
    conclusion: Conclusion | None = None
    report: Callable[[], None] = lambda: None
    is_kept: bool = False

    @classmethod
    def of(cls, config: pytest.Config, selection: Selection) -> GoldenPlugin:
        """Report every problem of the files here, before any model is called."""
        config.args = list(selection.arguments)
        folder = config.invocation_params.dir
        evaluation = session_of(config)
        try:
            evaluation.load(
                find_golden_files(selection.golden, folder),
                named=[shown_path(folder / path, config.rootpath) for path in selection.golden],
                accept=config.getoption("llm_accept"),
                selection=f"{config.getoption('markexpr')} {config.getoption('keyword')}",
                approvals=approvals(config),
            )
            if config.getoption("llm_affected"):
                evaluation.run_affected()
            if not only_shows(config):
                evaluation.keep(resumes=config.getoption("llm_resume"), joins=is_worker(config))
            if problems := [problem for golden in evaluation.goldens for problem in find_wrong_tags(golden)]:
                raise GoldenError(problems)
        except LLMOpsError as error:
            raise pytest.UsageError(str(error)) from None
        warn_of_doubts(config, evaluation)
        cases = [case for golden in evaluation.goldens for case in golden.cases]
        for tag in sorted({tag for case in cases for tag in case.tags}):
            config.addinivalue_line("markers", f"{tag}: a tag of golden cases")
        return cls(
            evaluation=evaluation,
            goldens={
                evaluation.settings.path(golden.path).resolve(): golden for golden in evaluation.goldens
            },
            reported=Reported.of(config),
            alone=selection.alone,
            measure=_find_measure(config, evaluation.settings),
        )

    def pytest_report_header(self) -> str | None:
        if not self.alone:
            return None
        return "golden set: ordinary tests are not collected; name paths, or set collect = true, to run both"

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave a link alone that leads to a folder it is in: pytest would follow it round and round."""
        if not collection_path.is_symlink() or not collection_path.is_dir():
            return None
        target = collection_path.resolve()
        return True if any(target == above.resolve() for above in collection_path.parents) else None

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> GoldenFile | None:
        golden = self.goldens.get(file_path.resolve())
        if golden is None or self._is_linked_twin(file_path, golden):
            return None
        return self._add_file(parent, file_path, golden)

    def _is_linked_twin(self, path: Path, golden: Golden) -> bool:
        """Return whether a path and one by which the file is collected lead to it, one of them by a link."""
        named = self.evaluation.settings.path(golden.path).absolute()
        linked = any(above.is_symlink() for above in path.parents if above not in named.parents)
        return path != named and (linked or path.is_symlink() or named.is_symlink())

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add golden files that only the target of the change has, and no folder here."""
        for path, golden in self.goldens.items():
            if golden.path in self.evaluation.source.carried and not path.exists():
                items.extend(self._add_file(session, path, golden).collect())

    def _add_file(self, parent: pytest.Collector, path: Path, golden: Golden) -> GoldenFile:
        file = GoldenFile.of(
            parent, path=path, evaluation=self.evaluation, golden=golden, measure=self.measure
        )
        self.files.append(file)
        return file

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """A suite check needs all cases of its file, whatever was deselected; a case only itself."""
        for item in session.items:
            if isinstance(item, CaseItem | SuiteItem | MutationItem):
                file = item.parent
                tasks = (item.task,) if isinstance(item, CaseItem) else file.tasks.values()
                self.evaluation.want(file.golden, tasks)
        if not is_controller(session.config):
            self.reported.select(item.nodeid for item in session.items)
            collected = {file.golden.path for file in self.files}
            left_out = [golden.path for golden in self.goldens.values() if golden.path not in collected]
            self.evaluation.problems += [
                f"{path}: not collected (norecursedirs, --ignore)" for path in left_out
            ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.reported.select(ids)

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Begin before the first item, wherever the app is named by path; a fixture waits for its item."""
        if only_shows(session.config) or is_controller(session.config):
            return
        named = [
            file.golden
            for file in self.files
            if file.golden.path in self.evaluation.tasks and not overrides_app(file)
        ]
        try:
            self.evaluation.make_ready(named)
        except LLMOpsError as error:
            self.evaluation.refused = str(error)
            if is_worker(session.config):
                return  # each item says so, and the first of them ends the session
            raise pytest.UsageError(self.evaluation.refused) from None
        for golden in named:
            self.evaluation.start(golden)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Make the calls that other workers wait for while the app's fixtures are there."""
        if nextitem is None and is_worker(item.config):
            self.evaluation.finish_share()

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Name a golden item's verdict where pytest shows it, and leave it in pytest's own category."""
        status = renamed(report)
        if status is None:
            return None
        category = "xfailed" if report.skipped else report.outcome
        color = "red" if report.failed else "yellow"
        return category, status[0].upper(), (status.upper(), {color: True})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reported.take(report)
        if report.when == "call" or report.failed:
            lines = [str(line) for name, line in report.user_properties if name == MEASURED]
            self.measured += [line for line in lines if line not in self.measured]

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # before files on items, such as JUnit's, are written
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Conclude the run, and keep the exit code, whatever the app does at exit."""
        self._end(session)
        yield
        self.report()
        if (journal := self.evaluation.journal) is not None:
            run = None if self.conclusion is None else self.conclusion.run
            ran = run is not None and bool(run.results) and self.evaluation.is_over(run)
            journal.close(finished=ran and self.is_kept and not _is_cut_short(session))
        process_end.hand_over(int(session.exitstatus))

    def _end(self, session: pytest.Session) -> None:
        """Complete, write and judge the run; a requested file that cannot be written is no success."""
        if only_shows(session.config):
            self._refuse_to_show(session)
            return
        evaluation = self.evaluation
        if is_worker(session.config):
            if session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
                evaluation.finish_share()
            evaluation.report_to_controller()
            return
        shard = evaluation.settings.shard
        self.reported.complete(
            session, list_items(evaluation.goldens, shard), partial(explain_loss, evaluation, self.reported)
        )
        results = complete_results(evaluation, self.reported, evaluation.goldens)
        run = self._make_run(results.values()) if results or self._excuses_none(session) else None
        unsaved = self._save(run) if run else ""
        revision = evaluation.source.revision
        paths = [golden.path for golden in evaluation.goldens]
        self.conclusion = conclusion = conclude(
            evaluation,
            run,
            notes=self._notes(session),
            judged=self.reported.statuses,
            accept=session.config.getoption("llm_accept"),
            loosened=list_replacing(session.config, revision, paths) if revision else (),
            permission=LOOSEN,
        )
        if unsaved:
            conclusion.add(unsaved, "error")
        # Cases may have results although their items were skipped: they run ahead of them.
        nothing = run is None or not (self.reported.statuses or _is_cut_short(session))
        if nothing and any(map(is_golden, self.reported.selected or ())):
            conclusion.add("nothing was scored: every golden item was skipped", "error", counted=True)
        if run is not None and revision is not None:
            for excuse in self._find_excuses(session):
                conclusion.add(f"red: {excuse}", "failed")
        if conclusion.red:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        if run is not None:
            self.report = partial(self._report, session, conclusion, saved=not unsaved)

    def _excuses_none(self, session: pytest.Session) -> bool:
        """Return whether the session has no case since its shard has none, which is no error."""
        is_empty = self.evaluation.is_empty_shard
        if is_empty and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK
        return is_empty

    def _refuse_to_show(self, session: pytest.Session) -> None:
        """Fail a session that only shows its cases, where the change that is to be judged says so."""
        if self.evaluation.source.revision is not None and not asks_to_show(session.config):
            empty = Run(signature={}, results=())
            self.conclusion = Conclusion(run=empty, settings=self.evaluation.settings)
            self.conclusion.add(_SHOWN, "error", counted=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _report(self, session: pytest.Session, conclusion: Conclusion, *, saved: bool) -> None:
        """Write the reports, once: with the summary, when other plugins have said how the session ends."""
        self.report = lambda: None
        broken = "error" in self.reported.statuses.values()
        build = conclusion.end(red=bool(session.exitstatus), broken=broken)
        report_run(
            self.evaluation,
            conclusion.run,
            conclusion,
            build=build,
            saved=saved,
            measured=[
                Verdict(check=item, outcome=outcome)
                for item, status in self.reported.statuses.items()
                for outcome in OUTCOMES
                if outcome == status and item.partition("::")[2].partition("[")[0] == MUTATION
            ],
            notes=self.measured,
        )
        if conclusion.red:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def _notes(self, session: pytest.Session) -> Iterator[str]:
        if self.evaluation.journal is not None and _is_cut_short(session):
            yield "stopped before its end: pytest --llm-golden --llm-resume goes on with it"
        if not (self.evaluation.source.revision or session.exitstatus):  # against one, they fail the build
            yield from (f"warning: {excuse}" for excuse in self._find_excuses(session))

    def _find_excuses(self, session: pytest.Session) -> Iterator[str]:
        """
        Sentences on items that a conftest, and not the command line, took out, skipped or expected to fail.

        Cases run ahead of their items, so a skipped item may have a result; its outcome is what is missing.
        """
        items = list_items(self.evaluation.goldens, self.evaluation.settings.shard)
        left_out = [item for item in items if item not in self.reported.statuses]
        if left_out and not selects(session.config):
            count = counted(len(left_out), "golden item")
            yield f"{count} left out, and not by the command line: {name_some(left_out, _NAMED)}"
        bad = {"regressed", "error", "failed"} & set(self.reported.statuses.values())
        if bad and not session.exitstatus:
            yield "verdicts that fail a build were excused by the repository itself"

    def _make_run(self, results: Iterable[CaseResult]) -> Run:
        """The run, stamped by the app that was called: where a fixture gave it, by no name."""
        given = {file.golden.path for file in self.files if overrides_app(file)}
        goldens = [
            replace(golden, app=None) if golden.path in given else golden
            for golden in self.evaluation.goldens
        ]
        settings = self.evaluation.settings
        settings = replace(settings, app=None) if given else settings
        environment = describe_environment(settings.root)
        return sum_up(self.evaluation, results, goldens=goldens, settings=settings, environment=environment)

    def _save(self, run: Run) -> str:
        """Write the run; a sentence if the requested file could not be written."""
        settings, problems = self.evaluation.settings, self.evaluation.problems
        unkept = save_run(run, settings.path(settings.last_run))
        self.is_kept = not unkept
        problems += filter(None, [unkept])
        return save_run(run, settings.path(settings.out)) if settings.out else ""

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if terminalreporter.config.getoption("llm_dry_run"):
            terminalreporter.write_sep("=", "golden set")
            for line in estimate_run(self.evaluation):
                terminalreporter.write_line(line)
        if self.conclusion is None or self.evaluation.refused:
            return
        self.report()
        terminalreporter.write_sep("=", "golden set")
        wall_s = time.monotonic() - self.evaluation.started_s
        for line in self.conclusion.render(wall_s=wall_s):
            terminalreporter.write_line(line)
        for line in self.measured:
            terminalreporter.write_line(line)

    @pytest.hookimpl(specname="pytest_terminal_summary", wrapper=True, tryfirst=True)
    def pytest_count_by_verdicts(self, terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
        """Count at the end, so that sections of failures and other plugins find pytest's own categories."""
        yield
        if self.conclusion is not None and not self.evaluation.refused:
            count_by_verdicts(terminalreporter, self.conclusion.outcomes)


def _find_measure(config: pytest.Config, settings: Settings) -> Measure | None:
    """
    Return the measurement that `--llm-mutate` asks for; None without the flag.

    Raises:
        UsageError: A kind is unknown, no installed feature measures, or the run is a shard.
    """
    typed = config.getoption("llm_mutate")
    if typed is None:
        return None
    if settings.shard:
        raise pytest.UsageError("--llm-mutate measures golden files as a whole, not a shard: run it apart")
    try:
        return open_measure(MUTATION, typed, "--llm-mutate")
    except LLMOpsError as error:
        raise pytest.UsageError(str(error)) from None


def open_golden_run(config: pytest.Config) -> None:
    """Register the plugin of the golden files that the session is of, if it is of any."""
    refuse_root_of_a_flag(config)
    try:
        settings = load_settings(config.rootpath, *written_settings(config))
    except LLMOpsError as error:
        raise pytest.UsageError(str(error)) from None
    selection = select(config, settings)
    config.option.llm_golden = bool(selection.golden)
    if selection.golden:
        if not (is_worker(config) or only_shows(config)):
            forget_report(settings)
        golden = GoldenPlugin.of(config, selection)
        config.pluginmanager.register(golden, "llmops-golden")
        config.pluginmanager.register(Reporting(golden.evaluation, config), "llmops-reporting")
        config.pluginmanager.register(StatusLine(golden.evaluation, config), "llmops-status")


def _is_cut_short(session: pytest.Session) -> bool:
    """Return whether the session ended before its last item."""
    is_whole = session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    return bool(session.shouldfail or session.shouldstop or not is_whole)

"""`--llm-golden`: find, load and collect golden files, run their cases ahead, report every count."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.errors import GoldenError, LLMOpsError, Problem, RunFileError
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.merge_base.record import Loosening
from pytest_llmops.gates.outcomes import name_files
from pytest_llmops.gates.thresholds import tell_empty, tell_unscored
from pytest_llmops.golden.files import find_golden_files, shown_path
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.plugin import LOOSEN, MARKERS
from pytest_llmops.plugin.collecting import Selection
from pytest_llmops.plugin.distribution import is_controller, is_worker
from pytest_llmops.plugin.items import CaseItem, GoldenFile, SuiteItem, only_shows, overrides_app
from pytest_llmops.plugin.pipeline import may_loosen, selects
from pytest_llmops.plugin.replacing import list_replacing
from pytest_llmops.plugin.reported import is_golden
from pytest_llmops.plugin.session import Session
from pytest_llmops.plugin.uncalibrated import warn_of_bounds
from pytest_llmops.plugin.unfinished import complete_results, explain_loss, list_items
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import CaseResult, Golden, Outcome, Run, Verdict
from pytest_llmops.reports.loosening import render_loosened
from pytest_llmops.reports.rivals import render_rivals
from pytest_llmops.reports.run_file import write_run
from pytest_llmops.reports.terminal import render_summary
from pytest_llmops.runner import process_end
from pytest_llmops.runner.failed_calls import describe_failed_calls
from pytest_llmops.runner.golden_run import make_run, open_asking
from pytest_llmops.runner.readiness import check_ready
from pytest_llmops.runner.signature import prompt_versions
from pytest_llmops.runner.work import Work
from pytest_llmops.yardstick import Yardstick, accept_into_baseline, find_yardstick, list_undecided

_NAMED = 5
_MARKS_THAT_ACT = {name for name, _ in MARKERS} | {
    "skip", "skipif", "xfail", "usefixtures", "parametrize", "filterwarnings",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class GoldenPlugin:
    """
    One process's part in a golden run.

    Attributes:
        goldens: By resolved path; loaded before collection, so that every problem is told at once.
        alone: Ordinary tests are not collected, and nobody named paths.
        loosened: What the change made easier to pass, by golden files and settings, then by what it did here.
        needed: By golden file, the work that the selected items need, by item id.
        refused: Why nothing can be run at all.
    """

    shared: Session
    goldens: Mapping[Path, Golden]
    judge: Judge
    yardstick: Yardstick
    alone: bool = False
    needed: dict[str, dict[str, Work]] = field(default_factory=dict)
    files: list[GoldenFile] = field(default_factory=list)
    run: Run | None = None
    loosened: list[Loosening] = field(default_factory=list)
    refused: str = ""
    _suites: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)
    _together: list[Outcome] = field(default_factory=list)

    @classmethod
    def of(cls, config: pytest.Config, selection: Selection) -> GoldenPlugin:
        """Everything that can be wrong with the files is wrong here, before any model is called."""
        session = Session.of(config)
        settings = session.settings
        config.args = list(selection.arguments)
        folder = config.invocation_params.dir
        try:
            goldens: dict[Path, Golden] = {}
            problems: list[Problem] = []
            for path in find_golden_files(selection.golden, folder):
                try:
                    goldens[path.resolve()] = load_golden(path, root=config.rootpath)
                except GoldenError as error:
                    problems.extend(error.problems)
            if problems:
                raise GoldenError(problems)
            problems = [problem for golden in goldens.values() for problem in _wrong_tags(golden)]
            if problems:
                raise GoldenError(problems)
            prompt_versions(list(goldens.values()), settings.root)  # a broken prompt file is told here
            yardstick = find_yardstick(
                settings,
                list(goldens.values()),
                named=[shown_path(folder / path, config.rootpath) for path in selection.golden],
                accept=config.getoption("llm_accept"),
                selection=f"{config.getoption('markexpr')} {config.getoption('keyword')}",
            )
        except LLMOpsError as error:
            raise pytest.UsageError(str(error)) from None
        warn_of_bounds(config, yardstick.goldens, yardstick.calibrations)
        goldens = {session.settings.path(golden.path).resolve(): golden for golden in yardstick.goldens}
        for tag in sorted({tag for golden in goldens.values() for case in golden.cases for tag in case.tags}):
            config.addinivalue_line("markers", f"{tag}: a tag of golden cases")
        return cls(
            shared=session,
            goldens=goldens,
            judge=yardstick.judge(settings, tuple(goldens.values())),
            yardstick=yardstick,
            loosened=list(yardstick.loosened),
            alone=selection.alone,
        )

    def pytest_report_header(self) -> str | None:
        if not self.alone:
            return None
        return "golden set: ordinary tests are not collected; name paths, or set collect = true, to run both"

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> GoldenFile | None:
        golden = self.goldens.get(file_path.resolve())
        if golden is None:
            return None
        file = GoldenFile.of(parent, path=file_path, plugin=self, golden=golden)
        self.files.append(file)
        return file

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Golden files that only the target of the change has, so that no folder here holds them."""
        for path, golden in self.goldens.items():
            if golden.path in self.yardstick.carried and not path.exists():
                file = GoldenFile.of(session, path=path, plugin=self, golden=golden)
                self.files.append(file)
                items.extend(file.collect())

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """A suite check needs all cases of its file, whatever was deselected; a case only itself."""
        for item in session.items:
            if isinstance(item, CaseItem | SuiteItem):
                works = (item.work,) if isinstance(item, CaseItem) else item.parent.works.values()
                needed = self.needed.setdefault(item.parent.golden.path, {})
                needed.update((work.id, work) for work in works)
        if not is_controller(session.config):
            self.shared.reported.select(item.nodeid for item in session.items)
            collected = {file.golden.path for file in self.files}
            left_out = [golden.path for golden in self.goldens.values() if golden.path not in collected]
            self.shared.problems += [f"{path}: not collected (norecursedirs, --ignore)" for path in left_out]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self.shared.reported.select(ids)

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """
        Begin before the first item, wherever the app is named by path; a fixture waits for its item.

        What no case could do without is looked at first, for all files: then it is one message and no call.
        """
        if only_shows(session.config) or is_controller(session.config):
            return
        files = [file for file in self.files if file.golden.path in self.needed]
        named = [file for file in files if not overrides_app(file)]
        try:
            for file in files:
                works = self.needed[file.golden.path].values()
                check_ready(file.golden, works, self.shared.settings, self.shared.store)
            for file in named:
                self.shared.open(file.golden, None)
        except LLMOpsError as error:
            self.refused = str(error)
            if is_worker(session.config):
                return  # each item says so, and the first of them ends the session
            raise pytest.UsageError(self.refused) from None
        for file in named:
            self.start(file, None)

    def start(self, file: GoldenFile, app: Any) -> None:
        """Put the file's cases in work, once."""
        if file.golden.path not in self._started:
            goldens = list(self.goldens.values())
            asking = open_asking(file.golden, goldens, self.yardstick.base, self.shared.settings)
            self.shared.start(file.golden, self.needed[file.golden.path].values(), app, asking)
            self._started.add(file.golden.path)

    def wait_for_all(self, golden: Golden, session: Session) -> list[CaseResult]:
        """All results of a file that this run makes."""
        if rounds := session.rounds.get(golden.path):
            return list(rounds.result().values())
        return [session.wait(golden, work) for work in self.needed[golden.path].values()]

    def judge_suite(self, golden: Golden, results: Sequence[CaseResult]) -> tuple[Verdict, ...]:
        """A verdict for each suite check of a file with all its cases; made once, for items and table."""
        if golden.path not in self._suites:
            self._suites[golden.path] = self.judge.judge_suite(golden, results)
        return self._suites[golden.path]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.shared.reported.take(report)

    @property
    def counts(self) -> dict[Outcome, int]:
        """Outcomes of the items reported so far, zeros included, and of what the golden files lost."""
        counts = dict(self.shared.reported.counts)
        counts["error"] += len(self.shared.all_errors())
        if self.run is not None:
            counts["undecided"] += len(self.judge.lost_cases())
            for outcome in self._together:
                counts[outcome] += 1
        return counts

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # before files on items, such as JUnit's, are written
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Write what was finished, and hold on to the exit code, whatever the app does on its way out."""
        self._end(session)
        yield
        process_end.hand_over(int(session.exitstatus))

    def _end(self, session: pytest.Session) -> None:
        """A file that was asked for and cannot be had is no success."""
        if only_shows(session.config):
            return
        if is_worker(session.config):
            if self.shared.store is not None:
                self.shared.store.report(self.shared.own_problems(), self.shared.own_errors())
            return
        goldens = list(self.goldens.values())
        self.shared.reported.complete(session, list_items(goldens), partial(explain_loss, self.shared))
        self.loosened += self._loosened_here(session.config)
        good = not self.loosened or may_loosen(session.config)
        if self.shared.all_errors():
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        if results := complete_results(self.shared, goldens):
            self.run = self._make_run(results.values())
            good = self._finish(self.run, accept=session.config.getoption("llm_accept")) and good
            if not self._judge_together():
                session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
            good = self._is_whole(self.run, session) and good
        elif any(map(is_golden, self.shared.reported.selected or ())):
            self.shared.problems.append("nothing was scored: every golden item was skipped")
            good = False
        if not good:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def _loosened_here(self, config: pytest.Config) -> list[Loosening]:
        """Against a revision: what the run itself shows of the change."""
        revision = self.yardstick.revision
        if revision is None:
            return []
        paths = [golden.path for golden in self.goldens.values()]
        budget = self.shared.budget
        return [*list_replacing(config, revision, paths), *list_undecided(budget, self.shared.settings)]

    def _make_run(self, results: Iterable[CaseResult]) -> Run:
        """The run, stamped by the app that was asked: a fixture where one took the place of the named one."""
        given = {file.golden.path for file in self.files if overrides_app(file)}
        goldens = [
            replace(golden, app=None) if golden.path in given else golden for golden in self.goldens.values()
        ]
        settings = replace(self.shared.settings, app=None) if given else self.shared.settings
        return make_run(goldens, results, settings)

    def _finish(self, run: Run, *, accept: bool) -> bool:
        """Write a run, accept it, and tell what is missing in it; false where that fails the build."""
        settings, problems = self.shared.settings, self.shared.problems
        good = True
        if lost := self.judge.lost_cases():
            named = name_some(lost, _NAMED)
            problems.append(f"undecided: in the baseline, and in no golden file any more: {named}")
            good = settings.undecided != "fail"
        self._write(run, settings.path(settings.home) / "runs" / "last.json")
        if settings.out:
            good = self._write(run, settings.path(settings.out)) and good
        if accept:
            told, accepted = accept_into_baseline(run, settings)
            problems.append(told)
            good = good and accepted
        if empty := tell_empty(run):
            problems.append(empty)
        if unscored := tell_unscored(run):
            problems.append(unscored)
            good = False
        return good

    def _judge_together(self) -> bool:
        """
        Report the verdicts that are no item's, of metrics that no suite check of their file is on.

        False where one fails the build.
        """
        red = {"failed", "regressed", "error"}
        red |= {"undecided"} if self.shared.settings.undecided == "fail" else set()
        for golden in self.goldens.values():
            checked = {check.metric for check in golden.suite}
            for verdict in self._suite_verdicts(golden):
                if verdict.outcome != "passed" and verdict.metric not in checked:
                    why = f"{verdict.reason}; {verdict.advice}".rstrip("; ")
                    self.shared.problems.append(f"{verdict.outcome}: {golden.path}: {verdict.check}: {why}")
                    self._together.append(verdict.outcome)
        return not red & set(self._together)

    def _is_whole(self, run: Run, session: pytest.Session) -> bool:
        """Against a revision: nothing in the repository keeps a case from being run, or excuses a verdict."""
        if self.yardstick.revision is None:
            return True
        ran = {result.case for result in run.results}
        cases = [f"{golden.path}::{case.id}" for golden in self.goldens.values() for case in golden.cases]
        left_out = [case for case in cases if case not in ran]
        whole = True
        if left_out and not selects(session.config):
            named = ", ".join(left_out[:_NAMED])
            told = f"red: {counted(len(left_out), 'case')} left out, and not by the command line: {named}"
            self.shared.problems.append(told)
            whole = False
        bad = (
            self.counts["regressed"]
            + self.counts["error"]
            + self.counts["failed"]
            - len(self.shared.reported.known)
        )
        if bad and not session.exitstatus:
            self.shared.problems.append(
                "red: verdicts that fail a build were excused by the repository itself"
            )
            whole = False
        return whole

    def _write(self, run: Run, path: Path) -> bool:
        try:
            write_run(run, path)
        except OSError as error:
            self.shared.problems.append(f"{path} could not be written: {error.strerror}")
        except RunFileError as error:
            self.shared.problems.append(str(error))
        else:
            return True
        return False

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if only_shows(terminalreporter.config) or self.refused:
            return
        run = self.run or Run(signature={}, results=())
        suite = name_files({golden.path: self._suite_verdicts(golden) for golden in self.goldens.values()})
        wall_s = time.monotonic() - self.shared.started_s
        problems = [*self.shared.all_errors(), *self.shared.all_problems()]
        problems += describe_failed_calls(self.goldens.values(), run.results)
        if known := len(self.shared.reported.known):
            problems.insert(0, f"{known} of the failures were in the baseline too (known_failures)")
        problems += self.yardstick.describe(run, self.shared.settings)
        problems += render_loosened(self.loosened)
        if self.loosened and not may_loosen(terminalreporter.config):
            problems.append(f"that is red, unless whoever runs the pipeline gives {LOOSEN}")
        terminalreporter.write_sep("=", "golden set")
        for line in render_summary(run, self.counts, problems, suite=suite, wall_s=wall_s):
            terminalreporter.write_line(line)
        for line in render_rivals(run):
            terminalreporter.write_line(line)

    def _suite_verdicts(self, golden: Golden) -> tuple[Verdict, ...]:
        """For the table; empty where not every case of the file was asked."""
        finished = {} if self.run is None else {result.case: result for result in self.run.results}
        results = [finished.get(f"{golden.path}::{case.id}") for case in golden.cases]
        return () if None in results else self.judge_suite(golden, [each for each in results if each])


def _wrong_tags(golden: Golden) -> Iterable[Problem]:
    """A tag becomes a mark, and some marks would excuse a case from being judged."""
    for case in golden.cases:
        for tag in sorted(_MARKS_THAT_ACT & set(case.tags)):
            message = f"the tag {tag!r} is a mark that changes how a test is run; choose another word"
            line = case.source.line if case.source else 0
            yield Problem(path=golden.path, line=line, case=case.id, message=message)

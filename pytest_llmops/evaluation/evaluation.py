"""One golden run of a process: files and what they are compared with in, results and verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmops.calibration.warnings import find_uncalibrated
from pytest_llmops.errors import GoldenError, Problem
from pytest_llmops.evaluation.baseline_source import find_baseline
from pytest_llmops.evaluation.session import Session
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.error_budget import CaseBudget, count_tests, suite_share
from pytest_llmops.gates.golden_flaws import describe_blind, describe_echoes, describe_unchecked
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.protocols import App
from pytest_llmops.records import CaseResult, Golden, Run, Verdict
from pytest_llmops.runner.cases.tasks import Task, give_up, plan
from pytest_llmops.runner.readiness import check_ready
from pytest_llmops.runner.signature import prompt_versions
from pytest_llmops.settings import Settings


@dataclass(slots=True, eq=False)
class Evaluation:
    """
    The golden files of a run, what they are compared with, and the session that runs their cases.

    Attributes:
        tasks: By golden file the tasks that are wanted of it, by item id.
        refused: Why nothing can be run at all.
    """

    session: Session
    source: BaselineSource
    judge: Judge
    tasks: dict[str, dict[str, Task]] = field(default_factory=dict)
    refused: str = ""
    _suites: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    _started: set[str] = field(default_factory=set)

    @classmethod
    def prepare(
        cls,
        session: Session,
        files: Iterable[Path],
        *,
        named: Iterable[str] = (),
        accept: bool = False,
        selection: str = "",
    ) -> Evaluation:
        """
        Report every problem of the files here, before any model is called.

        Args:
            named: Files and folders that somebody named for it, from the root.
            accept: The run will be taken into the baseline.
            selection: By which words of tags the run chooses its cases, pytest's `-m` and `-k`.

        Raises:
            LLMOpsError: A golden file, a prompt file or the baseline cannot be read.
        """
        settings = session.settings
        goldens = _load(files, settings.root, session.problems)
        prompt_versions(goldens, settings.root)
        source = find_baseline(settings, goldens, named=named, accept=accept, selection=selection)
        return cls(session=session, source=source, judge=source.judge(settings))

    @property
    def goldens(self) -> tuple[Golden, ...]:
        return self.source.goldens

    def doubts(self) -> Iterator[str]:
        """A sentence for each check that says little: uncalibrated, blind, met by the question, or none."""
        for golden in self.goldens:
            yield from find_uncalibrated(golden, self.source.calibrations)
            yield from describe_blind(golden)
            yield from describe_unchecked(golden)
            yield from describe_echoes(golden)

    def plan(self, golden: Golden) -> list[Task]:
        """The tasks of a golden file, in its order."""
        return plan_tasks(golden, self.session.settings, self.source.base)

    def want(self, golden: Golden, tasks: Iterable[Task]) -> None:
        """Have these tasks run once their file is started."""
        self.tasks.setdefault(golden.path, {}).update((task.id, task) for task in tasks)

    def check_ready(self) -> None:
        """
        Check what every case needs first, for all files: a lack is then one message and no call.

        Raises:
            LLMOpsError: Something is missing.
        """
        for golden in self._wanted():
            tasks = self.tasks[golden.path].values()
            check_ready(golden, tasks, self.session.settings, self.session.store)

    def start(self, golden: Golden, app: App | None = None) -> None:
        """
        Begin the wanted cases of a file, once.

        Args:
            app: In place of the one that is named.
        """
        if golden.path in self._started:
            return
        planner = open_planner(golden, self.goldens, self.source.base, self.session.settings)
        self.session.start(golden, self.tasks[golden.path].values(), planner, app)
        self._started.add(golden.path)  # not before: what has no app says so at each of its items

    def run(self) -> None:
        """Run all cases of all files, file by file."""
        self._want_all()
        self.check_ready()
        for golden in self.goldens:
            self.session.open_file(golden)
        for golden in self.goldens:
            self.start(golden)
            self.wait_for_all(golden)

    def give_up(self, reason: str) -> None:
        """Take what earlier processes finished; a case without a result is an error for that reason."""
        self._want_all()
        found = self.session.results()
        self.session.given = {
            task.id: found.get(task.id) or give_up(task.id, task.case, reason)
            for tasks in self.tasks.values()
            for task in tasks.values()
        }

    def results(self) -> dict[str, CaseResult]:
        """All results of the run, by item id, waited for."""
        return {result.case: result for golden in self._wanted() for result in self.wait_for_all(golden)}

    def wait_for_all(self, golden: Golden) -> list[CaseResult]:
        """All results of a file that this run makes."""
        return [self.session.wait(golden, task) for task in self.tasks[golden.path].values()]

    def judge_case(self, golden: Golden, task: Task) -> tuple[CaseResult, tuple[Verdict, ...]]:
        """The result of a case, waited for, and a verdict for each of its checks."""
        result = self.session.wait(golden, task)
        if self.judge.needs_movement(golden):
            self.judge.note_movement(golden, self.wait_for_all(golden))
        return result, self.judge.judge_case(task.case, result)

    def judge_suite(self, golden: Golden, results: Sequence[CaseResult]) -> tuple[Verdict, ...]:
        """A verdict for each suite check of a file with all its cases; made once, for items and table."""
        if golden.path not in self._suites:
            self._suites[golden.path] = self.judge.judge_suite(golden, results)
        return self._suites[golden.path]

    def suite_verdicts(self, results: Mapping[str, CaseResult]) -> dict[str, tuple[Verdict, ...]]:
        """By golden file; none of a file of which a case was not run."""
        verdicts = {}
        for golden in self.goldens:
            found = [results.get(case) for case in cases_by_id(golden)]
            whole = None not in found
            verdicts[golden.path] = (
                self.judge_suite(golden, [each for each in found if each]) if whole else ()
            )
        return verdicts

    def _want_all(self) -> None:
        for golden in self.goldens:
            self.want(golden, self.plan(golden))

    def _wanted(self) -> list[Golden]:
        return [golden for golden in self.goldens if golden.path in self.tasks]


def plan_tasks(golden: Golden, settings: Settings, baseline: Run | None) -> list[Task]:
    """The tasks of a golden file, repeated as the settings and the baseline say."""
    known = {result.case for result in baseline.results} if baseline else ()
    return plan(golden, settings.repeats, settings.max_repeats, known)


def open_planner(
    golden: Golden, goldens: Sequence[Golden], baseline: Run | None, settings: Settings
) -> RepeatPlanner:
    """
    The planner of further repeats for the cases of one golden file.

    Args:
        goldens: All that the run has: they share one error budget.
    """
    return RepeatPlanner(
        base={result.case: result for result in baseline.results} if baseline else {},
        suite={golden.path: golden.suite},
        most=settings.max_repeats,
        budget=CaseBudget(tests=count_tests(goldens)),
        share=suite_share(goldens),
        explores=settings.repeats == "auto" or any(case.repeats == "auto" for case in golden.cases),
        goldens=(golden,),
    )


def _load(files: Iterable[Path], root: Path, notes: list[str]) -> list[Golden]:
    """The golden files, each once; what is wrong is raised at once for all of them."""
    goldens: dict[Path, Golden] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            golden = load_golden(file, root=root)
            if (known := goldens.setdefault(file.resolve(), golden)) is not golden:
                notes.append(f"{golden.path} is the same file as {known.path}, and is run once")
        except GoldenError as error:
            problems.extend(error.problems)
    if problems:
        raise GoldenError(problems)
    return list(goldens.values())

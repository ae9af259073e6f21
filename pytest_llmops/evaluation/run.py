"""One run of a process: settings and golden files in, results and verdicts out."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_llmops.detect.value_lists import forget_hidden
from pytest_llmops.errors import GoldenError, Problem, SettingsError
from pytest_llmops.evaluation.anchors import AnchorCaller, plan_anchors
from pytest_llmops.gates.copies import mark_copies, may_have_copies
from pytest_llmops.gates.error_budget import CaseBudget, count_tests, suite_share
from pytest_llmops.gates.expected import find_unfailing
from pytest_llmops.gates.release import Release, ReleasePlanner, last_share
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.gates.stamps import STAMPED, join_stamps
from pytest_llmops.golden.anchors import load_anchors
from pytest_llmops.golden.apps import name_app
from pytest_llmops.golden.identity import cases_by_id, file_of
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.golden.shards import cases_of
from pytest_llmops.protocols import App, RemoteApp
from pytest_llmops.recorder import Recorder, describe_services
from pytest_llmops.recorder.loop_thread import LoopThread
from pytest_llmops.records import ANCHORS, CaseResult, Golden, LimitWait, Run, SuiteCheck, Verdict
from pytest_llmops.runner.app import process_end
from pytest_llmops.runner.app.call_notes import describe_limits
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.runner.app.main_thread import MainThread
from pytest_llmops.runner.app.places import Place, Threads
from pytest_llmops.runner.app.remote.opening import open_app
from pytest_llmops.runner.app.remote.place import Remote
from pytest_llmops.runner.app.states import StateReader
from pytest_llmops.runner.app.talks import check_conversations
from pytest_llmops.runner.attribution import Attribution
from pytest_llmops.runner.budget import Budget, describe_budget, open_budget
from pytest_llmops.runner.cases.case_runner import CaseRunner, NotBegunError, latest
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task, call_rules, give_up, plan
from pytest_llmops.runner.readiness import (
    app_path,
    check_ready,
    find_place,
    import_libraries,
    importing,
    named_app,
    named_rival,
)
from pytest_llmops.runner.recording import open_recorder
from pytest_llmops.runner.scoring import Scorer, TimeLimit
from pytest_llmops.runner.signature import prompt_versions
from pytest_llmops.runner.stamps.files_read import join_folders
from pytest_llmops.runner.stamps.observer import AppObserver
from pytest_llmops.settings import Settings
from pytest_llmops.traces import opentelemetry

if TYPE_CHECKING:  # with all gates and reports, which ordinary tests do without
    from pytest_llmops.evaluation.affected import Affected
    from pytest_llmops.evaluation.journal import Journal
    from pytest_llmops.evaluation.source import BaselineSource
    from pytest_llmops.gates.judgement import Judge

Answer = TypeVar("Answer")
_POLL_S = 0.02
_open_runs: set[int] = set()
"""Of this process: what they share is closed with the last of them."""


@dataclass(slots=True, eq=False)
class Evaluation:
    """
    One process's part in a run, to be closed at its end; ordinary tests use it without golden files.

    Attributes:
        naming: Advice on naming an app, for the message of a run that has none.
        also: Metrics that each case is scored by besides those of its golden file, without a bound.
        raised: Exceptions of the app by case, where a debugger will want them; else None.
        strict_xfail: Whether cases that are expected to fail, and do not say so themselves, are strict; None
            if none is expected to fail.
        main_thread: Has apps called that need it, whenever this run waits.
        store: Where results are shared with the other processes of the run.
        source: The golden files and their baseline, with `judge`; ordinary tests have neither.
        tasks: By golden file the tasks that are wanted of it, by item id.
        journal: Keeps the results as they come, where the run may be gone on with.
        affected: Has the baseline's results of the cases that no change can have touched.
        refused: Why nothing can be run at all.
        problems: Sentences about records that could not be kept with the results.
        started_s: Monotonic clock, for the summary.
    """

    settings: Settings
    naming: str
    scorer: Scorer
    attribution: Attribution
    observer: AppObserver
    store: SharedStore | None = None
    budget: Budget | None = None
    raised: dict[str, BaseException] | None = None
    also: Sequence[str] = ()
    strict_xfail: bool | None = False
    source: BaselineSource = field(init=False, repr=False)
    judge: Judge = field(init=False, repr=False)
    tasks: dict[str, dict[str, Task]] = field(default_factory=dict)
    journal: Journal | None = None
    affected: Affected | None = None
    refused: str = ""
    problems: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)
    _recorder: Recorder | None = None
    _runners: dict[str, CaseRunner] = field(default_factory=dict)
    _suites: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    main_thread: MainThread = field(default_factory=MainThread)
    _opened: dict[str, App] = field(default_factory=dict)
    _app_loops: dict[int, tuple[App, LoopThread]] = field(default_factory=dict)
    _loop: LoopThread = field(default_factory=lambda: LoopThread(name="llmops-llm"))
    _taken_over: dict[str, CaseResult] = field(default_factory=dict)
    _anchors: dict[str, list[CaseResult]] = field(default_factory=dict)

    @classmethod
    def open(  # noqa: PLR0913 - the decisions of its owner
        cls,
        settings: Settings,
        *,
        naming: str,
        store: SharedStore | None = None,
        ledger: Path | None = None,
        scorer: Scorer | None = None,
        keeps_raised: bool = False,
        listens: bool = True,
    ) -> Evaluation:
        """
        Open a run; from now on an app that ends the process is noticed.

        Args:
            ledger: File in which the processes of a run count their spending of one budget.
            keeps_raised: Keep exceptions of the app, for a debugger.
            listens: Open the listeners that the settings ask for; not where other processes run the cases.

        Raises:
            LLMOpsError: The budget cannot be read, or what the settings ask for cannot be opened.
        """
        evaluation = cls(
            settings=settings,
            naming=naming,
            scorer=scorer or Scorer(here=TimeLimit(settings.timeout_s)),
            store=store,
            budget=open_budget(settings, ledger),
            raised={} if keeps_raised else None,
            attribution=Attribution.open(settings) if listens else Attribution(),
            observer=AppObserver(settings.root),
        )
        process_end.install()
        _open_runs.add(id(evaluation))
        return evaluation

    def load(
        self,
        files: Iterable[Path],
        *,
        named: Iterable[str] = (),
        accept: bool = False,
        selection: str = "",
        approvals: Iterable[str] = (),
    ) -> None:
        """
        Read golden files and the baseline; every problem is reported here, before any model is called.

        Args:
            named: Files and folders that somebody named for it, from the root.
            accept: The run will be taken into the baseline.
            selection: By which words of tags the run chooses its cases, pytest's `-m` and `-k`.
            approvals: Loosened items of the change that the pipeline approves.

        Raises:
            LLMOpsError: A golden file, a prompt file or the baseline cannot be read, or a shard shall be
                accepted.
        """
        from pytest_llmops.evaluation.baseline import find_baseline

        if accept and self.settings.shard:
            raise SettingsError(
                f"shard {self.settings.shard} is not accepted by itself: run all shards, then "
                "llmops merge and llmops accept"
            )
        goldens = _load(files, self.settings, self.problems)
        goldens = [_score_also(golden, self.also) for golden in goldens]
        prompt_versions(goldens, self.settings.root)
        for golden in goldens:
            load_anchors(golden, self.settings.root)
        self.compare_with(
            find_baseline(
                self.settings, goldens, named=named, accept=accept, selection=selection, approvals=approvals
            )
        )

    def take_over(self, run: Run, source: BaselineSource) -> None:
        """Judge a run that is over, by a source with its golden files: no app is called."""
        self.compare_with(source)
        self._taken_over = {result.case: result for result in run.results}
        self.problems += run.notes
        anchors: defaultdict[str, list[CaseResult]] = defaultdict(list)
        for anchor in run.anchors:
            anchors[file_of(anchor.case).removesuffix(ANCHORS)].append(anchor)
        for golden in self.goldens:
            cases = {id_: case for id_, case in cases_by_id(golden).items() if id_ in self._taken_over}
            decided = {id_: replace(case, xfail=self._taken_over[id_].xfail) for id_, case in cases.items()}
            self.want(
                golden, [Task(id=id_, case=case, repeats=1, metrics=()) for id_, case in decided.items()]
            )
            self._anchors[golden.path] = anchors[golden.path]
            if golden.anchors:
                self.judge.note_anchors(golden, anchors[golden.path])

    def keep(self, *, resumes: bool, begins: bool = True, joins: bool = False) -> None:
        """
        Write the results as they come.

        Args:
            resumes: Take over those of a run that did not come to its end.
            begins: No earlier process of this run did so.
            joins: The controller of this session does, if it could.

        Raises:
            ResumeError: That run was one of other golden files or settings, or is still under way.
        """
        from pytest_llmops.evaluation.journal import Journal, Seen

        seen = Seen(stamps=self.observer.stamps, errors=lambda: self.attribution.lost_sight(self._recorder))
        if not joins:
            self.journal = Journal.open(self.settings, self.goldens, seen, resumes=resumes, begins=begins)
            if self.store is not None and self.journal is not None:
                self.store.note_journal()
        elif self.store is not None and self.store.has_journal():
            self.journal = Journal.join(self.settings, self.goldens, seen, resumes=resumes)

    def run_affected(self) -> None:
        """Take the baseline's results of the cases that no change since its revision can have touched."""
        from pytest_llmops.evaluation.affected import Affected

        self.affected = Affected(self.source, self.settings)

    def is_over(self, run: Run) -> bool:
        """Return whether nothing of an unfinished run is left to go on with, now that this one has ended."""
        if self.journal is None or not self.journal.resumes:
            return True
        return len(run.results) == sum(len(cases_of(golden, self.settings.shard)) for golden in self.goldens)

    def compare_with(self, source: BaselineSource) -> None:
        """Run the golden files of a source, and judge them against its baseline."""
        self.observer.watch()
        self.source = source = source.leave_out_skipped(strict=self.strict_xfail)
        self.settings = replace(self.settings, prices={**self.settings.prices, **source.prices})
        self.judge = source.judge(self.settings)

    @property
    def goldens(self) -> tuple[Golden, ...]:
        return self.source.goldens

    @property
    def skipped(self) -> dict[str, str]:
        """Why cases of the golden files are not run, by item id; `goldens` has none of them."""
        return {id_: case.skip for id_, case in self.source.skipped.items()}

    @property
    def recorder(self) -> Recorder:
        if self._recorder is None:
            self._recorder = open_recorder(
                self.settings, self.budget, self.store.folder if self.store else None
            )
        return self._recorder

    @property
    def is_empty_shard(self) -> bool:
        """True if the run is of a shard that has no case."""
        shard = self.settings.shard
        return shard is not None and not any(cases_of(golden, shard) for golden in self.goldens)

    def plan(self, golden: Golden) -> list[Task]:
        """The tasks of a golden file, or of its shard, repeated as the settings and the baseline require."""
        base = self.source.base
        known = {result.case for result in base.results} if base else ()
        own = replace(golden, cases=cases_of(golden, self.settings.shard))
        return plan(own, self.settings.repeats, self.settings.max_repeats, known)

    def want(self, golden: Golden, tasks: Iterable[Task]) -> None:
        """Have these tasks run once their file is started."""
        self.tasks.setdefault(golden.path, {}).update((task.id, task) for task in tasks)

    def want_all(self) -> None:
        """Have every case of every golden file run."""
        for golden in self.goldens:
            self.want(golden, self.plan(golden))

    def open_app(self, written: str | Mapping[str, Any]) -> App:
        """
        Return the app of the settings for ordinary tests; all of them share one outside of this process.

        Raises:
            LLMOpsError: It cannot be imported, or is described wrongly.
        """
        key = json.dumps(written, sort_keys=True, default=str)
        app = self._opened.get(key) or open_app(written, self.settings)
        if isinstance(app, RemoteApp):
            self._opened[key] = app
        return app

    def caller(self, app: App, golden: Golden | None = None) -> AppCaller:
        """Return the caller of an app for a golden file; an async app keeps one loop for all its files."""
        opentelemetry.install()
        return AppCaller(
            app=app,
            recorder=self.recorder,
            timeout_s=self.settings.timeout_s,
            prices=self.settings.prices,
            prompts=prompt_versions([golden] if golden else [], self.settings.root),
            root=self.settings.root,
            place=self._place(app, golden),
            raised=self.raised,
        )

    def needs_main_thread(self) -> bool:
        """Return whether an app of the run is called in the main thread."""
        return any(find_place(golden, self.settings) != "threads" for golden in self.goldens)

    def _place(self, app: App, golden: Golden | None) -> Place:
        runs_on = find_place(golden, self.settings)
        if runs_on != "threads" and not isinstance(app, RemoteApp):
            return self.main_thread.place(runs_on)
        # The app is kept, so that no other one gets its id.
        loop = LoopThread(name="llmops-app", at_end=app.close if isinstance(app, RemoteApp) else None)
        loop = self._app_loops.setdefault(id(app), (app, loop))[1]
        if isinstance(app, RemoteApp):
            return Remote(app, loop)
        return Threads(loop)

    def make_ready(self, goldens: Iterable[Golden], app: App | None = None) -> None:
        """
        Check and import all that the cases of the run need: a lack is then one message and no call.

        Args:
            goldens: Those whose app is named by its import path, or is `app`.

        Raises:
            LLMOpsError: Something is missing, or an app cannot be imported.
        """
        for golden in self.goldens:
            if golden.path in self.tasks:
                check_ready(golden, self.tasks[golden.path].values(), self.settings, self.store)
        for golden in goldens:
            self._open_runner(golden, app)
        if tasks := [task for wanted in self.tasks.values() for task in wanted.values()]:
            metrics = [metric for task in tasks for _, metric in task.metrics]
            users = any(task.case.user for task in tasks)
            import_libraries(
                metrics, users=users, record=self.settings.record, scores_here=self.scorer.is_local
            )

    def start(self, golden: Golden, app: App | None = None) -> None:
        """
        Begin the wanted cases of a file, once; of several processes each begins its share.

        Args:
            app: In place of the one that the settings or the file name.

        Raises:
            AppError: No app is named, or it cannot be imported.
        """
        runner = self._open_runner(golden, app)
        if runner.is_started:
            return
        tasks = list(self.tasks[golden.path].values())
        self.attribution.note_checks(metric for task in tasks for _, metric in task.metrics)
        planner = open_planner(golden, self.goldens, self.source.base, self.settings, self.source.release)
        runner.start(tasks, planner)

    def run(self, app: App | None = None) -> None:
        """Run all cases of all files, file by file."""
        self.want_all()
        self.make_ready(self.goldens, app)
        for golden in self.goldens:
            self.start(golden, app)
            self.wait_for_all(golden)

    def give_up(self, reason: str) -> None:
        """Take the results of earlier processes; a case without one is an error for that reason."""
        self.want_all()
        results = self.results()
        self._taken_over = {
            task.id: results.get(task.id) or give_up(task.id, task.case, reason)
            for tasks in self.tasks.values()
            for task in tasks.values()
        }

    def wait(self, golden: Golden, task: Task) -> CaseResult:
        """The last result of a case, once no open verdict of its file asks for further repeats."""
        return self._taken_over.get(task.id) or self._runners[golden.path].wait(task)

    def wait_for_all(self, golden: Golden) -> list[CaseResult]:
        """All results of a file that this run makes."""
        return [self.wait(golden, task) for task in self.tasks[golden.path].values()]

    def wait_for_started(self) -> None:
        """Return when no case that this process began is under way any more."""
        for path, runner in self._runners.items():
            if runner.is_started:
                for task in self.tasks[path].values():
                    runner.wait(task)

    def results(self) -> Mapping[str, CaseResult]:
        """The results that every process of the run has by now, by item id."""
        if self._taken_over:
            return self._taken_over
        if self.store is not None:
            found = latest(self.store.read_all())
            return {case: result for case, result in found.items() if f"{ANCHORS}::" not in case}
        return {
            case: result
            for runner in list(self._runners.values())  # others look while files are opened
            for case, result in runner.finished().items()
        }

    def judge_case(self, golden: Golden, task: Task) -> tuple[CaseResult, tuple[Verdict, ...]]:
        """The result of a case, waited for, and a verdict for each of its checks."""
        result = self.wait(golden, task)
        self._note_anchors(golden)
        if self.judge.needs_movement(golden):
            self.judge.note_movement(golden, mark_copies(self.wait_for_all(golden)))
        judged = result
        if may_have_copies(result):  # which only the other cases tell from a name that all answers have
            of_file = mark_copies(self.wait_for_all(golden))
            judged = next(other for other in of_file if other.case == result.case)
        return result, self.judge.judge_case(task.case, judged)

    def judge_suite(self, golden: Golden, results: Sequence[CaseResult]) -> tuple[Verdict, ...]:
        """A verdict for each suite check of a file with all its cases; made once, for items and table."""
        self._note_anchors(golden)
        if golden.path not in self._suites:
            self._suites[golden.path] = self.judge.judge_suite(golden, mark_copies(results))
        return self._suites[golden.path]

    def anchors(self) -> tuple[CaseResult, ...]:
        """The results of all anchors of this run, by id."""
        with suppress(NotBegunError):  # the run was stopped before they were scored
            for golden in self.goldens:
                self._note_anchors(golden)
        return tuple(result for results in self._anchors.values() for result in results)

    def _note_anchors(self, golden: Golden) -> None:
        """Score the anchors of a golden file once, and let the judge know how far its metrics moved."""
        if golden.path in self._anchors or not golden.anchors:
            return
        own, tasks, outputs = plan_anchors(golden, self.settings)
        runner = CaseRunner(
            golden=own,
            caller=AnchorCaller(
                app=str,
                recorder=self.recorder,
                timeout_s=self.settings.timeout_s,
                prices=self.settings.prices,
                root=self.settings.root,
                outputs=outputs,
            ),
            scorer=self.scorer,
            concurrency=self.settings.cases_at_once,
            store=self.store,
            budget=self.budget,
        )
        try:
            runner.start(tasks, open_planner(own, [own], None, self.settings))
            self._anchors[golden.path] = [runner.wait(task) for task in tasks]
        finally:
            runner.close()
        self.judge.note_anchors(golden, self._anchors[golden.path])

    def suite_verdicts(self, results: Mapping[str, CaseResult]) -> dict[str, tuple[Verdict, ...]]:
        """Suite verdicts by golden file, as `judge_complete` gives them."""
        return {golden.path: self.judge_complete(golden, results) for golden in self.goldens}

    def judge_complete(self, golden: Golden, results: Mapping[str, CaseResult]) -> tuple[Verdict, ...]:
        """The suite verdicts of a file; none if a case of it was not run, or the run is a shard."""
        cases = cases_by_id(golden)
        if self.settings.shard or any(case not in results for case in cases):
            return ()
        return self.judge_suite(golden, [results[case] for case in cases])

    def submit(self, coroutine: Coroutine[Any, Any, Answer]) -> Future[Answer]:
        """Run a coroutine on the run's loop, from whatever thread or loop the caller is in."""
        return self._loop.submit(coroutine)

    def all_errors(self, *, ended: bool = True) -> list[str]:
        """
        A sentence for each error that is none of a case, of every process of the run.

        To be called when all cases are over: listeners finish then.

        Args:
            ended: No case will follow, so that what the app's tracing keeps is to be sent.
        """
        others = self.store.read_reports("errors") if self.store else ()
        earlier = self.journal.errors if self.journal else ()
        return list(dict.fromkeys([*self.attribution.errors(self._recorder, ended=ended), *others, *earlier]))

    def doubts(self) -> list[str]:
        """Sentences on calls and spans of this process that came too late for the check of their case."""
        kept = self._recorder.problems if self._recorder else []
        return [*kept, *self.attribution.warnings()]

    def all_problems(self) -> list[str]:
        """Sentences about results and recordings that could not be kept, of every process of the run."""
        others = self.store.read_reports("problems") if self.store else ()
        services = self._recorder.services if self._recorder else {}
        if self.store:
            services = self.store.read_services()
        replayed = describe_services(services) if self.settings.record != "none" else ()
        limits = describe_limits(self.limits())
        return [*self._own_problems(), *others, *replayed, *limits, *describe_budget(self.budget)]

    def limits(self) -> dict[str, LimitWait]:
        """What limits of providers cost the run, by host, in every process of it."""
        own = self._limit_costs()
        costs = self.store.read_limits(own) if self.store else own
        return {host: LimitWait(waited_s=waited_s, calls=calls) for host, (waited_s, calls) in costs.items()}

    def waiting(self) -> dict[str, int]:
        """How many calls of this process wait for limits now, by host."""
        limits = self._recorder.limits if self._recorder else None
        return limits.waiting() if limits else {}

    def _limit_costs(self) -> dict[str, tuple[float, int]]:
        limits = self._recorder.limits if self._recorder else None
        return limits.costs() if limits else {}

    def stamps(self) -> dict[str, str]:
        """The stamps of the apps, as every process of the run saw them, for its signature."""
        own = self.observer.stamps()
        if self.journal is not None and self.journal.stamps:
            own = join_stamps(self.journal.stamps, own)
        if self.affected is not None:
            stood = self.affected.stamps(self.results().values())
            own = {**stood, **own, **({STAMPED: stood[STAMPED]} if stood else {})}
        if self.store is None:
            return join_folders(own)
        if own:
            self.store.report_stamps(own)  # in place of those of its beginning
        return join_folders(join_stamps(*self.store.read_stamps()))

    def finish_share(self) -> None:
        """
        Wait for cases that other processes need: one that is given up here, they call, and pay for, again.

        To be called where no item of this process is left; not where the run ends early.
        """
        while self.store is not None and not self.store.is_stopped():
            if not any(runner.under_way() for runner in self._runners.values()):
                return
            self.main_thread.pause(_POLL_S)

    def report_to_controller(self) -> None:
        """Hand this process's problems and errors to the one that writes the summary."""
        if self.store is not None:
            self.store.report(self._own_problems(), self.attribution.errors(self._recorder))
            self.store.report_services(self._recorder.services if self._recorder else {})
            self.store.report_stamps(self.observer.stamps())
            self.store.report_limits(self._limit_costs())

    def stop(self) -> None:
        """Let no case begin any more, in this process and in those that share with it."""
        if self.store is not None:
            self.store.stop()
        for runner in self._runners.values():
            runner.stop()

    def close(self) -> None:
        """Give up unfinished cases within moments, and undo all changes to the process."""
        self.attribution.close()
        if self.journal is not None:
            self.journal.close(finished=False)
        self.observer.close()
        self.scorer.close()
        for runner in self._runners.values():
            runner.end()  # all of them, before the first one takes its time to close
        for runner in self._runners.values():
            runner.close()
        self._loop.close()
        for _, loop in self._app_loops.values():
            loop.close()
        self.main_thread.close()
        _open_runs.discard(id(self))
        if not _open_runs:
            forget_hidden()
            if completion := sys.modules.get("pytest_llmops.judges.completion"):
                completion.close()  # an interrupted run waits for no judge
        if self._recorder is not None:
            self._recorder.uninstall()
        process_end.uninstall()

    def _open_runner(self, golden: Golden, app: App | None) -> CaseRunner:
        """Return the runner of a golden file's cases; its app and rival are imported, not called."""
        if golden.path not in self._runners:
            named = None if app else app_path(golden, self.settings)
            with self.recorder.importing(call_rules(golden)), importing(golden, self.settings, self.store):
                if app is None:
                    app = named_app(golden, self.settings, otherwise=self.naming)
                rival = named_rival(golden, self.settings)
            cases = [task.case for task in self.tasks.get(golden.path, {}).values()]
            for called, path in ((app, named or "the app"), (rival, golden.rival or "")):
                if called is not None:
                    check_conversations(called, name_app(path), cases)
            states = {
                path: StateReader.open(path, self.settings.root, called)
                for path in dict.fromkeys(case.state for case in cases if case.state)
                for called in (rival, app)
                if called is not None
            }
            apps = (app, rival, *(reader.function for reader in states.values()))
            self.observer.note(golden, apps, (named, *([golden.rival] if golden.rival else []), *states))
            if self.journal is not None:
                self.journal.check(self.observer.restamp)
            if self.affected is not None:
                self.affected.check(self.observer.restamp)
            self._runners[golden.path] = CaseRunner(
                golden=golden,
                caller=self.caller(app, golden),
                rival=rival and replace(self.caller(rival), place=self._place(rival, golden)),
                scorer=self.scorer,
                concurrency=self.settings.cases_at_once,
                store=self.store,
                budget=self.budget,
                listeners=self.attribution.listeners,
                spans=self.settings.spans,
                base=self._base_cases(),
                main_thread=self.main_thread,
                journal=self.journal,
                affected=self.affected,
                states=states,
            )
            if self.store is not None:  # now, since the app may end this process
                self.store.report_stamps(self.observer.stamps())
        return self._runners[golden.path]

    def _base_cases(self) -> dict[str, CaseResult]:
        return {result.case: result for result in self.source.base.results} if self.source.base else {}

    def _own_problems(self) -> list[str]:
        recorder = self._recorder
        kept = [*recorder.problems, *recorder.describe_other_calls()] if recorder else []
        return [*self.problems, *kept, *self.attribution.warnings()]


def open_planner(
    golden: Golden,
    goldens: Sequence[Golden],
    baseline: Run | None,
    settings: Settings,
    release: Release | None = None,
) -> RepeatPlanner | ReleasePlanner:
    """
    The planner of further repeats for the cases of one golden file.

    Args:
        goldens: All that the run has: they share one error budget.
    """
    last = RepeatPlanner(
        base={result.case: result for result in baseline.results} if baseline else {},
        suite={golden.path: golden.suite},
        most=settings.max_repeats,
        budget=CaseBudget(tests=count_tests(goldens)),
        share=last_share(suite_share(goldens), release),
        explores=settings.repeats == "auto" or any(case.repeats == "auto" for case in golden.cases),
        goldens=(golden,),
        is_part=settings.shard is not None,
    )
    if release is None:
        return last
    return ReleasePlanner(last=last, release=release, share=suite_share(goldens))


def _score_also(golden: Golden, metrics: Iterable[str]) -> Golden:
    """A golden file that records further metrics of all its cases."""
    named = {check.metric for check in golden.suite}
    further = tuple(
        SuiteCheck(metric=metric, statistic="sum", comparison=None, threshold=None, record_only=True)
        for metric in metrics
        if metric not in named
    )
    return replace(golden, suite=(*golden.suite, *further))


def _load(files: Iterable[Path], settings: Settings, notes: list[str]) -> list[Golden]:
    """Load the golden files, each once; the problems of all of them are raised together."""
    goldens: dict[Path, Golden] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            golden = load_golden(file, root=settings.root, calls_app="app" not in settings.flagged)
            problems.extend(find_unfailing(golden))
            if (known := goldens.setdefault(file.resolve(), golden)) is not golden:
                notes.append(f"{golden.path} is the same file as {known.path}, and is run once")
        except GoldenError as error:
            problems.extend(error.problems)
    if problems:
        raise GoldenError(problems)
    return list(goldens.values())

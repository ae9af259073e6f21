"""What the cases of one process share: settings, recorder, scorer, budget, and the tasks under way."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from filelock import BaseFileLock  # noqa: TC002 - the store imports it anyway

from pytest_llmops.detect.seal import seal_result
from pytest_llmops.evaluation.repeating import on_thread, run_until_decided
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.protocols import App
from pytest_llmops.recorder import Recorder
from pytest_llmops.recorder.loop_thread import LoopThread
from pytest_llmops.records import CaseResult, Golden
from pytest_llmops.runner.app import process_end
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.runner.attribution import Attribution
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.cases.execution import Execution, latest
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.imports import import_libraries
from pytest_llmops.runner.opening import (
    close_shared,
    describe_budget,
    named_app,
    open_budget,
    open_caller,
    open_recorder,
    open_rival,
)
from pytest_llmops.runner.readiness import importing
from pytest_llmops.runner.scoring.scorer import Scorer
from pytest_llmops.runner.scoring.time_limit import TimeLimit
from pytest_llmops.runner.signature import prompt_versions
from pytest_llmops.settings import Settings

_POLL_S = 0.02
_open_sessions: set[int] = set()
"""Of this process: what they share is closed with the last of them."""
Answer = TypeVar("Answer")


@dataclass(slots=True)
class Session:
    """
    State of one process of a run; to be closed at its end.

    Attributes:
        naming: How an app is named at this door, for the message of one that is not.
        store: Where results are shared with the other processes of the run.
        given: Results that are there already, by item id: nothing is run for them.
        problems: Sentences about what could not be kept with the results.
        executions: By golden file, since each may name another app.
        repeated: By golden file, the results of one whose cases are repeated while a verdict is open.
        started_s: Monotonic clock, for the summary.
        raised: Case to what the app raised, where a debugger will want it; else None.
    """

    settings: Settings
    naming: str
    scorer: Scorer
    store: SharedStore | None = None
    budget: Budget | None = None
    given: Mapping[str, CaseResult] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    repeated: dict[str, Future[Mapping[str, CaseResult]]] = field(default_factory=dict)
    started_s: float = field(default_factory=time.monotonic)
    problems: list[str] = field(default_factory=list)
    raised: dict[str, BaseException] | None = None
    _errors: dict[str, None] = field(default_factory=dict)
    _recorder: Recorder | None = None
    attribution: Attribution = field(default_factory=Attribution)
    _callers: dict[tuple[int, str], AppCaller] = field(default_factory=dict)
    _alive: dict[str, BaseFileLock] = field(default_factory=dict)
    _closed: bool = False
    _loop: LoopThread = field(default_factory=lambda: LoopThread(name="llmops-llm"))

    @classmethod
    def open(  # noqa: PLR0913 - what its owner decides
        cls,
        settings: Settings,
        *,
        naming: str,
        store: SharedStore | None = None,
        ledger: Path | None = None,
        scorer: Scorer | None = None,
        keeps_raised: bool = False,
    ) -> Session:
        """
        A session; from now on nobody but its owner ends the process unseen.

        Args:
            ledger: Where the processes of a run count what they spend of one budget.
            keeps_raised: Keep what the app raises, for a debugger.

        Raises:
            SettingsError: The budget cannot be read, or no receiver can be opened.
        """
        session = cls(
            settings=settings,
            naming=naming,
            scorer=scorer or Scorer(here=TimeLimit(settings.timeout_s)),
            store=store,
            budget=open_budget(settings, ledger),
            raised={} if keeps_raised else None,
            attribution=Attribution.open(settings),
        )
        process_end.install()
        _open_sessions.add(id(session))
        return session

    @property
    def recorder(self) -> Recorder:
        if self._recorder is None:
            self._recorder = open_recorder(self.settings, self.budget)
        return self._recorder

    def caller(self, app: App, golden: Golden | None = None) -> AppCaller:
        """What calls an app for a golden file; an async app keeps one loop for all its files."""
        place = (id(app), golden.path if golden else "")
        if place not in self._callers:  # which keeps the app alive, so that no other one gets its id
            prompts = prompt_versions([golden] if golden else [], self.settings.root)
            caller = open_caller(app, self.recorder, self.settings, prompts)
            loops = [each.app_loop for each in self._callers.values() if each.app is app]
            self._callers[place] = replace(
                caller, raised=self.raised, app_loop=(loops or [caller.app_loop])[0]
            )
        return self._callers[place]

    def open_file(self, golden: Golden, app: App | None = None) -> Execution:
        """
        What runs the cases of a golden file; nothing is called yet.

        Args:
            app: In place of the one that the settings or the file name.

        Raises:
            AppError: No app is named, or it or its rival cannot be imported.
        """
        if golden.path not in self.executions:
            with importing(golden, self.settings, self.store):
                if app is None:
                    app = named_app(golden, self.settings, otherwise=self.naming)
                rival = open_rival(golden, self.settings, self.caller)
            self.executions[golden.path] = Execution(
                caller=self.caller(app, golden),
                rival=rival,
                scorer=self.scorer,
                concurrency=self.settings.concurrency,
                seal=seal_result,
                store=self.store,
                budget=self.budget,
                listeners=self.attribution.listeners,
            )
        return self.executions[golden.path]

    def import_libraries(self, tasks: Iterable[Task] = ()) -> None:
        """
        Import what this process uses for these tasks while the app is called.

        To be called when the app is imported and before its first call, with the tasks of all files.
        """
        import_libraries(
            [metric for task in tasks for _, metric in task.metrics],
            record=self.settings.record,
            scores_here=self.scorer.is_local,
        )

    def start(
        self, golden: Golden, tasks: Iterable[Task], planner: RepeatPlanner, app: App | None = None
    ) -> None:
        """
        Begin cases of a golden file; only this process's share where several share them.

        Raises:
            AppError: No app is named, or it cannot be imported.
        """
        self.open_file(golden, app)
        tasks = list(tasks)
        self.attribution.note_checks(metric for task in tasks for _, metric in task.metrics)
        if self.store is not None and golden.path not in self._alive:
            self._alive[golden.path] = self.store.announce(golden.path)
        self._submit(golden, tasks)
        if any(task.most for task in tasks):
            self.repeated[golden.path] = on_thread(
                lambda: run_until_decided(
                    tasks, lambda wanted: self._fetch(golden, wanted), planner, self._may_go_on
                )
            )

    def wait(self, golden: Golden, task: Task) -> CaseResult:
        """The last result of a case, once nothing about its golden file is open that repeats could close."""
        if task.id in self.given:
            return self.given[task.id]
        repeated = self.repeated.get(golden.path)
        return self._fetch(golden, [task])[0] if repeated is None else repeated.result()[task.id]

    def _submit(self, golden: Golden, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if self.store is None or self.store.is_mine(task.id):
                self.executions[golden.path].submit(task)

    def _fetch(self, golden: Golden, tasks: Sequence[Task]) -> list[CaseResult]:
        """The results of tasks: by their owners where those workers run them, else run here."""
        submit = self.executions[golden.path].submit
        if self.store is None:
            return [future.result() for future in [submit(task) for task in tasks]]
        here: dict[str, Future[CaseResult]] = {}
        there: dict[str, CaseResult] = {}
        while not self._closed:
            left = [task for task in tasks if task.key not in here and task.key not in there]
            owners = {self.store.owner(task.id) for task in left}
            # Before what they wrote is read: who ends in between has written it.
            busy = {owner for owner in owners if self.store.is_working(owner, golden.path)}
            for task in left:
                if (result := self.store.read(task.key)) is not None:
                    there[task.key] = result
                elif self._is_for_us(task, busy):
                    here[task.key] = submit(task)
            if len(here) + len(there) == len(tasks):
                return [here[key].result() if (key := task.key) in here else there[key] for task in tasks]
            time.sleep(_POLL_S)
        raise RuntimeError("the session has ended")

    def _is_for_us(self, task: Task, busy: set[int]) -> bool:
        """Whether nobody else will run it: a spent budget may have stopped the owner a look before us."""
        if self.store is None or self.store.is_mine(task.id):
            return True
        return self.store.owner(task.id) not in busy or (task.begun is not None and not self._may_go_on())

    def _may_go_on(self) -> bool:
        return not self._closed and (self.budget is None or self.budget.may_go_on())

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine to its end on the session's loop, from whatever thread or loop the caller is in."""
        return self._loop.submit(coroutine).result()

    def own_problems(self) -> list[str]:
        """Sentences about what this process could not keep."""
        kept = [*self._recorder.problems, *self._recorder.describe_other_calls()] if self._recorder else []
        return [*self.problems, *kept, *self.attribution.warnings()]

    def all_problems(self) -> list[str]:
        """The same of every process of the session."""
        others = self.store.read_problems() if self.store else ()
        return [*self.own_problems(), *others, *describe_budget(self.budget)]

    def own_errors(self) -> list[str]:
        """A sentence for each error of the suite, which is none of a case, in this process."""
        self._errors.update(dict.fromkeys(process_end.take_unattributed()))
        return [*self._errors, *self.attribution.errors(self._recorder)]

    def all_errors(self) -> list[str]:
        """The same of every process of the session."""
        return [*self.own_errors(), *(self.store.read_errors() if self.store else ())]

    def results(self) -> Mapping[str, CaseResult]:
        """What this process, or every process of the session, has finished, by item id."""
        if self.given:
            return self.given
        if self.store is not None:
            return latest(self.store.read_all())
        return {
            case: result
            for execution in self.executions.values()
            for case, result in execution.finished().items()
        }

    def finish_share(self) -> None:
        """
        Wait for what other processes wait for: a case that is given up here, they call, and pay for, again.

        To be called where no item of this process is left; not where the run ends early.
        """
        while self.store is not None and not (self._closed or self.store.is_stopped()):
            share: list[Future[Any]] = [
                future for each in self.executions.values() for future in each.under_way()
            ]
            if not wait([*share, *self.repeated.values()], timeout=_POLL_S).not_done:
                return

    def stop(self) -> None:
        """Let no case begin any more, in this process and in those that share with it."""
        if self.store is not None:
            self.store.stop()
        for execution in self.executions.values():
            execution.stop()

    def close(self) -> None:
        self._closed = True
        self.attribution.close()
        for execution in self.executions.values():
            execution.close()
        self.scorer.close()
        _open_sessions.discard(id(self))
        if not _open_sessions:
            close_shared()
        self._loop.close()
        for caller in self._callers.values():
            caller.app_loop.close()
        if self._recorder is not None:
            self._recorder.uninstall()
        for lock in self._alive.values():
            lock.release()
        process_end.uninstall()

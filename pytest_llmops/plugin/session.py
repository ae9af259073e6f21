"""What one pytest session shares: settings, recorder, scorer, and the cases in work by app."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.asking import Asking
from pytest_llmops.plugin import written_settings
from pytest_llmops.plugin.distribution import Controller, is_controller, is_joined, join
from pytest_llmops.plugin.reported import Reported
from pytest_llmops.protocols import App
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import CaseResult, Golden
from pytest_llmops.runner import process_end
from pytest_llmops.runner.asking import Asker
from pytest_llmops.runner.attribution import Attribution
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.execution import Execution, latest
from pytest_llmops.runner.golden_run import (
    named_app,
    open_asker,
    open_budget,
    open_execution,
    open_recorder,
    open_rival,
    tell_budget,
)
from pytest_llmops.runner.importing import importing
from pytest_llmops.runner.loops import LoopThread
from pytest_llmops.runner.rounds import ask_in_rounds
from pytest_llmops.runner.scoring import Scorer
from pytest_llmops.runner.signature import prompt_versions
from pytest_llmops.runner.store import SharedStore
from pytest_llmops.runner.time_limit import TimeLimit
from pytest_llmops.runner.work import Work
from pytest_llmops.settings import Settings, load_settings

if TYPE_CHECKING:
    from filelock import FileLock

_LOOK_S = 0.02
_OF_PYTEST = "pass --llm-app, or define the fixture llm_app in a conftest.py"
Answer = TypeVar("Answer")
_STASH = pytest.StashKey["Session"]()


@dataclass(slots=True)
class Session:
    """
    State of one process of the session.

    Attributes:
        store: Where results are shared, under xdist.
        reported: What became of the items; complete in the process that talks to the user.
        problems: Sentences about what could not be kept beside the cases.
        executions: By golden file, since each may name another app.
        rounds: By golden file, the results of one whose cases are asked again while a verdict is open.
        started_s: Monotonic clock, for the summary.
        raised: Case to what the app raised, where a debugger will want it.
    """

    settings: Settings
    scorer: Scorer
    store: SharedStore | None = None
    executions: dict[str, Execution] = field(default_factory=dict)
    rounds: dict[str, Future[Mapping[str, CaseResult]]] = field(default_factory=dict)
    budget: Budget | None = None
    started_s: float = field(default_factory=time.monotonic)
    reported: Reported = field(default_factory=Reported)
    problems: list[str] = field(default_factory=list)
    raised: dict[str, BaseException] = field(default_factory=dict)
    _debugs: bool = False
    _strays: dict[str, None] = field(default_factory=dict)
    _recorder: Recorder | None = None
    _attribution: Attribution = field(default_factory=Attribution)
    _askers: dict[int, Asker] = field(default_factory=dict)
    _alive: dict[str, FileLock] = field(default_factory=dict)
    _closed: bool = False
    _loop: LoopThread = field(default_factory=lambda: LoopThread(name="llmops-llm"))

    @classmethod
    def of(cls, config: pytest.Config) -> Session:
        """The one session of a config, made on first use and closed with it."""
        if _STASH not in config.stash:
            try:
                settings = load_settings(config.rootpath, *written_settings(config))
            except LLMOpsError as error:
                raise pytest.UsageError(str(error)) from None
            here = TimeLimit(settings.timeout_s)
            session = cls(settings=settings, scorer=Scorer(here=here))
            golden = config.getoption("llm_golden")  # else each test scores where it runs
            store = None
            if is_joined(config):
                store, scorer = join(config, here)
                session.scorer = scorer if golden else session.scorer
            elif is_controller(config) and (golden or session.settings.budget):
                controller = Controller.of(config, session.reported, here)
                config.pluginmanager.register(controller, "llmops-controller")
                store = controller.store
            session.store = store if golden else None
            session._debugs = bool(config.getoption("usepdb"))
            try:
                session.budget = open_budget(session.settings, store.ledger if store else None)
            except LLMOpsError as error:
                raise pytest.UsageError(str(error)) from None
            config.stash[_STASH] = session
            process_end.install()
            config.add_cleanup(session.close)
        return config.stash[_STASH]

    @property
    def recorder(self) -> Recorder:
        if self._recorder is None:
            self._recorder = open_recorder(self.settings, self.budget)
        return self._recorder

    def asker(self, app: App, golden: Golden | None = None) -> Asker:
        """What asks an app; one for each app, so that an async one keeps its loop."""
        if id(app) not in self._askers:  # which keeps it alive, so that no other app gets its id
            prompts = prompt_versions([golden] if golden else [], self.settings.root)
            asker = open_asker(app, self.recorder, self.settings, prompts)
            self._askers[id(app)] = replace(asker, raised=self.raised) if self._debugs else asker
        return self._askers[id(app)]

    def start(self, golden: Golden, works: Iterable[Work], app: App | None, asking: Asking) -> None:
        """
        Put cases of a golden file in work, ahead of their items; only this worker's share under xdist.

        Raises:
            AppError: No app is named, or it cannot be imported.
        """
        self.open(golden, app)
        works = list(works)
        if self.store is not None and golden.path not in self._alive:
            self._alive[golden.path] = self.store.announce(golden.path)
        self._submit(golden, works)
        if any(work.most for work in works):
            self.rounds[golden.path] = _on_thread(
                lambda: ask_in_rounds(
                    works, lambda asked: self._fetch(golden, asked), asking, self._may_go_on
                )
            )

    def wait(self, golden: Golden, work: Work) -> CaseResult:
        """The last result of a case, once nothing about its golden file is open that repeats could close."""
        rounds = self.rounds.get(golden.path)
        return self._fetch(golden, [work])[0] if rounds is None else rounds.result()[work.id]

    def _submit(self, golden: Golden, works: Iterable[Work]) -> None:
        for work in works:
            if self.store is None or self.store.is_mine(work.id):
                self.executions[golden.path].submit(work)

    def _fetch(self, golden: Golden, works: Sequence[Work]) -> list[CaseResult]:
        """The results of pieces of work: by their owners where those workers are at it, else done here."""
        submit = self.executions[golden.path].submit
        if self.store is None:
            return [future.result() for future in [submit(work) for work in works]]
        here: dict[str, Future[CaseResult]] = {}
        there: dict[str, CaseResult] = {}
        while not self._closed:
            busy = {owner for owner in self._owners(works) if self.store.is_working(owner, golden.path)}
            for work in works:
                if work.key in here or work.key in there:
                    continue
                if (result := self.store.read(work.key)) is not None:
                    there[work.key] = result
                elif self._is_for_us(work, busy):
                    here[work.key] = submit(work)
            if len(here) + len(there) == len(works):
                return [here[key].result() if (key := work.key) in here else there[key] for work in works]
            time.sleep(_LOOK_S)
        raise RuntimeError("the session has ended")

    def _owners(self, works: Iterable[Work]) -> set[int]:
        return {self.store.owner(work.id) for work in works} if self.store else set()

    def _is_for_us(self, work: Work, busy: set[int]) -> bool:
        """Whether nobody else will do it: a spent budget may have stopped the owner a round before us."""
        if self.store is None or self.store.is_mine(work.id):
            return True
        return self.store.owner(work.id) not in busy or (work.begun is not None and not self._may_go_on())

    def _may_go_on(self) -> bool:
        return not self._closed and (self.budget is None or self.budget.may_go_on())

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine to its end on the session's loop, from whatever thread or loop the caller is in."""
        return self._loop.submit(work).result()

    def own_problems(self) -> list[str]:
        """Sentences about what this process could not keep."""
        kept = [*self._recorder.problems, *self._recorder.tell_beside()] if self._recorder else []
        return [*self.problems, *kept, *self._attribution.warnings()]

    def all_problems(self) -> list[str]:
        """The same of every process of the session."""
        told = [*self.own_problems(), *(self.store.read_problems() if self.store else ())]
        return [*told, *tell_budget(self.budget)]

    def own_errors(self) -> list[str]:
        """A sentence for each error of the suite, which is none of a case, in this process."""
        self._strays.update(dict.fromkeys(process_end.take_strays()))
        return [*self._strays, *self._attribution.errors(self._recorder)]

    def all_errors(self) -> list[str]:
        """The same of every process of the session."""
        return [*self.own_errors(), *(self.store.read_errors() if self.store else ())]

    def results(self) -> Mapping[str, CaseResult]:
        """What this process, or every process of the session, has finished, by item id."""
        if self.store is not None:
            return latest(self.store.read_all())
        return {
            case: result
            for execution in self.executions.values()
            for case, result in execution.finished().items()
        }

    def stop(self) -> None:
        """Let no case begin any more, in this process and in those that share with it."""
        if self.store is not None:
            self.store.stop()
        for execution in self.executions.values():
            execution.stop()

    def close(self) -> None:
        self._closed = True
        for execution in self.executions.values():
            execution.close()
        self.scorer.close()
        if asking := sys.modules.get("pytest_llmops.judges.asking"):
            asking.close()  # an interrupted session waits for no judge
        self._loop.close()
        for asker in self._askers.values():
            asker.app_loop.close()
        if self._recorder is not None:
            self._recorder.uninstall()
        for lock in self._alive.values():
            lock.release()
        process_end.uninstall()

    def open(self, golden: Golden, app: App | None) -> Execution:
        """
        What runs the cases of a golden file; nothing is called yet.

        Raises:
            AppError: No app is named, or it or its rival cannot be imported.
        """
        if golden.path not in self.executions:
            with importing(golden, self.settings, self.store):
                under_test: Any = (
                    named_app(golden, self.settings, otherwise=_OF_PYTEST) if app is None else app
                )
                rival = open_rival(golden, self.settings, self.asker)
            self.executions[golden.path] = open_execution(
                self.asker(under_test, golden),
                self.settings,
                rival=rival,
                scorer=self.scorer,
                store=self.store,
                budget=self.budget,
            )
        return self.executions[golden.path]


def _on_thread(work: Callable[[], Answer]) -> Future[Answer]:
    """The answer to come of something that waits most of its time; a daemon, since runs are interrupted."""
    done: Future[Answer] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            done.set_exception(error)

    threading.Thread(target=run, name="llmops-rounds", daemon=True).start()
    return done

"""
Cases run concurrently on a thread of their own, before anything waits for them.

Nothing here knows pytest. A case's future holds its `CaseResult`, whatever became of the app.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

from pytest_llmops.detect.seal import seal_result
from pytest_llmops.documents.file_lock import FileLock
from pytest_llmops.errors import CaseFileError, LLMOpsError
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.copies import mark_copies
from pytest_llmops.gates.release import ReleasePlanner
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.golden import input_hash
from pytest_llmops.golden.apps import name_app
from pytest_llmops.golden.files import input_with_files
from pytest_llmops.metrics.conversations import list_asked, sample_for, sample_turn
from pytest_llmops.protocols import Metric, RemoteApp, RunListener, traits_of
from pytest_llmops.recorder.loop_thread import LoopThread
from pytest_llmops.records import Case, CaseResult, Failure, Golden, Output, Sample, Score, Turn
from pytest_llmops.registry import split_turn
from pytest_llmops.runner.app.calls import AppCaller, Called, app_failure
from pytest_llmops.runner.app.main_thread import MainThread
from pytest_llmops.runner.app.printed import collect
from pytest_llmops.runner.app.states import StateReader
from pytest_llmops.runner.app.talks import conversation_of
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.cases.kept_spans import keep_spans
from pytest_llmops.runner.cases.listeners import report_outputs
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task, give_up
from pytest_llmops.runner.scoring import Result, Scorer
from pytest_llmops.settings import Spans

MOST_TRIES = 3
_POLL_S = 0.02
_AFTER_DEATH_S = 1.0  # so that another worker is there, should this one die of the same case
_DEADLY = f"a worker that ran it ended the process {MOST_TRIES} times; run this case alone to see why"
_DEADLY_RIVAL = f"a worker that called it with the app ended the process {MOST_TRIES - 1} times"
_NO_PAIR = "the rival gave no answer to compare with"


class NotBegunError(LLMOpsError):
    """A case was not run, since the session stops."""


class ResultFinder(Protocol):
    """Has results of an earlier run."""

    def find(self, task: Task) -> CaseResult | None:
        """Return the result that it has, if it may be taken over."""


class ResultKeeper(ResultFinder, Protocol):
    """Keeps the results of a run beyond its process."""

    def add(self, result: CaseResult) -> None:
        """Keep a sealed result."""


@dataclass(slots=True, eq=False)
class CaseRunner:
    """
    Runs the cases of one golden file in this process: leases them, calls the app, scores and seals.

    Attributes:
        concurrency: Calls of the app, and of its rival, that may be open at once.
        rival: Calls the app that the file names to be compared with.
        store: Where the processes of a session share results; None when this is the only one.
        budget: Limits further repeats; one that it stops is given up, and no error.
        listeners: Take the outputs with their spans and scores.
        spans: Whose spans are kept.
        base: The cases of the baseline by id: a repeat that scores lower than there keeps its spans.
        main_thread: Has calls made while the main thread waits for a case.
        journal: Keeps results as they come, and has those of an earlier process that did not come to its end.
        affected: Has the baseline's results of cases that no change can have touched.
        states: Read the state of cases and of the rival's, by the path of the function.
    """

    golden: Golden
    caller: AppCaller
    scorer: Scorer
    concurrency: int
    rival: AppCaller | None = None
    store: SharedStore | None = None
    budget: Budget | None = None
    listeners: Sequence[RunListener] = ()
    spans: Spans = "none"
    base: Mapping[str, CaseResult] = field(default_factory=dict)
    main_thread: MainThread = field(default_factory=MainThread)
    journal: ResultKeeper | None = None
    affected: ResultFinder | None = None
    states: Mapping[str, StateReader] = field(default_factory=dict)
    is_started: bool = field(init=False, default=False)
    _futures: dict[str, Future[CaseResult]] = field(default_factory=dict)
    _repeated: Future[Mapping[str, CaseResult]] | None = None
    _alive: FileLock | None = None
    _loop: LoopThread = field(default_factory=lambda: LoopThread(name="llmops-cases"))
    _slots: asyncio.Semaphore = field(init=False)
    _leases: asyncio.Semaphore = field(init=False)
    _narrowing: Narrowing = field(init=False)
    _calling: int = 0
    _price_known: bool = False
    _stopped: bool = False
    _closed: bool = False

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._leases = asyncio.Semaphore(self.concurrency)  # each holds a file open
        self._narrowing = Narrowing(self.concurrency)

    def start(self, tasks: Sequence[Task], planner: RepeatPlanner | ReleasePlanner) -> None:
        """Begin this process's share of the cases; with `auto`, repeat them while a verdict is open."""
        if self.store is not None and self._alive is None:
            self._alive = self.store.announce(self.golden.path)
        for task in tasks:
            if self.store is None or self.store.is_mine(task.id):
                self.submit(task)
        if any(task.most for task in tasks):
            self._repeated = _on_thread(
                lambda: run_until_decided(tasks, self._fetch, planner, self._may_go_on)
            )
        self.is_started = True

    def submit(self, task: Task) -> Future[CaseResult]:
        """Begin a case, unless it was begun before."""
        if task.key not in self._futures:
            self._futures[task.key] = self._loop.submit(self._run(task))
        return self._futures[task.key]

    def wait(self, task: Task) -> CaseResult:
        """Return the last result of a case, once no open verdict of its file asks for further repeats."""
        if self._repeated is None:
            return self._fetch([task])[0]
        return self.main_thread.wait(self._repeated)[task.id]

    def finished(self) -> dict[str, CaseResult]:
        """Return the results that there are, by item id; of a repeated case the last."""
        done = [future for future in list(self._futures.values()) if future.done() and not future.cancelled()]
        return latest(future.result() for future in done if future.exception() is None)

    def under_way(self) -> list[Future[Any]]:
        """Return the futures that have no result yet."""
        futures: list[Future[Any] | None] = [*self._futures.values(), self._repeated]
        return [future for future in futures if future is not None and not future.done()]

    def stop(self) -> None:
        """Begin no further call; those under way go on. Whoever waits gets a NotBegunError."""
        self._stopped = True

    def end(self) -> None:
        """Submit no further case or repeat."""
        self._closed = True

    def close(self) -> None:
        """Stop within moments: unfinished cases are given up, threads of the app are left behind."""
        self.end()
        self._loop.close()
        if self._alive is not None:
            self._alive.release()

    def _fetch(self, tasks: Sequence[Task]) -> list[CaseResult]:
        """Return the results of tasks, in order: those of other processes that run them, else made here."""
        if self.store is None:
            return [self.main_thread.wait(future) for future in [self.submit(task) for task in tasks]]
        fetched: dict[str, CaseResult | Future[CaseResult]] = {}
        left = list(tasks)
        while left:
            if self._closed:
                raise RuntimeError("the session has ended")
            # Owners first, then results: an owner that ends in between has written its results.
            owners = {self.store.owner(task.id) for task in left}
            working = {owner for owner in owners if self.store.is_working(owner, self.golden.path)}
            for task in left:
                owner = self.store.owner(task.id)
                if (result := self.store.read(task.key)) is not None:
                    fetched[task.key] = result
                elif (
                    owner == self.store.worker
                    or owner not in working
                    # A spent budget may have stopped the owner one look earlier than this process.
                    or (task.begun is not None and not self._may_go_on())
                ):
                    fetched[task.key] = self.submit(task)
            left = [task for task in left if task.key not in fetched]
            if left:
                self.main_thread.pause(_POLL_S)
        results = [fetched[task.key] for task in tasks]
        return [self.main_thread.wait(result) if isinstance(result, Future) else result for result in results]

    def _may_go_on(self) -> bool:
        return not self._closed and (self.budget is None or self.budget.may_go_on())

    async def _run(self, task: Task) -> CaseResult:
        """Run a case, or wait for the process that holds its lease and take over should that one die."""
        if self.store is None:
            return await self._call_and_score(task)
        while (result := self.store.read(task.key)) is None:
            async with self._leases:
                with self.store.lease(task.key) as granted:
                    if granted and self.store.read(task.key) is None:
                        result = await self._run_leased(task, self.store)
                        self.store.write(task.key, result)
                        return result
            await asyncio.sleep(_POLL_S)
        return result

    async def _run_leased(self, task: Task, store: SharedStore) -> CaseResult:
        """Run a case that may have ended the processes that began it before."""
        self._check_stopped()  # before it counts as begun
        tries = store.count_tries(task.key) + 1
        if tries > MOST_TRIES:
            return give_up(task.id, task.case, _DEADLY, task.begun)
        async with self._narrowing.room(tries):
            store.count_try(task.key)
            if tries == MOST_TRIES:
                await asyncio.sleep(_AFTER_DEATH_S)
            # The last time without the rival, which may be what ends the process.
            return await self._call_and_score(task, calls_rival=tries < MOST_TRIES)

    async def _call_and_score(self, task: Task, *, calls_rival: bool = True) -> CaseResult:
        """Call the app and its rival, score their answers, and seal the result; or take an earlier one."""
        if (found := self._find_earlier(task)) is not None:
            return found
        begun = task.begun or _blank(task)
        repeats = range(count_repeats(begun), task.repeats)
        rival_id = f"{task.id}::rival"  # no id of a case holds a second `::`
        sides = [(self.caller, task.id)]
        if self.rival is not None and calls_rival:
            sides.append((self.rival, rival_id))
        # The second side may meet a warm cache: in half of the cases, by their input, that is the app.
        step = -1 if int(input_hash(task.case)[-1], 16) % 2 else 1
        with collect() as printed:
            called = await asyncio.gather(*(self._call(*side, task, repeats) for side in sides[::step]))
        answers, *rest = called[::step]
        others: Sequence[Called] = [_blame_rival(answer) for answer in rest[0]] if rest else []
        if self.rival is not None and not calls_rival:
            others = [Called(app_failure(repeat, _DEADLY_RIVAL)) for repeat in repeats]
        if task.begun and self.budget is not None:
            answers, others = _within(self.budget, answers), _within(self.budget, others)

        metrics = dict(task.metrics)
        single = {name: metric for name, metric in metrics.items() if not traits_of(metric).compares}
        results, rival_results = await asyncio.gather(
            self._score(task, task.id, metrics, answers, others),
            self._score(task, rival_id, single, others, answers),
        )
        report_outputs(self.listeners, task, answers, results)

        rival = None
        if self.rival is not None:
            rival_results += _turn_round(metrics, results)
            rival = _grow(begun.rival or _blank(task), others, rival_results)
        case = task.case
        result = seal_result(
            replace(
                _grow(begun, answers, results),
                printed=(*begun.printed, *printed.texts()),
                error_logs=begun.error_logs + printed.errors,
                input=case.input,
                turns=(*begun.turns, *_keep_turns(answers)),
                spans=(
                    *begun.spans,
                    *keep_spans(self.spans, case.checks, answers, results, self.base.get(task.id)),
                ),
                checks=case.checks,
                auto=task.most,
                group=case.group,
                xfail=case.xfail,
                rival=rival,
            )
        )
        if self.journal is not None:
            self.journal.add(result)
        return result

    def _find_earlier(self, task: Task) -> CaseResult | None:
        """Return a result that may be taken over; of an app elsewhere nobody knows whether it is the same."""
        if any(isinstance(called.app, RemoteApp) for called in (self.caller, self.rival) if called):
            return None
        finders = [finder for finder in (self.journal, self.affected) if finder is not None]
        return next((found for finder in finders if (found := finder.find(task)) is not None), None)

    async def _call(
        self, caller: AppCaller, case: str, task: Task, repeats: Iterable[int]
    ) -> Sequence[Called]:
        """Call one side for all repeats, as many at once as there are slots and money."""

        async def call(repeat: int) -> Called:
            async with self._slots:
                self._check_stopped()
                while self.budget and self.budget.is_crowded(self._calling, learned=self._price_known):  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)  # other processes spend of it too, and set no event here
                self._calling += 1
                try:
                    question = conversation_of(task.case, repeat) or input_with_files(task.case, caller.root)
                    reader = self.states.get(task.case.state)
                    return await caller.call(case, repeat, question, task.rules, reader)
                except CaseFileError as error:
                    return Called(app_failure(repeat, str(error)))
                finally:
                    self._calling -= 1
                    self._price_known = True

        return await asyncio.gather(*map(call, repeats))

    def _check_stopped(self) -> None:
        if self._stopped or (self.store is not None and self.store.is_stopped()):
            raise NotBegunError("not called: the session stops after a failure (-x, --maxfail)")

    async def _score(
        self,
        task: Task,
        case: str,
        metrics: Mapping[str, Metric],
        answers: Sequence[Called],
        others: Sequence[Called],
    ) -> list[Result]:
        """
        Score the outputs of one side.

        With a rival, metrics of pairs compare with its answer of the same repeat, never with a reference.

        Args:
            case: Names the recordings of judges.
            others: Answers of the other side.
        """
        rivals = {
            called.answer.repeat: called
            for called in others
            if isinstance(called.answer, Output) and not called.fault
        }
        complete = [called for called in answers if isinstance(called.answer, Output)]
        pairs = {name for name, metric in metrics.items() if self.rival and traits_of(metric).compares}
        jobs: dict[str, Future[Sequence[Result]]] = {}
        failures: list[Result] = []
        for name, metric in metrics.items():
            # What a user broke off says nothing of the app, but that it leaked.
            heard = [called for called in complete if not (called.fault and traits_of(metric).excusable)]
            samples = [_sample(task, case, name, metric, called, rivals) for called in heard]
            scorable = samples
            if name in pairs:
                scorable = [sample for sample in samples if sample.rival is not None]
                failures += [
                    Failure(metric=name, stage="rival", error=_NO_PAIR, repeat=sample.output.repeat)
                    for sample in samples
                    if sample.rival is None
                ]
            if scorable:
                jobs[name] = self.scorer.submit(metric, scorable)
        results: list[Result] = []
        scored = await asyncio.gather(*map(asyncio.wrap_future, jobs.values()))
        for name, batch in zip(jobs, scored, strict=True):
            for result in batch:
                if name in pairs and isinstance(result, Score):  # another rival would have moved it
                    signature = f"{result.signature}|rival {name_app(self.golden.rival or '')}"
                    results.append(replace(result, metric=name, signature=signature))
                else:
                    results.append(replace(result, metric=name))
        return [*results, *failures]


@dataclass(slots=True, eq=False)
class Narrowing:
    """
    Finds the case that ends processes among those that ran at the same time.

    Cases that a process took along when it ended are run in small groups, and those of a group that ended one
    again each alone, so that only a case that ends a process by itself is begun more than `MOST_TRIES` times.

    Attributes:
        concurrency: Cases that may run at once when nothing has ended.
    """

    concurrency: int
    _running: Counter[int] = field(default_factory=Counter)
    _waiting: int = 0  # to be alone; no case may begin before them, or they would wait for ever
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def room(self, tries: int) -> AsyncIterator[None]:
        """Wait until a case may run that has been begun `tries` times, this time included."""
        level = min(tries, MOST_TRIES)
        alone = level == MOST_TRIES
        group = max(math.isqrt(self.concurrency), 1) if level > 1 else self.concurrency

        def has_room() -> bool:
            if alone:
                return self._running.total() == 0
            return not self._waiting and not self._running[MOST_TRIES] and self._running[level] < group

        async with self._changed:
            self._waiting += alone
            try:
                await self._changed.wait_for(has_room)
            finally:
                self._waiting -= alone
            self._running[level] += 1
        try:
            yield
        finally:
            async with self._changed:
                self._running[level] -= 1
                self._changed.notify_all()


def run_until_decided(
    tasks: Iterable[Task],
    fetch: Callable[[Sequence[Task]], Sequence[CaseResult]],
    planner: RepeatPlanner | ReleasePlanner,
    may_go_on: Callable[[], bool] = lambda: True,
) -> dict[str, CaseResult]:
    """
    Return item id to result, once no verdict is open or `may_go_on` returns False.

    The next repeats follow only from the results, so that processes which share them agree on them.

    Args:
        fetch: Has tasks run, here or elsewhere, and returns their results in order.
    """
    planned = {task.id: task for task in tasks}
    results = {result.case: result for result in fetch(list(planned.values()))}
    planner = planner.rescored(list(results.values()))
    while (wanted := planner.next_repeats(mark_copies(list(results.values())))) and may_go_on():
        further = [
            replace(planned[case], repeats=repeats, begun=results[case]) for case, repeats in wanted.items()
        ]
        results |= {result.case: result for result in fetch(further)}
    return results


def latest(results: Iterable[CaseResult]) -> dict[str, CaseResult]:
    """Return item id to result, of several of one case the one with the most repeats."""
    kept: dict[str, CaseResult] = {}
    for result in results:
        if result.case not in kept or count_repeats(kept[result.case]) < count_repeats(result):
            kept[result.case] = result
    return kept


def _on_thread(
    run: Callable[[], Mapping[str, CaseResult]],
) -> Future[Mapping[str, CaseResult]]:
    """Run on a daemon thread, since it waits most of its time and runs are interrupted."""
    done: Future[Mapping[str, CaseResult]] = Future()

    def settle() -> None:
        try:
            done.set_result(run())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            done.set_exception(error)

    threading.Thread(target=settle, name="llmops-repeats", daemon=True).start()
    return done


def _blank(task: Task) -> CaseResult:
    return CaseResult(case=task.id, input_hash=input_hash(task.case))


def _sample(  # noqa: PLR0913, PLR0917 - a metric, and both sides of a case
    task: Task, case: str, name: str, metric: Metric, called: Called, rivals: Mapping[int, Called]
) -> Sample:
    """Return what a metric of a case, or of one of its turns, scores of a complete repeat."""
    rival = rivals.get(called.answer.repeat)
    turn = split_turn(name)[0]
    compares = rival is not None and traits_of(metric).compares

    def read(side: Called) -> Sample:
        sample = Sample(
            output=cast("Output", side.answer),  # of complete repeats
            input=_input_of(task.case, side),
            reference=task.case.reference,
            relevant=task.case.relevant,
            spans=side.spans,
            case=case,
            turns=side.turns,
            expected=task.case.expected,
            state=side.state,
        )
        if turn:
            return sample_turn(sample, turn)
        return sample_for(metric, sample, reads="transcript" if compares else None)

    return replace(read(called), rival=read(rival).output.text if rival is not None else None)


def _input_of(case: Case, called: Called) -> Any:
    """Return the input of a case; with a simulated user, the messages that it wrote."""
    return list_asked(case.history, (turn.asked for turn in called.turns)) if case.user else case.input


def _keep_turns(answers: Sequence[Called]) -> Iterator[Turn]:
    """Yield the turns that were answered, as a result has them."""
    for called in answers:
        for number, turn in enumerate(called.turns, 1):
            yield Turn(
                turn=number,
                user=turn.asked.user,
                text=turn.output.text,
                repeat=called.answer.repeat,
                tool_calls=turn.output.tool_calls,
                latency_s=turn.output.latency_s,
            )


def _grow(begun: CaseResult, answers: Sequence[Called], results: Sequence[Result]) -> CaseResult:
    """Add further answers of one side, and their scores, to its result."""
    made = [*(called.answer for called in answers), *results]
    made += [
        Failure(metric="", stage="user", error=called.fault, repeat=called.answer.repeat)
        for called in answers
        if called.fault and isinstance(called.answer, Output)
    ]
    return replace(
        begun,
        outputs=(*begun.outputs, *(output for output in made if isinstance(output, Output))),
        scores=(*begun.scores, *(score for score in made if isinstance(score, Score))),
        failures=(*begun.failures, *(failure for failure in made if isinstance(failure, Failure))),
    )


def _blame_rival(called: Called) -> Called:
    """Name the rival in a failure that speaks of the app, since the rival was called."""
    answer = called.answer
    if isinstance(answer, Failure) and answer.error.startswith("the app "):
        answer = replace(answer, error=f"the rival {answer.error.removeprefix('the app ')}")
    return called._replace(answer=answer)


def _turn_round(metrics: Mapping[str, Metric], results: Sequence[Result]) -> list[Score]:
    """Turn the app's scores of pairs into its rival's; their reasons stay with the app's."""
    turned = []
    for score in results:
        metric = metrics[score.metric]
        if isinstance(score, Score) and traits_of(metric).compares and all(map(math.isfinite, metric.range)):
            turned.append(replace(score, value=sum(metric.range) - score.value, reason="", evidence=()))
    return turned


def _within(budget: Budget, answers: Sequence[Called]) -> Sequence[Called]:
    """Keep the further repeats before the first that the budget stopped; the others are no errors."""
    for index, called in enumerate(answers):
        if isinstance(called.answer, Failure) and budget.refused(called.answer):
            return answers[:index]
    return answers

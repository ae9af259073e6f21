"""
The loop: cases run concurrently on a separate thread, before anything waits for them.

Nothing here knows pytest. A case's future holds its `CaseResult`, whatever became of the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from pytest_llmops.errors import CaseFileError, LLMOpsError
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.golden import input_hash
from pytest_llmops.golden.attached import input_with_files
from pytest_llmops.protocols import Metric
from pytest_llmops.records import CaseResult, Failure, Output, Sample, Score
from pytest_llmops.runner.app.calls import AppCaller, Called
from pytest_llmops.runner.app.loops import LoopThread
from pytest_llmops.runner.app.printed import collect
from pytest_llmops.runner.app.rivals import (
    Rival,
    blame_rival,
    is_of_pairs,
    pair_up,
    refuse,
    rival_id,
    sign_pair,
    texts_of,
    turn_round,
)
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.cases.listeners import RunListener, report_outputs
from pytest_llmops.runner.cases.narrowing import MOST_TRIES, Narrowing
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.runner.cases.tasks import Task, give_up
from pytest_llmops.runner.scoring.scorer import Result, Scorer

_POLL_S = 0.02
_AFTER_DEATH_S = 1.0  # so that another worker is there, should this one die of the same case
_ENDED = f"a worker that asked it beside the app ended the process {MOST_TRIES - 1} times"


class NotBegunError(LLMOpsError):
    """A case was not run, since the session stops."""


@dataclass(slots=True)
class Execution:
    """
    Cases in task, in this process.

    Attributes:
        concurrency: Questions to the app, and to its rival, that may be open at once.
        seal: Applied to a finished result before anybody sees it; masks what a leak check found.
        budget: What further repeats may cost; one that it stops is given up, and no error.
        store: Where the processes of a session share results; None when this is the only one.
        listeners: Take the outputs with their spans and scores.
    """

    caller: AppCaller
    scorer: Scorer
    concurrency: int
    rival: Rival | None = None
    seal: Callable[[CaseResult], CaseResult] = lambda result: result
    store: SharedStore | None = None
    budget: Budget | None = None
    listeners: Sequence[RunListener] = ()
    _futures: dict[str, Future[CaseResult]] = field(default_factory=dict)
    _loop: LoopThread = field(default_factory=lambda: LoopThread(name="llmops-cases"))
    _slots: asyncio.Semaphore = field(init=False)
    _leases: asyncio.Semaphore = field(init=False)
    _narrowing: Narrowing = field(init=False)
    _calling: int = 0
    _learned: bool = False
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._leases = asyncio.Semaphore(self.concurrency)  # each holds a file open
        self._narrowing = Narrowing(self.concurrency)

    def submit(self, task: Task) -> Future[CaseResult]:
        """Start on a case, unless it was started before."""
        if task.key not in self._futures:
            self._futures[task.key] = self._loop.submit(self._do_once(task))
        return self._futures[task.key]

    def finished(self) -> dict[str, CaseResult]:
        """The results there are, by item id; of a repeated case the last."""
        done = [each for each in list(self._futures.values()) if each.done() and not each.cancelled()]
        return latest(future.result() for future in done if future.exception() is None)

    def under_way(self) -> list[Future[CaseResult]]:
        """What was submitted and has no result yet."""
        return [each for each in list(self._futures.values()) if not each.done()]

    def stop(self) -> None:
        """Begin no further question; what is under way goes on. Whoever waits gets a NotBegunError."""
        self._stopped = True

    def close(self) -> None:
        """Stop within moments: what is not finished is given up, threads of the app are left behind."""
        self.scorer.close()
        self._loop.close()
        self.caller.app_loop.close()
        if self.rival is not None:
            self.rival.caller.app_loop.close()

    async def _do_once(self, task: Task) -> CaseResult:
        """Do a case, or wait for the process that holds its lease; take over should that one die."""
        if self.store is None:
            return await self._do(task)
        while True:
            result = self.store.read(task.key)
            if result is not None:
                return result
            async with self._leases:
                with self.store.lease(task.key) as granted:
                    if granted and self.store.read(task.key) is None:
                        result = await self._try(task, self.store)
                        self.store.write(task.key, result)
                        return result
            await asyncio.sleep(_POLL_S)

    async def _try(self, task: Task, store: SharedStore) -> CaseResult:
        """Do a case, which may have ended the processes that began it; to be called with its lease."""
        self._check_stopped()  # before it counts as begun
        tries = store.count_tries(task.key) + 1
        if tries > MOST_TRIES:
            return _deadly(task)
        async with self._narrowing.room(tries):
            store.count_try(task.key)
            if tries == MOST_TRIES:
                await asyncio.sleep(_AFTER_DEATH_S)
            # The last time without the rival, which may be what ends the process.
            return await self._do(task, alone=tries == MOST_TRIES)

    async def _do(self, task: Task, *, alone: bool = False) -> CaseResult:
        """`alone` leaves the rival out, as one that gave no answer."""
        begun = task.begun or _blank(task)
        repeats = range(count_repeats(begun), task.repeats)
        with collect() as printed:
            answers, others = await self._call_both(task, repeats, alone=alone)
        if task.begun and self.budget:
            answers, others = _within(self.budget, answers), _within(self.budget, others)
        results, rival_results = await self._score_both(task, answers, others)
        report_outputs(self.listeners, task, answers, results)
        rival = _grown(begun.rival or _blank(task), others, rival_results) if self.rival is not None else None
        grown = replace(_grown(begun, answers, results), printed=(*begun.printed, *printed.texts()))
        case = task.case
        return self.seal(replace(grown, checks=case.checks, auto=task.most, group=case.group, rival=rival))

    async def _call_both(
        self, task: Task, repeats: Iterable[int], *, alone: bool
    ) -> tuple[Sequence[Called], Sequence[Called]]:
        """The app's answers and its rival's; in half of the cases the rival is first, as for a fair clock."""
        app = self._call_all(self.caller, task.id, task, repeats)
        if self.rival is None:
            return await app, []
        rival = self._call_rival(self.rival, task, repeats, alone=alone)
        if _calls_rival_first(task):
            others, answers = await asyncio.gather(rival, app)
        else:
            answers, others = await asyncio.gather(app, rival)
        return answers, others

    async def _call_all(
        self, caller: AppCaller, case: str, task: Task, repeats: Iterable[int]
    ) -> Sequence[Called]:
        return await asyncio.gather(*(self._call(caller, case, repeat, task) for repeat in repeats))

    async def _call_rival(
        self, rival: Rival, task: Task, repeats: Iterable[int], *, alone: bool
    ) -> Sequence[Called]:
        if alone:
            return refuse(repeats, _ENDED)
        answers = await self._call_all(rival.caller, rival_id(task.id), task, repeats)
        return [(blame_rival(answer), spans) for answer, spans in answers]

    async def _call(self, caller: AppCaller, case: str, repeat: int, task: Task) -> Called:
        async with self._slots:
            self._check_stopped()
            while self.budget and self.budget.is_crowded(self._calling, learned=self._learned):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)  # other processes spend of it too, and set no event here
            self._calling += 1
            try:
                return await caller.call(case, repeat, input_with_files(task.case, caller.root), task.rules)
            except CaseFileError as error:
                return Failure(metric="", stage="app", error=str(error), repeat=repeat), ()
            finally:
                self._calling -= 1
                self._learned = True

    def _check_stopped(self) -> None:
        if self._stopped or (self.store is not None and self.store.is_stopped()):
            raise NotBegunError("not called: the session stops after a failure (-x, --maxfail)")

    async def _score_both(
        self, task: Task, answers: Sequence[Called], others: Sequence[Called]
    ) -> tuple[list[Result], list[Result]]:
        """The scores of the app and of its rival; a metric of pairs runs once, for the app."""
        mine, theirs = texts_of(_outputs(answers)), texts_of(_outputs(others))
        metrics = dict(task.metrics)
        if self.rival is None:
            return await self._score(metrics, _samples(task, task.id, answers, theirs)), []
        of_one = {name: metric for name, metric in metrics.items() if not is_of_pairs(metric)}
        results, rival_results = await asyncio.gather(
            self._score(metrics, _samples(task, task.id, answers, theirs)),
            self._score(of_one, _samples(task, rival_id(task.id), others, mine)),
        )
        turned = turn_round(metrics, [each for each in results if isinstance(each, Score)])
        return results, [*rival_results, *turned]

    async def _score(self, metrics: Mapping[str, Metric], samples: Sequence[Sample]) -> list[Result]:
        failures: list[Result] = []
        jobs: dict[str, Future[Sequence[Result]]] = {}
        for name, metric in metrics.items():
            whole, lacking = pair_up(metric, samples, self.rival)
            failures += [replace(each, metric=name) for each in lacking]
            if whole:
                jobs[name] = self.scorer.submit(metric, whole)
        found = await asyncio.gather(*map(asyncio.wrap_future, jobs.values()))
        results = [
            replace(sign_pair(metrics[name], result, self.rival), metric=name)
            for name, scored in zip(jobs, found, strict=True)
            for result in scored
        ]
        return [*results, *failures]


def _calls_rival_first(task: Task) -> bool:
    """Of half of the cases, whatever their order in the file: who is second may meet a warm cache."""
    return int(input_hash(task.case)[-1], 16) % 2 == 1


def _samples(task: Task, case: str, answers: Sequence[Called], others: Mapping[int, str]) -> list[Sample]:
    """The samples of one side, each with the other side's text of the same repeat."""
    return [
        Sample(
            output=output,
            input=task.case.input,
            reference=task.case.reference,
            relevant=task.case.relevant,
            spans=spans,
            case=case,
            rival=others.get(output.repeat),
        )
        for output, spans in answers
        if isinstance(output, Output)
    ]


def _outputs(answers: Sequence[Called]) -> list[Output]:
    return [output for output, _ in answers if isinstance(output, Output)]


def _grown(begun: CaseResult, answers: Sequence[Called], results: Sequence[Result]) -> CaseResult:
    """What there was of one side, with further answers and what was said of them."""
    failures = [output for output, _ in answers if isinstance(output, Failure)]
    return replace(
        begun,
        outputs=(*begun.outputs, *_outputs(answers)),
        scores=(*begun.scores, *(result for result in results if isinstance(result, Score))),
        failures=(*begun.failures, *failures, *(each for each in results if isinstance(each, Failure))),
    )


def latest(results: Iterable[CaseResult]) -> dict[str, CaseResult]:
    """Item id to result, of several of one case the one with the most repeats."""
    found: dict[str, CaseResult] = {}
    for result in results:
        if result.case not in found or count_repeats(found[result.case]) < count_repeats(result):
            found[result.case] = result
    return found


def _within(budget: Budget, answers: Sequence[Called]) -> Sequence[Called]:
    """The further repeats before the first that the budget stopped; the others are given up, and no error."""
    stopped = (
        index
        for index, (answer, _) in enumerate(answers)
        if isinstance(answer, Failure) and budget.refused(answer)
    )
    return answers[: next(stopped, len(answers))]


def _blank(task: Task) -> CaseResult:
    return CaseResult(case=task.id, input_hash=input_hash(task.case))


def _deadly(task: Task) -> CaseResult:
    error = f"a worker that ran it ended the process {MOST_TRIES} times; run this case alone to see why"
    return give_up(task.id, task.case, error, task.begun)

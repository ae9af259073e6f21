"""
The loop: cases run concurrently on a thread of its own, ahead of whoever waits for them.

Nothing here knows pytest. A case's future holds its `CaseResult`, whatever became of the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from pytest_llmops.gates.pairing import count_repeats
from pytest_llmops.golden import input_hash
from pytest_llmops.records import CaseResult, Failure, Output, Sample, Score, Span
from pytest_llmops.runner.asking import Asked, Asker
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.loops import LoopThread
from pytest_llmops.runner.scoring import Scorer
from pytest_llmops.runner.store import SharedStore
from pytest_llmops.runner.work import Work

_POLL_S = 0.02
_MOST_TRIES = 3
_AFTER_DEATH_S = 1.0  # so that another worker is there, should this one die of the same case


@dataclass(slots=True)
class Execution:
    """
    Cases in work, in this process.

    Attributes:
        concurrency: Questions to the app that may be open at once.
        seal: Applied to a finished result before anybody sees it; masks what a leak check found.
        budget: What further repeats may cost; one that it stops is given up, and no error.
        store: Where the processes of a session share results; None when this is the only one.
    """

    asker: Asker
    scorer: Scorer
    concurrency: int
    seal: Callable[[CaseResult], CaseResult] = lambda result: result
    store: SharedStore | None = None
    budget: Budget | None = None
    _futures: dict[str, Future[CaseResult]] = field(default_factory=dict)
    _loop: LoopThread = field(default_factory=lambda: LoopThread(name="llmops-cases"))
    _slots: asyncio.Semaphore = field(init=False)
    _leases: asyncio.Semaphore = field(init=False)
    _asking: int = 0
    _learned: bool = False

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._leases = asyncio.Semaphore(self.concurrency)  # each holds a file open

    def submit(self, work: Work) -> Future[CaseResult]:
        """Start on a case, unless it was started before."""
        if work.key not in self._futures:
            self._futures[work.key] = self._loop.submit(self._do_once(work))
        return self._futures[work.key]

    def finished(self) -> dict[str, CaseResult]:
        """The results there are, by item id; of a case that was asked again the last."""
        done = [each for each in list(self._futures.values()) if each.done() and not each.cancelled()]
        return latest(future.result() for future in done if future.exception() is None)

    def close(self) -> None:
        """Stop within moments: what is not finished is given up, threads of the app are left behind."""
        self.scorer.close()
        self._loop.close()
        self.asker.app_loop.close()

    async def _do_once(self, work: Work) -> CaseResult:
        """Do a case, or wait for the process that holds its lease; take over should that one die."""
        if self.store is None:
            return await self._do(work)
        while True:
            result = self.store.read(work.key)
            if result is not None:
                return result
            async with self._leases:
                with self.store.lease(work.key) as granted:
                    if granted and self.store.read(work.key) is None:
                        tries = self.store.count_try(work.key)
                        if tries > 1:
                            await asyncio.sleep(_AFTER_DEATH_S)
                        result = _deadly(work) if tries > _MOST_TRIES else await self._do(work)
                        self.store.write(work.key, result)
                        return result
            await asyncio.sleep(_POLL_S)

    async def _do(self, work: Work) -> CaseResult:
        begun = _begun(work)
        asked = range(count_repeats(begun), work.repeats)
        answers: Sequence[Asked] = await asyncio.gather(*(self._ask(work, repeat) for repeat in asked))
        if work.begun and self.budget:
            answers = _within(self.budget, answers)
        outputs = [(output, spans) for output, spans in answers if isinstance(output, Output)]
        failures = [output for output, _ in answers if isinstance(output, Failure)]
        results = await self._score(work, outputs)
        return self.seal(
            replace(
                begun,
                outputs=(*begun.outputs, *(output for output, _ in outputs)),
                scores=(*begun.scores, *(result for result in results if isinstance(result, Score))),
                failures=(
                    *begun.failures,
                    *failures,
                    *(result for result in results if isinstance(result, Failure)),
                ),
                checks=work.case.checks,
                auto=work.most,
            )
        )

    async def _ask(self, work: Work, repeat: int) -> Asked:
        async with self._slots:
            while self.budget and self.budget.is_crowded(self._asking, learned=self._learned):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)  # other processes spend of it too, and set no event here
            self._asking += 1
            try:
                return await self.asker.ask(work.id, repeat, work.case.input)
            finally:
                self._asking -= 1
                self._learned = True

    async def _score(
        self, work: Work, outputs: Sequence[tuple[Output, tuple[Span, ...]]]
    ) -> list[Score | Failure]:
        samples = [
            Sample(
                output=output,
                input=work.case.input,
                reference=work.case.reference,
                relevant=work.case.relevant,
                spans=spans,
                case=work.id,
            )
            for output, spans in outputs
        ]
        jobs = [
            asyncio.wrap_future(self.scorer.submit(metric, samples)) for _, metric in work.metrics if samples
        ]
        named = zip(work.metrics, await asyncio.gather(*jobs), strict=False)
        return [replace(result, metric=name) for (name, _), results in named for result in results]


def latest(results: Iterable[CaseResult]) -> dict[str, CaseResult]:
    """Item id to result, of several of one case the one with the most repeats."""
    found: dict[str, CaseResult] = {}
    for result in results:
        if result.case not in found or count_repeats(found[result.case]) < count_repeats(result):
            found[result.case] = result
    return found


def _within(budget: Budget, answers: Sequence[Asked]) -> Sequence[Asked]:
    """The further repeats before the first that the budget stopped; the others are given up, and no error."""
    stopped = (
        index
        for index, (answer, _) in enumerate(answers)
        if isinstance(answer, Failure) and budget.refused(answer)
    )
    return answers[: next(stopped, len(answers))]


def _begun(work: Work) -> CaseResult:
    """What there is of a case before it is asked, or asked again."""
    return work.begun or CaseResult(case=work.id, input_hash=input_hash(work.case))


def _deadly(work: Work) -> CaseResult:
    error = f"a worker that ran it ended the process {_MOST_TRIES} times; run this case alone to see why"
    begun = _begun(work)
    failure = Failure(metric="", stage="app", error=error, repeat=count_repeats(begun))
    return replace(begun, failures=(*begun.failures, failure))

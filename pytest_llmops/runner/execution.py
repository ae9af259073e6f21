"""
The loop: cases run concurrently on a thread of its own, ahead of whoever waits for them.

Nothing here knows pytest. A case's future holds its `CaseResult`, whatever became of the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.golden import input_hash
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Case, CaseResult, Failure, Golden, Output, Sample, Score, Span
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.asking import Asker
from pytest_llmops.runner.loops import LoopThread
from pytest_llmops.runner.scoring import Scorer
from pytest_llmops.runner.store import SharedStore

_POLL_S = 0.02
_MOST_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One case to do: `id` is the item's, `metrics` every one that it is scored with, by name."""

    id: str
    case: Case
    repeats: int
    metrics: tuple[tuple[str, Metric], ...]


def plan(golden: Golden, repeats: int) -> list[Work]:
    """The work of a golden file, in its order; a case is scored for its own checks and the suite's."""
    return [
        Work(
            id=f"{golden.path}::{case.id}",
            case=case,
            repeats=case.repeats or repeats,
            metrics=tuple(_metrics(golden, case).items()),
        )
        for case in golden.cases
    ]


def _metrics(golden: Golden, case: Case) -> dict[str, Metric]:
    metrics = {check.metric: create_metric(check.metric, check.options) for check in case.checks}
    for check in golden.suite:
        if check.metric in metrics:
            continue
        try:
            metric = create_metric(check.metric, check.options)
        except MetricOptionError:  # it says something only of cases that say what to look for, as keywords
            continue
        if _can_score(metric, case):
            metrics[check.metric] = metric
    return metrics


def _can_score(metric: Metric, case: Case) -> bool:
    """Whether a suite's metric says anything of this case: without a reference it cannot."""
    return not (
        ("reference" in metric.needs and case.reference is None)
        or ("relevant" in metric.needs and not case.relevant)
    )


@dataclass(slots=True)
class Execution:
    """
    Cases in work, in this process.

    Attributes:
        concurrency: Questions to the app that may be open at once.
        seal: Applied to a finished result before anybody sees it; masks what a leak check found.
        store: Where the processes of a session share results; None when this is the only one.
    """

    asker: Asker
    scorer: Scorer
    concurrency: int
    seal: Callable[[CaseResult], CaseResult] = lambda result: result
    store: SharedStore | None = None
    _futures: dict[str, Future[CaseResult]] = field(default_factory=dict)
    _loop: LoopThread = field(default_factory=lambda: LoopThread(name="llmops-cases"))
    _slots: asyncio.Semaphore = field(init=False)
    _leases: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self._leases = asyncio.Semaphore(self.concurrency)  # each holds a file open

    def submit(self, work: Work) -> Future[CaseResult]:
        """Start on a case, unless it was started before."""
        if work.id not in self._futures:
            self._futures[work.id] = self._loop.submit(self._do_once(work))
        return self._futures[work.id]

    def finished(self) -> dict[str, CaseResult]:
        """The results there are, by item id."""
        done = {
            case: future for case, future in self._futures.items() if future.done() and not future.cancelled()
        }
        return {case: future.result() for case, future in done.items() if future.exception() is None}

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
            result = self.store.read(work.id)
            if result is not None:
                return result
            async with self._leases:
                with self.store.lease(work.id) as granted:
                    if granted and self.store.read(work.id) is None:
                        if self.store.count_try(work.id) > _MOST_TRIES:
                            result = _deadly(work)
                        else:
                            result = await self._do(work)
                        self.store.write(result)
                        return result
            await asyncio.sleep(_POLL_S)

    async def _do(self, work: Work) -> CaseResult:
        answers = await asyncio.gather(*(self._ask(work, repeat) for repeat in range(work.repeats)))
        outputs = [(output, spans) for output, spans in answers if isinstance(output, Output)]
        failures = [output for output, _ in answers if isinstance(output, Failure)]
        results = await self._score(work, outputs)
        return self.seal(
            CaseResult(
                case=work.id,
                input_hash=input_hash(work.case),
                outputs=tuple(output for output, _ in outputs),
                scores=tuple(result for result in results if isinstance(result, Score)),
                failures=(*failures, *(result for result in results if isinstance(result, Failure))),
            )
        )

    async def _ask(self, work: Work, repeat: int) -> tuple[Output | Failure, tuple[Span, ...]]:
        async with self._slots:
            return await self.asker.ask(work.id, repeat, work.case.input)

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
            )
            for output, spans in outputs
        ]
        jobs = [
            asyncio.wrap_future(self.scorer.submit(metric, samples)) for _, metric in work.metrics if samples
        ]
        named = zip(work.metrics, await asyncio.gather(*jobs), strict=False)
        return [replace(result, metric=name) for (name, _), results in named for result in results]


def _deadly(work: Work) -> CaseResult:
    error = f"a worker that ran it ended the process {_MOST_TRIES} times; run this case alone to see why"
    failure = Failure(metric="", stage="app", error=error)
    return CaseResult(case=work.id, input_hash=input_hash(work.case), failures=(failure,))

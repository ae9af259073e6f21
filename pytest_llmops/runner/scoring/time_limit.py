"""A metric of the project's own that never returns: an error where it hung, and no wait without end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from pytest_llmops.metrics.custom import FunctionMetric
from pytest_llmops.metrics.declared_metric import fail
from pytest_llmops.protocols import Metric
from pytest_llmops.recorder.interception import stand_aside
from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.records import Failure, Sample, Score
from pytest_llmops.runner.scoring.scorer import Result, score_here, score_safely

_MOST_HANGS = 3
_SHARE_OF_FURTHER = 0.1  # what each further sample of a batch adds to its limit


@dataclass(slots=True, eq=False)
class TimeLimit:
    """
    Scores in this process, metrics of ours without a limit: they take long where there is much to do.

    A function is given one output at a time, so that the one is known at which it hung; another metric gets
    its batch, and after a limit its samples one by one. A thread cannot be ended: what hangs is left behind.

    Attributes:
        timeout_s: Time limit of one output, in seconds.
    """

    timeout_s: float
    _hung: Counter[str] = field(default_factory=Counter)

    def __call__(self, metric: Metric, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        by_function = isinstance(metric, FunctionMetric)
        if not by_function and type(metric).__module__.startswith("pytest_llmops."):
            return score_here(metric, batch)
        if not by_function and len(batch) > 1:
            limit_s = self.timeout_s * (1 + _SHARE_OF_FURTHER * len(batch))
            found = self._score(metric, [batch], limit_s)
            if found:
                return found[0]
        results: list[Result] = []
        while len(results) < len(batch):
            left = batch[len(results) :]
            if self._hung[metric.name] >= _MOST_HANGS:
                error = f"{metric.name} hung {_MOST_HANGS} times (timeout_s), so it is not tried again"
                return [*results, *(fail(metric, sample, error) for sample in left)]
            results += [
                one
                for found in self._score(metric, [[each] for each in left], self.timeout_s)
                for one in found
            ]
            if len(results) < len(batch):
                error = f"{metric.name} did not return within {self.timeout_s:g} s (timeout_s)"
                results.append(fail(metric, batch[len(results)], error))
        return results

    def _score(
        self, metric: Metric, batches: Sequence[Sequence[Sample]], limit_s: float
    ) -> list[list[Result]]:
        """The results of the batches before the first that takes longer than its limit."""
        done: SimpleQueue[list[Result]] = SimpleQueue()
        given_up = threading.Event()

        def score() -> None:
            stand_aside()
            for batch in batches:
                if given_up.is_set():
                    return
                done.put(score_safely(score_here, metric, batch))

        start_outside(threading.Thread(target=score, name="llmops-metric", daemon=True))
        found: list[list[Result]] = []
        for _ in batches:
            try:
                found.append(done.get(timeout=limit_s))
            except Empty:
                given_up.set()
                self._hung[metric.name] += 1
                break
        return found

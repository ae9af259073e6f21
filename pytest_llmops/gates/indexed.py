"""
What a result holds by metric, worked out once for each result.

Records are frozen, so that an index is true for as long as its record lives; the verdict of a suite reads
each result once a check and once a look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import TypeVar

from pytest_llmops.records import CaseResult, Score
from pytest_llmops.statistics.summaries import calculate

LARGEST = 1e100
"""Scores beyond are none: their sums and squares leave the range of a float."""

_REMEMBERED = 2**16
Found = TypeVar("Found")


class _Same:
    """A record by its identity, since hashing its content would cost more than the index."""

    __slots__ = ("record",)

    def __init__(self, record: CaseResult) -> None:
        self.record = record

    def __hash__(self) -> int:
        return id(self.record)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.record is other.record


def once_a_result(work: Callable[[CaseResult], Found]) -> Callable[[CaseResult], Found]:
    @lru_cache(maxsize=_REMEMBERED)
    def remembered(same: _Same) -> Found:
        return work(same.record)

    @wraps(work)
    def looked_up(result: CaseResult) -> Found:
        return remembered(_Same(result))

    return looked_up


@once_a_result
def scores_by_metric(result: CaseResult) -> Mapping[str, Sequence[Score]]:
    """Metric to its scores, in the order of the repeats."""
    found: dict[str, list[Score]] = {}
    for score in sorted(result.scores, key=lambda score: score.repeat):
        found.setdefault(score.metric, []).append(score)
    return found


@once_a_result
def values_by_metric(result: CaseResult) -> Mapping[str, list[float]]:
    """Metric to its finite scores, in the order of the repeats."""
    return {
        metric: values
        for metric, scores in scores_by_metric(result).items()
        if (values := [score.value for score in scores if math.isfinite(score.value)])
    }


@once_a_result
def signatures_by_metric(result: CaseResult) -> Mapping[str, tuple[str, ...]]:
    """Metric to how its scores were made."""
    return {
        metric: tuple(sorted({score.signature for score in scores}))
        for metric, scores in scores_by_metric(result).items()
    }


@once_a_result
def whole_metrics(result: CaseResult) -> frozenset[str]:
    """Metrics with a score that can be judged for each repeat of a case in which nothing broke."""
    if result.failures:
        return frozenset()
    repeats = [output.repeat for output in sorted(result.outputs, key=lambda output: output.repeat)]
    return frozenset(
        metric
        for metric, scores in scores_by_metric(result).items()
        if all(abs(score.value) <= LARGEST for score in scores)  # false of NaN, too
        and (not repeats or [score.repeat for score in scores] == repeats)
    )


def like_metrics(base: CaseResult, new: CaseResult) -> frozenset[str]:
    """Metrics that scored both results whole, and in the same way."""
    before, after = signatures_by_metric(base), signatures_by_metric(new)
    both = whole_metrics(base) & whole_metrics(new)
    return frozenset(metric for metric in both if before[metric] == after[metric])


@once_a_result
def means_by_metric(result: CaseResult) -> Mapping[str, float]:
    """Metric to the mean of its finite scores, rounded once."""
    return {metric: calculate("mean", values) for metric, values in values_by_metric(result).items()}

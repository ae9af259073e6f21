"""Which checks of several repeats ask how many of them pass, and how many must."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from pytest_llmops.bounds import is_minimum
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.paired_runs.pairing import find_scale
from pytest_llmops.records import Bound, Check
from pytest_llmops.registry import find_traits, metric_factory

PASS_RATE = Bound(comparison=">=", threshold=0.8)
"""The share of repeats that must pass where a check names none."""


def is_judged_by_rate(check: Check, best: Callable[[], float]) -> bool:
    """
    Whether several repeats are judged by how many pass, rather than by their mean.

    A mean meets the best score only if every repeat does, so that a case which passes nine times in ten would
    fail for ever. What counts bad things, leaks among them, is excused in no repeat.

    Args:
        best: The highest score of the metric, looked up where it is needed.
    """
    if not find_traits(check.metric).excusable:
        return False
    return check.pass_rate is not None or (is_about_passing(check) and check.threshold == best())


def is_about_passing(check: Check) -> bool:
    """Whether a repeat that misses the check may be excused by others that pass."""
    return find_traits(check.metric).excusable and is_minimum(check)


def needed_rate(check: Check, best: float) -> Bound:
    """
    The share of repeats that must pass: the check's own, else `PASS_RATE` where every repeat would have to
    reach the best score. Of scores that are 0 or 1 a bound below is that share itself.
    """
    if check.pass_rate is not None or check.threshold == best:
        return check.pass_rate or PASS_RATE
    return Bound(comparison=check.comparison, threshold=check.threshold)


def best_score(metric: str) -> float:
    """The highest score of a metric; none can be reached where nobody knows it."""
    try:
        return _best_of(metric, metric_factory(metric))
    except LLMOpsError:
        return math.inf


@lru_cache(maxsize=256)
def _best_of(metric: str, _: object) -> float:
    """By the class, too, since a name may be registered anew."""
    return find_scale(metric).range[1]

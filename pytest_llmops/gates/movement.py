"""
How far an edit moves single cases, up and down: what a case must drop beyond to have broken.

A rewritten prompt answers some questions better and some worse. A case that dropped as far as others improved
is no regression of its own; whether all got worse together is the suite's question.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llmops.gates.readings import Reading

_FEWEST = 20  # readings from which a variance is estimated
_CERTAIN = 2.0  # standard errors that it must be above 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """The difference of one case's pass rates, and the part of its square that repeats explain."""

    metric: str
    difference: float
    sampling: float


def estimate_movement(readings: Iterable[Reading]) -> float:
    """
    The variance of true pass rates between both runs, over cases; 0 where it is not clearly above 0.

    Cases that collapsed are left out, since they are what is looked for, and so is what all cases of a
    metric share.

    Source: method of moments, as for the variance of effects in DerSimonian and Laird (1986), Meta-analysis
    in clinical trials, Controlled Clinical Trials 7.
    """
    found = [_moved(each) for each in readings if each.by_rate and not each.fact and not each.rates.collapsed]
    if len(found) < _FEWEST:
        return 0.0
    shared: dict[str, list[float]] = {}
    for each in found:
        shared.setdefault(each.metric, []).append(each.difference)
    means = {metric: math.fsum(values) / len(values) for metric, values in shared.items()}
    excess = [(each.difference - means[each.metric]) ** 2 - each.sampling for each in found]
    mean = math.fsum(excess) / len(excess)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in excess)) / len(excess)
    return mean if mean > _CERTAIN * spread else 0.0


def _moved(reading: Reading) -> _Moved:
    rates = reading.rates
    before, after = rates.held_before / rates.repeats_before, rates.held / rates.repeats
    pooled = (rates.held_before + rates.held) / (rates.repeats_before + rates.repeats)
    return _Moved(
        metric=reading.check.metric,
        difference=after - before,
        sampling=_variance(before, rates.repeats_before, pooled) + _variance(after, rates.repeats, pooled),
    )


def _variance(rate: float, repeats: int, pooled: float) -> float:
    """Of a rate of so many repeats, without bias; one repeat says nothing of it, but both sides together."""
    return rate * (1 - rate) / (repeats - 1) if repeats > 1 else pooled * (1 - pooled)

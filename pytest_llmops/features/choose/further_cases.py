"""The further cases that could decide between two candidates, were they like the present ones."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache, partial
from statistics import fmean

from pytest_llmops.gates.suite_channel.detectable_drops import POWER, smallest_drop
from pytest_llmops.statistics.codes import group_codes, sum_weights
from pytest_llmops.statistics.p_values import binomial_cdf
from pytest_llmops.statistics.summaries import NOISE, sample_variance

_FAR = 1_000  # times the units: more is no advice
_TWO = 2  # sides of the test
_REACH = 5  # standard deviations of the number of discordant units, beyond which there are none


def count_further_cases(differences: Sequence[float], units: Sequence[str], *, alpha: float) -> int | None:
    """
    The fewest further cases by which four in five runs would find the observed difference of two candidates.

    Pass-or-miss scores are tested by the exact test of the discordant units, of which further cases have
    the share that these have; others by the normal distribution of the mean.

    Args:
        differences: One a case, first candidate less second.
        units: The group of each case.
        alpha: The largest two-sided p-value that decides.

    Returns:
        None where more cases of this kind decide nothing: the candidates are level, or a thousand times the
        cases would be too few.

    Source: Duffy (1984), Asymptotic and exact power for the McNemar test and its analogue with R controls per
    case, Biometrics 40.
    """
    import numpy as np

    codes = group_codes(units, len(differences))
    count = int(codes.max(initial=-1)) + 1
    summed = [float(value) for value in sum_weights(codes, np.asarray(differences, float), count)]
    largest = max(map(abs, summed), default=0.0)
    moved = [value for value in summed if abs(value) > NOISE * largest]
    mean = fmean(summed) if summed else 0.0
    if abs(mean) <= NOISE * largest:
        return None
    if max(map(abs, moved)) - min(map(abs, moved)) <= NOISE * largest:
        ahead = sum(value * mean > 0 for value in moved) / len(moved)
        needed = _count_units(len(moved) / count, ahead, alpha, most=_FAR * count)
    else:
        spread = math.sqrt(sample_variance(summed) or 0.0)
        needed = (smallest_drop(spread, tests=_TWO, level=1 - alpha) / mean) ** 2
    needed = max(needed, 1 + math.log2(1 / alpha))  # units that have a sign pattern as rare
    if needed > _FAR * count:
        return None
    return math.ceil(max(1.0, math.ceil(needed) - count) * len(differences) / count)


def _count_units(moved: float, ahead: float, alpha: float, *, most: int) -> float:
    """
    The fewest units with which the exact test calls the winner often enough; infinite beyond `most`.

    Power rises with the units but for small steps back, which the search skips.

    Args:
        moved: The share of units that are discordant; `ahead` the share of these that one candidate wins.
    """

    def find_power(units: int) -> float:
        centre, reach = units * moved, _REACH * math.sqrt(units * moved * (1 - moved)) + 1
        power = 0.0
        for pairs in range(max(0, int(centre - reach)), min(units, math.ceil(centre + reach)) + 1):
            if (losses := _most_losses(pairs, alpha)) >= 0:
                fewer = binomial_cdf(pairs - 1, units, moved) if pairs else 0
                chance = binomial_cdf(pairs, units, moved) - fewer
                power += chance * binomial_cdf(losses, pairs, 1 - ahead)
        return power

    if find_power(most) < POWER:
        return math.inf
    return 1 + bisect_left(range(1, most + 1), POWER, key=find_power)


@lru_cache(maxsize=65_536)
def _most_losses(pairs: int, alpha: float) -> int:
    """The most lost pairs with which the exact two-sided test still calls the winner; -1 for never."""
    p_value = partial(binomial_cdf, of=pairs, rate=0.5)
    return bisect_right(range(pairs // 2 + 1), alpha, key=lambda losses: _TWO * p_value(losses)) - 1

"""How many more cases could decide between two candidates, were they like those there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean

from pytest_llmops.gates.suite_channel.drops import POWER, smallest_drop
from pytest_llmops.statistics.codes import group_codes, sum_weights
from pytest_llmops.statistics.distributions import binomial_cdf
from pytest_llmops.statistics.summaries import NOISE, sample_variance

_FAR = 1_000  # times the units: more is no advice
_TWO = 2  # sides of the test
_REACH = 5  # standard deviations of the number of discordant units, beyond which there are none


def count_further_cases(differences: Sequence[float], units: Sequence[str], *, alpha: float) -> int | None:
    """
    The fewest further cases with which the observed difference is found by four in five runs.

    Pass-or-miss scores are held against the exact test of the discordant units, of which further cases have
    the share that these have; others against the normal distribution of the mean.

    Args:
        differences: One a case, first candidate less second.
        units: The group of each case.
        alpha: What the two-sided p-value must not exceed.

    Returns:
        None where more cases of this kind decide nothing: the candidates are level, or a thousand times the
        cases would be too few.

    Source: Duffy (1984), Asymptotic and exact power for the McNemar test and its analogue with R controls per
    case, Biometrics 40.
    """
    import numpy as np

    codes = group_codes(units, len(differences))
    count = int(codes.max(initial=-1)) + 1
    summed = [float(each) for each in sum_weights(codes, np.asarray(differences, float), count)]
    largest = max(map(abs, summed), default=0.0)
    moved = [each for each in summed if abs(each) > NOISE * largest]
    mean = fmean(summed) if summed else 0.0
    if abs(mean) <= NOISE * largest:
        return None
    fewest = 1 + math.log2(1 / alpha)  # units that have a sign pattern as rare
    if max(map(abs, moved)) - min(map(abs, moved)) <= NOISE * largest:
        ahead = sum(each * mean > 0 for each in moved) / len(moved)
        needed = _count_units(len(moved) / count, ahead, alpha, most=_FAR * count)
    else:
        spread = math.sqrt(sample_variance(summed) or 0.0)
        needed = (smallest_drop(spread, tests=_TWO, level=1 - alpha) / mean) ** 2
    needed = max(needed, fewest)
    if needed > _FAR * count:
        return None
    return math.ceil(max(1.0, math.ceil(needed) - count) * len(differences) / count)


def _count_units(moved: float, ahead: float, alpha: float, *, most: int) -> float:
    """
    The fewest units with which the exact test calls the winner often enough; infinite beyond `most`.

    Power rises with the units but for small steps back, which the search does not look for.

    Args:
        moved: The share of units that are discordant; `ahead` the share of these that one candidate wins.
    """
    if _power(most, moved, ahead, alpha) < POWER:
        return math.inf
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if _power(middle, moved, ahead, alpha) >= POWER:
            high = middle
        else:
            low = middle + 1
    return low


def _power(units: int, moved: float, ahead: float, alpha: float) -> float:
    """How often the exact test calls the winner: over how many discordant units there may be."""
    centre, reach = units * moved, _REACH * math.sqrt(units * moved * (1 - moved)) + 1
    found = 0.0
    for pairs in range(max(0, int(centre - reach)), min(units, math.ceil(centre + reach)) + 1):
        if (losses := _most_losses(pairs, alpha)) >= 0:
            chance = binomial_cdf(pairs, units, moved) - (
                binomial_cdf(pairs - 1, units, moved) if pairs else 0
            )
            found += chance * binomial_cdf(losses, pairs, 1 - ahead)
    return found


@lru_cache(maxsize=65_536)
def _most_losses(pairs: int, alpha: float) -> int:
    """With how many lost pairs at most the exact two-sided test still calls the winner; -1 for never."""
    low, high = -1, pairs // 2
    while low < high:
        middle = (low + high + 1) // 2
        if _TWO * binomial_cdf(middle, pairs, 0.5) <= alpha:
            low = middle
        else:
            high = middle - 1
    return low

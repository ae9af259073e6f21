"""One error budget for many tests: over several checks, and over several looks at growing data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """
    P-values that keep the chance of any false alarm among them at the level, in the order given.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda position: p_values[position])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


FEW = (2, 3, 5, 8)
"""Numbers of the smallest p-values that are looked at together."""


def few_smallest_p_value(p_values: Sequence[float]) -> tuple[float, int]:
    """
    The p-value of the smallest of many independent p-values together, and how many of them it rests on.

    The chance that as many of them are as small, for each number of `FEW`, of which the smallest chance
    counts; then the chance that the smallest of these is as small, which is exact.

    Source: Berk and Jones (1979), Goodness-of-fit test statistics that dominate the Kolmogorov statistics,
    Z. Wahrsch. verw. Gebiete 47; the distribution by counting how many fall between bounds, Noe (1972), The
    calculation of distributions of two-sided Kolmogorov-Smirnov type statistics, Ann. Math. Statist. 43.
    """
    from scipy.special import bdtrc

    ordered = sorted(p_values)
    tried = [number for number in FEW if number <= len(ordered)]
    if not tried:
        return 1.0, 0
    chances = [(float(bdtrc(number - 1, len(ordered), ordered[number - 1])), number) for number in tried]
    chance, number = min(chances)
    return _chance_of_any(chance, len(ordered), tuple(tried)), number


@lru_cache(maxsize=65_536)
def _chance_of_any(chance: float, count: int, numbers: tuple[int, ...]) -> float:
    """The chance that for any of the numbers, of `count` uniform values as many are as small."""
    from scipy.special import betaincinv

    if not 0 < chance < 1:
        return chance
    below = {0: 1.0}  # the chance of so many values below the last bound, and too few below each before
    last = 0.0
    for number in numbers:
        bound = float(betaincinv(number, count - number + 1, chance))  # the k-th smallest is beta distributed
        share = (bound - last) / (1 - last)
        counted: dict[int, float] = {}
        for had, probability in below.items():
            left = count - had
            for more in range(min(number - had, left + 1)):
                some = math.comb(left, more) * share**more * (1 - share) ** (left - more)
                counted[had + more] = counted.get(had + more, 0.0) + probability * some
        below, last = counted, bound
    none = math.fsum(below.values())
    return max(1 - none, chance) if none < _NEARLY_ONE else min(1.0, len(numbers) * chance)


_NEARLY_ONE = 1 - 1e-9  # beyond which a difference from one is rounding

_CERTAIN = 1e-15  # below it, one less the p-value is one


def spend_linearly(look: int, looks: Sequence[int]) -> float:
    """
    The part of the error budget that one of the looks spends, by its share of the data; in (0, 1].

    Args:
        looks: Observations at each look, rising.

    Source: Kim and DeMets (1987), Design and analysis of group sequential tests based on the type I error
    spending rate function, Biometrika 74; the power family with exponent 1.
    """
    at = looks.index(look)
    return (look - (looks[at - 1] if at else 0)) / looks[-1]


def conditional_power(p_value: float, time: float, final_level: float) -> float:
    """
    The chance that the last look calls it, were the trend seen so far the true one; in [0, 1].

    Args:
        p_value: One-sided, at this look.
        time: Share of the planned observations that this look has, in (0, 1).
        final_level: The largest p-value that is called at the last look.

    Source: Lan and Wittes (1988), The B-value: a tool for monitoring data, Biometrics 44.
    """
    normal = NormalDist()
    if p_value >= 1:
        return 0.0
    if p_value <= _CERTAIN:
        return 1.0
    expected = normal.inv_cdf(1 - p_value) / math.sqrt(time)
    return normal.cdf((expected - normal.inv_cdf(1 - final_level)) / math.sqrt(1 - time))

"""One error budget for many tests: over several checks, and over several looks at growing data."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    counts, times how many numbers were tried.

    Source: Berk and Jones (1979), Goodness-of-fit test statistics that dominate the Kolmogorov statistics,
    Z. Wahrsch. verw. Gebiete 47, with Bonferroni's correction in place of its distribution.
    """
    from scipy.special import bdtrc

    ordered = sorted(p_values)
    tried = [number for number in FEW if number <= len(ordered)]
    if not tried:
        return 1.0, 0
    chances = [(float(bdtrc(number - 1, len(ordered), ordered[number - 1])), number) for number in tried]
    chance, number = min(chances)
    return min(1.0, chance * len(tried)), number


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

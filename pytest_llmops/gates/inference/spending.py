"""
One error budget, spent over two channels and over several looks at growing data.

A comparison may call a change worse by chance with probability `1 - level`. Half of that belongs to the
suite channel, half to the case channel, so that both together keep it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import NormalDist

SUITE_SHARE = 0.5
CASE_SHARE = 0.5

_POWER = 3
_CERTAIN = 1e-15  # below it, one less the p-value is one


def divide_suite_share(suites: Iterable[Sequence[object]]) -> float:
    """The part of the error budget that each golden file's suite has: those with checks divide it evenly."""
    return SUITE_SHARE / max(1, sum(map(bool, suites)))


def spend(times: Sequence[float]) -> list[float]:
    """
    The part of an error budget that each look may use, in [0, 1], together at most 1.

    The power family `time ** 3`: little early, when a fluke is cheap to have, and most at the end; close
    to O'Brien and Fleming's bounds, and linear in the budget, so that a p-value can be adjusted for it.

    Args:
        times: Share of the planned repeats that each look has, rising, in (0, 1].

    Source: Kim and DeMets (1987), Design and analysis of group sequential tests based on the type I
    error spending rate function, Biometrika 74.
    """
    used = [0.0, *(time**_POWER for time in times)]
    return [after - before for before, after in pairwise(used)]


def sequential_p_value(p_values: Sequence[float], times: Sequence[float]) -> float:
    """
    The smallest error budget with which one of the looks would have called it; in (0, 1].

    It is a p-value itself, so that Holm's correction may follow.
    """
    return min(1.0, *(p / part for p, part in zip(p_values, spend(times), strict=True)))


def conditional_power(p_value: float, time: float, final_level: float) -> float:
    """
    The chance that the last look calls it, were the trend seen so far the true one; in [0, 1].

    Args:
        p_value: One-sided, at this look.
        time: Share of the planned repeats that this look has, in (0, 1).
        final_level: What a p-value must not exceed at the last look.

    Source: Lan and Wittes (1988), The B-value: a tool for monitoring data, Biometrics 44.
    """
    normal = NormalDist()
    if p_value >= 1:
        return 0.0
    if p_value <= _CERTAIN:
        return 1.0
    expected = normal.inv_cdf(1 - p_value) / math.sqrt(time)
    return normal.cdf((expected - normal.inv_cdf(1 - final_level)) / math.sqrt(1 - time))

"""
One error budget, spent over two channels and over several looks at growing data.

A comparison may call a change worse by chance with probability `1 - level`. Most of that belongs to the
suite channel, which needs it, the rest to the case channel, so that both together keep it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

SUITE_SHARE = 0.7
CASE_SHARE = 0.2
COUNT_SHARE = 0.1
"""Of the budget: for suite checks, for single cases, and for how many cases of a check collapsed."""

_CERTAIN = 1e-15  # below it, one less the p-value is one


def divide_suite_share(suites: Iterable[Sequence[object]]) -> float:
    """The part of the error budget that each golden file's suite has: those with checks divide it evenly."""
    return SUITE_SHARE / max(1, sum(map(bool, suites)))


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

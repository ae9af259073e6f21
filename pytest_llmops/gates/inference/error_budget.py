"""
One error budget, divided over two channels; `alpha_spending` divides it further over looks.

A comparison may call a change worse by chance with probability `1 - level`. Most of that belongs to the
suite channel, which needs it, the rest to the case channel, so that both together keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SUITE_SHARE = 0.7
CASE_SHARE = 0.2
COUNT_SHARE = 0.1
"""Of the budget: for suite checks, for single cases, and for how many cases of a check collapsed."""


def divide_suite_share(suites: Iterable[Sequence[object]]) -> float:
    """The part of the error budget that each golden file's suite has: those with checks divide it evenly."""
    return SUITE_SHARE / max(1, sum(map(bool, suites)))

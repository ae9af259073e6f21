"""The case channel's test of scores: did one case drop by more than a size, by its own repeats?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

_FEWEST = 2  # repeats of a side that have a spread
_SMALLEST = 5e-324


def score_drop_p_value(before: Sequence[float], after: Sequence[float], size: float) -> float:
    """
    How often chance alone shows such new scores, were the drop of the mean no larger than `size`; one-sided,
    in (0, 1].

    Welch's t-test of the shifted scores. Repeats can be exchanged in so many ways only, and no p-value below
    that counts: alike scores of a few repeats have no spread that a t-test could use.

    Args:
        before: Scores of the baseline's repeats, higher ones better, at least one; `after` of the new ones.
        size: In the unit of the scores, 0 or more.

    Source: Welch (1947), The generalization of Student's problem when several different population variances
    are involved, Biometrika 34; scipy's `ttest_ind_from_stats`. Good (2005), ch. 3, for the number
    of exchanges.
    """
    shifted = [value - size for value in before]
    drop = math.fsum(shifted) / len(shifted) - math.fsum(after) / len(after)
    if drop <= 0:
        return 1.0
    exchanges = 1 / math.comb(len(before) + len(after), len(after))
    if min(len(before), len(after)) < _FEWEST:
        return exchanges if max(after) < min(shifted) else 1.0
    if max(before) == min(before) and max(after) == min(after):
        return exchanges
    from scipy.stats import ttest_ind_from_stats

    largest = max(map(abs, (*shifted, *after)))  # squares of squares leave a float's range
    sides = (_moments([value / largest for value in side]) for side in (shifted, after))
    welch = ttest_ind_from_stats(*chain(*sides), equal_var=False, alternative="greater")
    return min(1.0, max(float(welch.pvalue), exchanges, _SMALLEST))


def _moments(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean, standard deviation and number; alike values have a spread of 0, which is no loss of precision."""
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(squares / (len(values) - 1)), len(values)

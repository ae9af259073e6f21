"""The test of two samples: did the mean drop by more than a size?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from statistics import fmean

from pytest_llmops.statistics.significance.exact_tests import SMALLEST
from pytest_llmops.statistics.summaries import mean, sample_variance

_FEWEST = 2  # values of a side that have a spread


def drop_p_value(before: Sequence[float], after: Sequence[float], size: float) -> float:
    """
    How often chance alone shows such new values, were the drop of the mean no larger than `size`; one-sided,
    in (0, 1].

    Welch's t-test of the shifted values. They can be exchanged in so many ways only, and no p-value below
    that counts: a few alike values have no spread that a t-test could use.

    Args:
        before: At least one value, higher ones better; `after` alike.
        size: In the unit of the values, 0 or more.

    Source: Welch (1947), The generalization of Student's problem when several different population variances
    are involved, Biometrika 34; scipy's `ttest_ind_from_stats`. Good (2005), ch. 3, for the number
    of exchanges.
    """
    shifted = [value - size for value in before]
    if fmean(shifted) <= fmean(after):
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
    return min(1.0, max(float(welch.pvalue), exchanges, SMALLEST))


def _moments(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean, standard deviation and number."""
    return mean(values), math.sqrt(sample_variance(values) or 0.0), len(values)

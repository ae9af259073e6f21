"""The test of two samples: did the mean drop by more than a size?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from pytest_llmops.statistics.distributions import student_tail
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
    are involved, Biometrika 34. Good (2005), ch. 3, for the number of exchanges.
    """
    shifted = [value - size for value in before]
    if fmean(shifted) <= fmean(after):
        return 1.0
    exchanges = 1 / math.comb(len(before) + len(after), len(after))
    if min(len(before), len(after)) < _FEWEST:
        return exchanges if max(after) < min(shifted) else 1.0
    if max(before) == min(before) and max(after) == min(after):
        return exchanges
    largest = max(map(abs, (*shifted, *after)))  # squares of squares leave a float's range
    sides = [[value / largest for value in side] for side in (shifted, after)]
    errors = [(sample_variance(side) or 0.0) / len(side) for side in sides]
    if not (error := sum(errors)):  # too small for a float
        return exchanges
    freedom = 1 / sum((each / error) ** 2 / (len(side) - 1) for each, side in zip(errors, sides, strict=True))
    drop = mean(sides[0]) - mean(sides[1])
    return max(student_tail(drop / math.sqrt(error), freedom), exchanges, SMALLEST)

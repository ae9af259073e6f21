"""The test of "nothing changed": any repeat of a case could as well be one of the other run."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from statistics import fmean

from pytest_llmops.statistics.significance.sign_flips import sign_flip_p_value

_FEWEST = 3  # repeats of both runs together that have a skew


def exchange_p_value(base: Sequence[Sequence[float]], new: Sequence[Sequence[float]]) -> float:
    """
    How often chance leaves the mean of the new repeats as far below the old ones'; one-sided, in (0, 1].

    A permutation test of repeats within each case. Its distribution is that of a sum over many cases, so it
    is taken by its first three moments, which are known exactly, as a Pearson type III: the mean of ten old
    repeats and one new one differ askew. Of single repeats on both sides the exact distribution is that of
    sign patterns.

    Args:
        base: The scores of each case, one a repeat, lower ones worse; `new` alike, in the same order.

    Source: Cochran (1977), Sampling Techniques, ch. 2, for the moments of the mean of a sample without
    replacement; Mielke and Berry (2007), Permutation Methods, ch. 2, for the approximation.
    """
    import numpy as np
    from scipy.stats import pearson3

    moving = [pair for pair in zip(base, new, strict=True) if len({*pair[0], *pair[1]}) > 1]
    if not moving:
        return 1.0
    if all(len(before) == len(after) == 1 for before, after in moving):
        return sign_flip_p_value(np.array([now - then for (then,), (now,) in moving]))
    largest = max(abs(value) for pair in moving for side in pair for value in side)
    difference = spread = skew = 0.0
    for before, after in moving:
        old, fresh = len(before), len(after)
        pooled = [value / largest for value in (*before, *after)]  # powers of dollars leave a float's range
        mean = math.fsum(pooled) / len(pooled)
        second, third = (
            math.fsum([(value - mean) ** power for value in pooled]) / len(pooled) for power in (2, 3)
        )
        apart = len(pooled) / old  # of the two means, for each unit that the new mean is off the pooled one
        difference += fmean(pooled[old:]) - fmean(pooled[:old])
        spread += apart**2 * second * old / (fresh * (len(pooled) - 1))
        if len(pooled) >= _FEWEST:
            left = (len(pooled) - 1) * (len(pooled) - 2)
            skew += apart**3 * third * old * (old - fresh) / (fresh**2 * left)
    difference += _half_a_step(moving) / largest
    p_value = pearson3.cdf(difference / math.sqrt(spread), skew / spread**1.5)
    return float(min(1.0, max(p_value, sys.float_info.min)))


def _half_a_step(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Half of what one repeat moves the difference by, where scores have two values and cases as many."""
    counts = {(len(before), len(after)) for before, after in pairs}
    scores = {value for pair in pairs for side in pair for value in side}
    if len(counts) > 1 or len(scores) != 2:  # noqa: PLR2004 - a repeat passes or misses
        return 0.0
    ((old, fresh),) = counts
    return (max(scores) - min(scores)) * (1 / fresh + 1 / old) / 2

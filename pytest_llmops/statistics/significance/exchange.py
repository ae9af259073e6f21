"""The test of "nothing changed": any repeat of a case could as well be one of the other run."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import groupby

from pytest_llmops.statistics.codes import Floats
from pytest_llmops.statistics.distributions import pearson3_cdf
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

    moving = [pair for pair in zip(base, new, strict=True) if len({*pair[0], *pair[1]}) > 1]
    if not moving:
        return 1.0
    if all(len(before) == len(after) == 1 for before, after in moving):
        return sign_flip_p_value(np.array([now - then for (then,), (now,) in moving]))
    largest = max(abs(value) for pair in moving for side in pair for value in side)
    moments = np.zeros(3)
    alike = groupby(sorted(moving, key=_counts), key=_counts)
    for (old, fresh), pairs in alike:
        pooled = np.array([(*before, *after) for before, after in pairs]) / largest  # (cases, repeats)
        moments += _moments(pooled, old, fresh)
    difference, spread, skew = map(float, moments)
    difference += _half_a_step(moving) / largest
    p_value = pearson3_cdf(difference / math.sqrt(spread), skew / spread**1.5)
    return min(1.0, max(p_value, sys.float_info.min))


def _counts(pair: tuple[Sequence[float], Sequence[float]]) -> tuple[int, int]:
    return len(pair[0]), len(pair[1])


def _moments(pooled: Floats, old: int, fresh: int) -> Floats:
    """
    Of the differences of both means, summed over cases: the one observed, variance and third moment.

    Args:
        pooled: The repeats of both sides, old ones first, shape (cases, old + fresh).
    """
    import numpy as np

    count = old + fresh
    centred = pooled - pooled.mean(axis=1, keepdims=True)
    apart = count / old  # of the two means, for each unit that the new mean is off the pooled one
    difference = apart * centred[:, old:].sum() / fresh
    spread = apart**2 * old / (fresh * (count - 1)) * (centred**2).sum() / count
    if count < _FEWEST:
        return np.array([difference, spread, 0.0])
    left = (count - 1) * (count - 2)
    third = apart**3 * old * (old - fresh) / (fresh**2 * left) * (centred**3).sum() / count
    return np.array([difference, spread, third])


def _half_a_step(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Half of what one repeat moves the difference by, where scores have two values and cases as many."""
    counts = set(map(_counts, pairs))
    scores = {value for pair in pairs for side in pair for value in side}
    if len(counts) > 1 or len(scores) != 2:  # noqa: PLR2004 - a repeat passes or misses
        return 0.0
    ((old, fresh),) = counts
    return (max(scores) - min(scores)) * (1 / fresh + 1 / old) / 2

"""The test of differences: were both sides alike, each might as well have the other sign."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_llmops.statistics.distributions import student_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CELLS = 2**15
"""Steps in which all differences together are counted, where they have no common step of their own."""

_LARGEST_STEPS = 2**17
_DENOMINATOR = 10_000
_TIE = 1e-9
_MOST_VALUES = 400

FEWEST = 10
"""Differences from which on sign patterns are counted; fewer have too few patterns for a small p-value."""


def mean_p_value(differences: NDArray[np.float64]) -> float:
    """
    How often chance alone makes the mean of independent differences as low; one-sided, in (0, 1].

    Sign patterns from `FEWEST` differences on. Fewer are held against Student's t: six questions have 64
    sign patterns, so that no drop of theirs could ever be called. Alike differences leave no spread, so that
    only their sign counts: the caller has to hold their repeats against chance as well.

    Args:
        differences: Independent ones, worse ones negative, shape (units,).

    Source: Student (1908), The probable error of a mean, Biometrika 6.
    """
    import numpy as np

    moved = int(np.count_nonzero(differences))
    if len(differences) >= FEWEST or len(differences) == 1 or moved == 0:
        return sign_flip_p_value(differences)
    scaled = differences / np.abs(differences).max()  # squares leave a float's range
    if float(np.ptp(scaled)) <= _TIE:
        return sys.float_info.min if differences[0] < 0 else 1.0
    error = float(scaled.std(ddof=1)) / math.sqrt(len(scaled))
    p_value = student_tail(-float(scaled.mean()) / error, len(scaled) - 1)
    return max(p_value, sys.float_info.min)


def sign_flip_p_value(differences: NDArray[np.float64]) -> float:
    """
    The share of sign patterns whose sum is as low as the one observed; in (0, 1].

    Exact for any number of them, and without a seed: the distribution over all patterns is built one
    by one. Differences that are multiples of a common step, as means of passed and missed repeats are,
    are counted in that step; others are rounded to 1/32,768 of their total, after which the test is exact
    for the rounded ones. Differences of zero say nothing and are left out.

    Args:
        differences: Worse ones negative, shape (differences,).

    Source: Pagano and Tritchler (1983), On obtaining permutation distributions in polynomial time, JASA 78.
    """
    import numpy as np

    sizes = np.abs(differences)
    differences = differences[sizes > _TIE * sizes.max(initial=0.0)]
    if not len(differences):
        return 1.0
    weights = _in_steps(np.abs(differences))
    kept = int(weights[differences > 0].sum())
    # The sum is low where few of the weights keep a plus, so that the rest of the distribution is not needed.
    chances = np.zeros(kept + 1)
    chances[0] = 1.0
    for weight in np.sort(weights):
        chances *= 0.5
        if weight <= kept:
            chances[weight:] += chances[: kept + 1 - weight].copy()
    return float(min(1.0, max(chances.sum(), sys.float_info.min)))


def _in_steps(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Sizes as whole numbers of one step, in whatever unit they are."""
    import numpy as np

    shares = sizes / sizes.max()
    distinct = np.unique(shares)
    if len(distinct) <= _MOST_VALUES and (common := _common_denominator(distinct)):
        counted = shares * common
        steps = np.rint(counted)
        near = np.abs(counted - steps).max() <= _TIE * common
        most = max(_LARGEST_STEPS, 2 * len(steps))  # many small differences would be rounded to none
        if near and steps.min() >= 1 and steps.sum() <= most:
            return _whole(steps)
    return _whole(np.rint(shares * (_CELLS / shares.sum())))


def _common_denominator(shares: NDArray[np.float64]) -> int:
    """That of fractions near the shares; 0 where it is too large to count in."""
    common = 1
    for share in shares:
        common = math.lcm(common, Fraction(float(share)).limit_denominator(_DENOMINATOR).denominator)
        if common > _LARGEST_STEPS:
            return 0
    return common


def _whole(steps: NDArray[np.float64]) -> NDArray[np.int64]:
    import numpy as np

    counted: NDArray[np.int64] = steps.astype(np.int64)
    return counted // max(1, int(np.gcd.reduce(counted)))

"""Tests of pairs: were both sides alike, either value of a pair could have come from either side."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from pytest_llmops.statistics.codes import Floats, group_codes, sum_weights
from pytest_llmops.statistics.p_values import pearson3_cdf, student_tail
from pytest_llmops.statistics.summaries import LINEAR, NOISE, build_difference

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


Worse = Literal["less", "greater"]

RESAMPLES = 4_999
"""Of a test of pairs, which is exact where it has no more arrangements than that."""

_CELLS_OF_PERMUTATIONS = 500_000  # numbers in one batch of resamples; more no longer fit the cache and run slower
_BATCH = 100  # arrangements that are measured together


def paired_p_value(  # noqa: PLR0913 - both sides, and what is independent of what
    statistic: str,
    base: Sequence[float],
    new: Sequence[float],
    *,
    worse: Worse,
    seed: int,
    units: Sequence[str] | None = None,
    exact: bool = False,
) -> float:
    """
    How often chance alone makes new values as much worse: one-sided, in (0, 1].

    A paired permutation test. For a mean or a sum that is `mean_p_value` of the differences, those of a unit
    added up; for other statistics exact where there are no more arrangements than `RESAMPLES`: 12 units.

    Args:
        base: One value a row, shape (rows,); `new` alike, in the same order.
        worse: Than the base; differences are `new - base`.
        units: The unit of each row; by default each is its own.
        exact: Of a mean, sign patterns however few there are, where no other test stands beside this one.

    Source: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    differences[np.abs(differences) <= NOISE * np.abs([before, after]).max()] = 0
    if not differences.any():
        return 1.0
    codes = group_codes(units, len(differences))
    count = int(codes.max()) + 1
    if statistic in LINEAR or len(differences) == 1:
        summed = sum_weights(codes, differences, count)
        return (sign_flip_p_value if exact else mean_p_value)(summed if worse == "less" else -summed)
    measure, sign = build_difference(statistic), 1 if worse == "greater" else -1
    if count < len(differences):

        def measure_exchanged(exchanged: NDArray[np.bool_]) -> Floats:
            turned = exchanged[:, codes]
            sides = np.where(turned, before, after), np.where(turned, after, before)
            measured: Floats = sign * measure(*sides, axis=1)
            return measured

        every = 2**count <= RESAMPLES + 1
        return exchange_units(count, measure_exchanged, draws=None if every else RESAMPLES, seed=seed)
    from scipy.stats import permutation_test

    result = permutation_test(
        (after, before),
        measure,
        permutation_type="samples",
        vectorized=True,
        alternative=worse,
        n_resamples=RESAMPLES,
        batch=max(1, _CELLS_OF_PERMUTATIONS // len(before)),
        random_state=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def exchange_units(
    units: int, measure: Callable[[NDArray[np.bool_]], Floats], *, draws: int | None, seed: int = 0
) -> float:
    """
    How often a measure is as large where units exchange their sides at random; in (0, 1].

    Args:
        measure: From whether each unit is exchanged, shape (arrangements, units), to a number each.
        draws: How many arrangements are drawn; None for each one there is.

    Source: Phipson and Smyth (2010), Permutation p-values should never be zero, Stat. Appl. Genet. 9.
    """
    import numpy as np

    if draws is None:
        exchanged = np.arange(2**units)[:, None] >> np.arange(units) & 1 == 1
    else:
        exchanged = np.random.default_rng(seed).integers(0, 2, (draws, units)) == 1
    batches = [measure(exchanged[start : start + _BATCH]) for start in range(0, len(exchanged), _BATCH)]
    values, observed = np.concatenate(batches), measure(np.zeros((1, units), bool))[0]
    as_large = int((values >= observed - _TIE * max(float(np.abs(values).max()), 1e-300)).sum())
    return as_large / len(values) if draws is None else (as_large + 1) / (draws + 1)


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

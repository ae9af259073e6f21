"""
Paired comparison of two sides, base and new, by case: differences, tests and an interval.

Both tests ask for the p-value of "new is worse". Turning exchanges the sides of whole cases: an edit moves
each case up or down, and were nothing worse in general, each difference might have the other sign. Exchange
deals the repeats within a case anew: were nothing changed at all, any repeat could be of either side.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from pytest_llmops.statistics.bootstrap import DRAWS, Spread, paired_interval
from pytest_llmops.statistics.codes import Floats, group_codes, sum_weights
from pytest_llmops.statistics.p_values import pearson3_cdf, student_tail
from pytest_llmops.statistics.summaries import LINEAR, NOISE, build_difference, calculate, mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Worse = Literal["less", "greater"]
Repeats = Sequence[Sequence[float]]
"""The scores of each case, one a repeat."""

RESAMPLES = 4_999
"""Arrangements of a statistic other than a mean or a sum; exact where there are no more than that."""

FEWEST = 10
"""Units from which on sign patterns are counted; fewer have too few patterns for a small p-value."""

_STEPS = 2**15  # in which all differences together are counted that have no common step
_LARGEST_STEPS = 2**17
_DENOMINATOR = 10_000
_MOST_VALUES = 400
_TIE = 1e-9  # values nearer than this share of the largest are a tie that rounding has split
_CELLS = 500_000  # numbers in one batch of resamples; more no longer fit the cache and run slower
_BATCH = 100  # arrangements that are measured together
_FEWEST_SKEWED = 3  # repeats of both sides together that have a skew


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """
    Two sides of the same cases; a case counts once, with the mean of its repeats.

    Attributes:
        base: At least one repeat of each case; `new` alike, in the same order.
        units: A name a case; cases of one name are drawn and turned together. By default each is a unit.
        statistic: Of the means of the cases.
    """

    base: Repeats
    new: Repeats
    units: Sequence[str] | None = None
    statistic: str = "mean"
    higher_is_better: bool = True

    @cached_property
    def means(self) -> tuple[list[float], list[float]]:
        """The mean of each case, of the base and of the new side."""
        return [mean(repeats) for repeats in self.base], [mean(repeats) for repeats in self.new]

    @cached_property
    def values(self) -> tuple[float, float]:
        """The statistic of the base and of the new side."""
        base, new = self.means
        return calculate(self.statistic, base), calculate(self.statistic, new)

    @property
    def difference(self) -> float:
        """New less base, in the unit of the statistic."""
        return self.values[1] - self.values[0]

    @property
    def drop(self) -> float:
        """The difference, positive where the new side is worse."""
        return -self.difference if self.higher_is_better else self.difference

    @cached_property
    def gains(self) -> list[float]:
        """The difference of each case, positive where the new side is better; 0 where it is only rounding."""
        base, new = self.means
        noise = NOISE * max(map(abs, (*base, *new)))
        sign = 1.0 if self.higher_is_better else -1.0
        return [
            0.0 if abs(after - before) <= noise else sign * (after - before)
            for before, after in zip(base, new, strict=True)
        ]

    @property
    def repeats_differ(self) -> bool:
        """True if some case has more repeats on one side, so that its difference is askew."""
        return any(len(base) != len(new) for base, new in zip(self.base, self.new, strict=True))

    def interval(self, *, level: float, seed: int = 0, draws: int = DRAWS) -> Spread:
        """The interval of the difference on another draw of units; see `paired_interval`."""
        return paired_interval(
            self.statistic, *self.means, level=level, seed=seed, units=self.units, draws=draws
        )

    def turning_p_value(
        self, *, better: bool = False, tolerated: float = 0.0, exact: bool = False, seed: int = 0
    ) -> float:
        """
        The one-sided p-value of "new is worse", were the sides of any unit exchanged; see `paired_p_value`.

        Args:
            better: Test "new is better" instead.
            tolerated: Test "worse by more than this", in the unit of a case's score.
        """
        base, new = self.means
        shift = tolerated if self.higher_is_better else -tolerated
        return paired_p_value(
            self.statistic,
            base,
            [value + shift for value in new] if shift else new,
            worse="less" if self.higher_is_better != better else "greater",
            seed=seed,
            units=self.units,
            exact=exact,
        )

    def exchange_p_value(self, *, better: bool = False) -> float:
        """The one-sided p-value of "new is worse", were any repeat of either side; see `exchange_p_value`."""
        if self.higher_is_better != better:
            return exchange_p_value(self.base, self.new)
        base, new = ([[-value for value in repeats] for repeats in side] for side in (self.base, self.new))
        return exchange_p_value(base, new)

    def two_sided_p_value(self, *, seed: int = 0) -> float:
        """
        The p-value of "the sides differ", in (0, 1].

        The exact sign-flip test: of single pass-or-miss scores it is McNemar's exact test. Where repeats
        differ in number they are exchanged as well, and the larger p-value counts.

        Source: McNemar (1947), Note on the sampling error of the difference between correlated proportions.
        """
        tails = []
        for better in (False, True):
            tail = self.turning_p_value(better=better, exact=True, seed=seed)
            tails.append(max(tail, self.exchange_p_value(better=better)) if self.repeats_differ else tail)
        return min(1.0, 2 * min(tails))


def paired_p_value(  # noqa: PLR0913 - both sides, and their units
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
    The p-value of new values that are worse, by exchanging the sides of whole units: one-sided, in (0, 1].

    A paired permutation test. For a mean or a sum that is `mean_p_value` of the differences, those of a unit
    added up; for other statistics exact where there are no more arrangements than `RESAMPLES`: 12 units.

    Args:
        base: One value a row, shape (rows,); `new` alike, in the same order.
        worse: Than the base; differences are `new - base`.
        units: The unit of each row; by default each is a unit.
        exact: Of a mean, sign patterns however few there are, where no second test is made.

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
        batch=max(1, _CELLS // len(before)),
        random_state=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def exchange_units(
    units: int, measure: Callable[[NDArray[np.bool_]], Floats], *, draws: int | None, seed: int = 0
) -> float:
    """
    The share of random exchanges of sides by which a measure is as large as observed; in (0, 1].

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


def mean_p_value(differences: NDArray[np.float64]) -> float:
    """
    The p-value of a mean of independent differences that is below 0; one-sided, in (0, 1].

    Sign patterns from `FEWEST` differences on. Fewer are tested by Student's t: six questions have 64
    sign patterns, so that no drop of theirs could ever be called. Alike differences leave no spread, so that
    only their sign counts: the caller has to exchange their repeats as well.

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
    for the rounded ones. Differences of zero are left out.

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
    """Sizes as integers of one step, in whatever unit they are."""
    import numpy as np

    shares = sizes / sizes.max()
    steps = np.rint(shares * (_STEPS / shares.sum()))
    distinct = np.unique(shares)
    if len(distinct) <= _MOST_VALUES and (common := _common_denominator(distinct)):
        exact = shares * common
        rounded = np.rint(exact)
        near = np.abs(exact - rounded).max() <= _TIE * common
        most = max(_LARGEST_STEPS, 2 * len(rounded))  # many small differences would be rounded to none
        if near and rounded.min() >= 1 and rounded.sum() <= most:
            steps = rounded
    counted: NDArray[np.int64] = steps.astype(np.int64)
    return counted // max(1, int(np.gcd.reduce(counted)))


def _common_denominator(shares: NDArray[np.float64]) -> int:
    """The common denominator of fractions near the shares; 0 where it is too large to count in."""
    common = 1
    for share in shares:
        common = math.lcm(common, Fraction(float(share)).limit_denominator(_DENOMINATOR).denominator)
        if common > _LARGEST_STEPS:
            return 0
    return common


def exchange_p_value(base: Repeats, new: Repeats) -> float:
    """
    The p-value of new repeats whose mean is below the old ones', by dealing repeats anew; in (0, 1].

    A permutation test of repeats within each case. Its distribution is that of a sum over many cases, so it
    is taken by its first three moments, which are known exactly, as a Pearson type III: the mean of ten old
    repeats and one new one differ askew. Of single repeats on both sides the exact distribution is that of
    sign patterns.

    Args:
        base: Lower scores are worse; `new` alike, in the same order.

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
    for (old, fresh), pairs in groupby(sorted(moving, key=_counts), key=_counts):
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
    The observed difference of both means, its variance and third moment, summed over cases.

    Args:
        pooled: The repeats of both sides, old ones first, shape (cases, old + fresh).
    """
    import numpy as np

    count = old + fresh
    centred = pooled - pooled.mean(axis=1, keepdims=True)
    apart = count / old  # of the two means, for each unit that the new mean is off the pooled one
    difference = apart * centred[:, old:].sum() / fresh
    spread = apart**2 * old / (fresh * (count - 1)) * (centred**2).sum() / count
    if count < _FEWEST_SKEWED:
        return np.array([difference, spread, 0.0])
    left = (count - 1) * (count - 2)
    third = apart**3 * old * (old - fresh) / (fresh**2 * left) * (centred**3).sum() / count
    return np.array([difference, spread, third])


def _half_a_step(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Half the step of the difference by one repeat, where scores have two values and cases as many."""
    counts = set(map(_counts, pairs))
    scores = {value for pair in pairs for side in pair for value in side}
    if len(counts) > 1 or len(scores) != 2:  # noqa: PLR2004 - a repeat passes or misses
        return 0.0
    ((old, fresh),) = counts
    return (max(scores) - min(scores)) * (1 / fresh + 1 / old) / 2

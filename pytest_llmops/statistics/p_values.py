"""
Tests of counts and of two samples, and the tails of distributions that they need.

`scipy.stats` has all of these tails, with checks that cost ten times the tail itself, and takes half a second
of CPU to import: every gate would pay for it. They are made of `scipy.special` here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from statistics import fmean

from pytest_llmops.statistics.codes import Floats
from pytest_llmops.statistics.summaries import mean, sample_variance

SMALLEST = 5e-324
"""The least p-value: a float ends, chance does not."""

_NO_SKEW = 1.6e-5  # a Pearson type III that is less askew is taken for a normal distribution, as by scipy
_FEWEST = 2  # values of a side that have a spread


def student_tail(value: float, freedom: float) -> float:
    """The chance that Student's t is above `value`, with so many degrees of freedom; in [0, 1]."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -value))


def student_quantile(share: float, freedom: float) -> float:
    """The value that Student's t is above in that share, between 0 and 1."""
    from scipy.special import stdtrit

    return -float(stdtrit(freedom, share))


def binomial_cdf(count: int, of: int, rate: float) -> float:
    """The chance of `count` events or fewer, of so many with a chance of `rate` each; in [0, 1]."""
    from scipy.special import bdtr

    return float(bdtr(count, of, rate))


def hypergeometric_cdf(count: int, drawn: int, marked: int, of: int) -> float:
    """The chance that `count` or fewer of `drawn` are marked, where `marked` of `of` are; in [0, 1]."""
    least = max(0, drawn - (of - marked))
    ways = sum(
        math.comb(marked, hit) * math.comb(of - marked, drawn - hit) for hit in range(least, count + 1)
    )
    return ways / math.comb(of, drawn)


def pearson3_cdf(value: float, skew: float) -> float:
    """The chance that a Pearson type III of mean 0 and variance 1 is at most `value`; in [0, 1]."""
    from scipy.special import gammainc, gammaincc, ndtr

    if abs(skew) < _NO_SKEW:
        return float(ndtr(value))
    shape = 4 / skew**2
    return float((gammainc if skew > 0 else gammaincc)(shape, max(0.0, shape + 2 * value / skew)))


@lru_cache(maxsize=65_536)
def fisher_p_value(held_before: int, repeats_before: int, held: int, repeats: int) -> float:
    """
    Fisher's exact test that new repeats hold less often than those of the baseline; one-sided, in (0, 1].

    Source: Fisher (1935), The logic of inductive inference, JRSS 98.
    """
    tail = hypergeometric_cdf(held, repeats, held_before + held, repeats_before + repeats)
    return max(tail, SMALLEST)


def binomial_p_value(held: int, repeats: int, rate: float) -> float:
    """The chance that so few of the repeats or fewer hold, were `rate` the true one; one-sided, in (0, 1]."""
    return min(1.0, max(binomial_cdf(held, repeats, rate), SMALLEST))


def poisson_binomial_p_value(chances: Iterable[float], count: int) -> float:
    """
    The chance that `count` or more of independent events happen, each with another chance; in (0, 1].

    Source: Wang (1993), On the number of successes in independent trials, Statistica Sinica 3; Hong (2013),
    On computing the distribution function for the Poisson binomial distribution, CSDA 59.
    """
    import numpy as np

    happened = np.zeros(count + 1)  # chances of so many; the last of `count` or more
    happened[0] = 1.0
    for chance in chances:
        further = happened[:-1] * chance
        happened[:-1] *= 1 - chance
        happened[1:] += further
    return float(min(1.0, max(happened[-1], SMALLEST)))


def dealt_p_value(first: Floats, second: Floats) -> float:
    """
    The chance that values of 0, a half and 1, dealt to two groups at random, are as large in the first.

    A one-sided permutation test, exact over how many halves and ones the first group may get; with ones
    and zeros only it is Fisher's.

    Args:
        first: Shape (values,), as `second`.
    """
    import numpy as np
    from scipy.stats import multivariate_hypergeom

    counts = np.bincount(np.rint(np.concatenate([first, second]) * 2).astype(int), minlength=3)
    halves, ones = np.meshgrid(np.arange(counts[1] + 1), np.arange(counts[2] + 1))
    dealt = np.stack([len(first) - halves - ones, halves, ones], axis=-1)
    as_large = (dealt[..., 0] >= 0) & (halves + 2 * ones >= np.rint(first * 2).sum())
    chances = multivariate_hypergeom.pmf(dealt[as_large], counts, len(first))
    return float(min(1.0, max(np.sum(chances), SMALLEST)))


def drop_p_value(before: Sequence[float], after: Sequence[float], size: float) -> float:
    """
    The p-value of a mean that dropped by more than `size`; one-sided, in (0, 1].

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
    old, new = ([value / largest for value in side] for side in (shifted, after))
    error_before, error_after = ((sample_variance(side) or 0.0) / len(side) for side in (old, new))
    if not (error := error_before + error_after):  # too small for a float
        return exchanges
    freedom = 1 / ((error_before / error) ** 2 / (len(old) - 1) + (error_after / error) ** 2 / (len(new) - 1))
    return max(student_tail((mean(old) - mean(new)) / math.sqrt(error), freedom), exchanges, SMALLEST)

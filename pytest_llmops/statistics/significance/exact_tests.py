"""Exact tests of counts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from pytest_llmops.statistics.codes import Floats
from pytest_llmops.statistics.distributions import binomial_cdf, hypergeometric_cdf

SMALLEST = 5e-324
"""What a p-value is at least: a float ends, chance does not."""


@lru_cache(maxsize=65_536)
def fisher_p_value(held_before: int, repeats_before: int, held: int, repeats: int) -> float:
    """
    Fisher's exact test that new repeats hold less often than those of the baseline; one-sided, in (0, 1].

    Source: Fisher (1935), The logic of inductive inference, JRSS 98.
    """
    tail = hypergeometric_cdf(held, repeats, held_before + held, repeats_before + repeats)
    return max(tail, SMALLEST)


def binomial_p_value(held: int, repeats: int, rate: float) -> float:
    """How often so few of the repeats or fewer hold, were `rate` the true one; one-sided, in (0, 1]."""
    return min(1.0, max(binomial_cdf(held, repeats, rate), SMALLEST))


def poisson_binomial_p_value(chances: Iterable[float], count: int) -> float:
    """
    How often as many of independent events happen, or more, each with a chance of its own; in (0, 1].

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
    How often values of 0, a half and 1, dealt to two groups at random, are as large in the first; one-sided.

    A permutation test, exact over how many halves and ones the first group may get; with ones alone it is
    Fisher's.

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

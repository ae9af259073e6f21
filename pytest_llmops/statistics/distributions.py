"""
Tails of distributions, by the functions of `scipy.special`.

`scipy.stats` has all of them, with checks that cost ten times the tail itself, and takes half a second of
CPU to import: every gate would pay for it.
"""

from __future__ import annotations

import math

_NO_SKEW = 1.6e-5
"""A Pearson type III that is less askew is taken for a normal distribution, as scipy takes it."""


def student_tail(value: float, freedom: float) -> float:
    """How often Student's t is above `value`, with so many degrees of freedom; in [0, 1]."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -value))


def student_quantile(share: float, freedom: float) -> float:
    """The value that Student's t is above in that share, between 0 and 1."""
    from scipy.special import stdtrit

    return -float(stdtrit(freedom, share))


def binomial_cdf(count: int, of: int, rate: float) -> float:
    """How often `count` events or fewer happen, of so many with a chance of `rate` each; in [0, 1]."""
    from scipy.special import bdtr

    return float(bdtr(count, of, rate))


def hypergeometric_cdf(count: int, drawn: int, marked: int, of: int) -> float:
    """How often `count` or fewer of `drawn` are marked, where `marked` of `of` are; exact, in [0, 1]."""
    least = max(0, drawn - (of - marked))
    ways = sum(
        math.comb(marked, each) * math.comb(of - marked, drawn - each) for each in range(least, count + 1)
    )
    return ways / math.comb(of, drawn)


def pearson3_cdf(value: float, skew: float) -> float:
    """How often a Pearson type III of mean 0 and variance 1 is at most `value`; in [0, 1]."""
    from scipy.special import gammainc, gammaincc, ndtr

    if abs(skew) < _NO_SKEW:
        return float(ndtr(value))
    shape = 4 / skew**2
    return float((gammainc if skew > 0 else gammaincc)(shape, max(0.0, shape + 2 * value / skew)))

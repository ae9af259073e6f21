"""A number with its interval, and the intervals of a share: exact (Clopper and Pearson) and Wilson's."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

LEVEL = 0.95

Method = Literal["BCa", "percentile", "exact", "asymptotic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """
    One number with its interval.

    Attributes:
        value: None where the rows do not define it, such as an area under the curve of only good rows.
        low: None, as `high`, where no interval could be made.
        method: How the interval was made; `percentile` where BCa is not defined, and `exact` where all rows
            agree, so that no resample differs.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = LEVEL
    method: Method | None = None


def lower_bound(count: int, of: int, level: float = LEVEL) -> float:
    """
    The exact one-sided lower bound of a share of which `count` of `of` were seen.

    Source: Clopper and Pearson (1934), The use of confidence or fiducial limits, Biometrika 26.
    """
    from scipy.special import betaincinv

    return float(betaincinv(count, of - count + 1, 1 - level)) if count else 0.0


def upper_bound(count: int, of: int, level: float = LEVEL) -> float:
    """The exact one-sided upper bound; see `lower_bound`."""
    from scipy.special import betaincinv

    return float(betaincinv(count + 1, of - count, level)) if count < of else 1.0


def exact_interval(count: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact two-sided interval; see `lower_bound`."""
    side = (1 + level) / 2
    return lower_bound(count, of, side), upper_bound(count, of, side)


def wilson_interval(rate: float, of: int, level: float = LEVEL) -> tuple[float, float]:
    """
    The interval of a share that was `rate` of `of` rows, in which ties count as halves.

    It keeps its level for few rows and for rates near 0 and 1, where the interval of the normal distribution
    does not. With halves it is too wide rather than too narrow: values of mean p that lie in 0 to 1 vary at
    most by p (1 - p), as those without halves do.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (rate + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(rate * (1 - rate) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, centre - half), min(1.0, centre + half)


def bound_share(measure: Measure, count: int) -> Measure:
    """A share of all or none of `count` rows, where resamples are alike, with its exact interval."""
    if measure.low is not None or measure.value not in {0.0, 1.0}:
        return measure
    low, high = exact_interval(count if measure.value else 0, count, measure.level)
    return replace(measure, low=low, high=high, method="exact")


def bound_kappa(measure: Measure, by_chance: float, worst: float, count: int) -> Measure:
    """
    Complete agreement of `count` rows, with an interval for the costliest disagreement they may have missed.

    Args:
        by_chance: Mean cost of a row's disagreement where only chance decides; `worst` is the largest cost.
    """
    if measure.low is not None or measure.value != 1.0:
        return measure
    missed = 1 - exact_interval(count, count, measure.level)[0]
    return replace(measure, low=max(-1.0, 1 - missed * worst / by_chance), high=1.0, method="exact")

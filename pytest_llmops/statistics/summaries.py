"""Statistics of many values: `mean`, `sum`, `min`, `max` and the percentiles `p1` … `p99`; and variance."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

NAMES = ("mean", "sum", "min", "max", *(f"p{percent}" for percent in range(1, 100)))
_PERCENTILE = re.compile(r"p([1-9][0-9]?)\Z")

LINEAR = frozenset({"mean", "sum"})
"""Statistics that are the same of units as of their parts."""

NOISE = 1e-6
"""Share of the largest value below which two values are one: processors round an encoder's sums unlike."""


def percent(name: str) -> int | None:
    """1 … 99 for a percentile's name, None for any other statistic."""
    matched = _PERCENTILE.match(name)
    return int(matched[1]) if matched else None


def calculate(name: str, values: Sequence[float]) -> float:
    """
    The statistic of at least one finite value.

    A mean is the exact mean rounded once, so that nine ones and a zero hold `>= 0.9` and the mean of equal
    values is their value. A percentile interpolates linearly between the closest ranks
    (Hyndman and Fan 1996, type 7; the default of `numpy.percentile`).

    Raises:
        ValueError: The name is none of `NAMES`.
    """
    if name == "mean":
        return _exact_mean(values)
    if name == "sum":
        return math.fsum(values)
    if name == "min":
        return min(values)
    if name == "max":
        return max(values)
    if (percentile := percent(name)) is None:
        raise ValueError(f"no statistic is named {name!r}")
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percentile - 1]


def build_difference(name: str) -> Callable[..., Any]:
    """A function from new and base values and an axis to how much larger the statistic of the new ones is."""
    import numpy as np

    if (percentile := percent(name)) is not None:
        return lambda new, base, axis: (
            np.percentile(new, percentile, axis=axis) - np.percentile(base, percentile, axis=axis)
        )
    extreme = np.min if name == "min" else np.max
    return lambda new, base, axis: extreme(new, axis=axis) - extreme(base, axis=axis)


def mean(values: Sequence[float]) -> float:
    """The mean; faster than `calculate`, whose last digit may differ unless all values are equal."""
    first = values[0]
    return first if values.count(first) == len(values) else math.fsum(values) / len(values)


def sample_variance(values: Sequence[float]) -> float | None:
    """The unbiased variance of a value; None for a single one."""
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    if min(values) == max(values):
        return 0.0
    center = mean(values)
    return math.fsum((value - center) ** 2 for value in values) / (len(values) - 1)


def _exact_mean(values: Sequence[float]) -> float:
    """Exact and rounded once, as `statistics.mean` is, which takes five times as long."""
    distinct = set(values)
    if len(distinct) == 1:
        return float(values[0])
    if distinct == {0.0, 1.0}:
        return sum(values) / len(values)
    ratios = [float(value).as_integer_ratio() for value in values]
    denominator = max(below for _, below in ratios)  # powers of two, so that it is a multiple of each
    return sum(above * (denominator // below) for above, below in ratios) / (denominator * len(values))

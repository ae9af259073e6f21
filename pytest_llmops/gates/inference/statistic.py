"""One number for many cases: `mean`, `sum`, `min`, `max` and the percentiles `p1` … `p99`."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence

NAMES = ("mean", "sum", "min", "max", *(f"p{percent}" for percent in range(1, 100)))
_PERCENTILE = re.compile(r"p([1-9][0-9]?)\Z")


def percent(name: str) -> int | None:
    """1 … 99 for a percentile's name, None for any other statistic."""
    matched = _PERCENTILE.match(name)
    return int(matched[1]) if matched else None


def calculate(name: str, values: Sequence[float]) -> float:
    """
    The statistic of at least one finite value.

    A mean is the exact mean rounded once, so that nine ones and a zero hold `>= 0.9` and equal repeats
    have their own value as mean. A percentile interpolates linearly between the closest ranks
    (Hyndman and Fan 1996, type 7; the default of `numpy.percentile`).

    Raises:
        ValueError: The name is none of `NAMES`.
    """
    if name == "mean":
        return _mean(values)
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


def _mean(values: Sequence[float]) -> float:
    """Exact and rounded once, as `statistics.mean` is, which takes five times as long."""
    distinct = set(values)
    if len(distinct) == 1:
        return float(values[0])
    if distinct == {0.0, 1.0}:
        return sum(values) / len(values)
    ratios = [float(value).as_integer_ratio() for value in values]
    denominator = max(below for _, below in ratios)  # powers of two, so that it is a multiple of each
    return sum(above * (denominator // below) for above, below in ratios) / (denominator * len(values))

"""Bootstrap intervals: the range of a number on other draws of rows, or of groups of rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

from pytest_llmops.statistics.codes import Codes, Floats, group_codes
from pytest_llmops.statistics.intervals import LEVEL, Measure, Method
from pytest_llmops.statistics.summaries import LINEAR, build_difference, calculate

DRAWS = 999
"""Resamples of the interval of a difference, which is shown and decides nothing."""

MANY = 2_000
"""Units from which on the mean of their differences is taken to be normal (central limit theorem)."""

RESAMPLES = 1_999
"""Of several measures at once."""

MOST_DRAWN = 5_000
"""Of more groups than these, bundles are drawn; time would else grow with the square of their number."""
BUNDLES = 1_000
_RESAMPLES_OF_BUNDLES = 999
_CELLS = 500_000  # numbers in one batch of resamples; more no longer fit the cache and run slower
_MOST_UNDEFINED = 0.05
_TIE = 1e-9  # differences nearer than this share of the largest are equal, but for rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The interval and the standard error of a difference, both in the unit of the values."""

    low: float
    high: float
    error: float


def paired_interval(  # noqa: PLR0913 - both sides, and their units
    statistic: str,
    base: Sequence[float],
    new: Sequence[float],
    *,
    level: float,
    seed: int,
    units: Sequence[str] | None = None,
    draws: int = DRAWS,
) -> Spread:
    """
    The range of the difference, new less base, on other draws of rows.

    Bias-corrected and accelerated bootstrap of the mean paired difference (a sum is that times the
    rows), or the normal interval from `MANY` rows on, where both are the same to a few per cent of their
    width. Other statistics resample the pairs and take percentiles, as does a mean whose correction
    is not defined. Differences without spread, one pair among them, give the point itself. Units are drawn
    whole, so that paraphrases of one question count once.

    Args:
        units: A name a row; rows of one name are one unit. By default each row is one.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 and 14.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    scale = float(np.abs(differences).max(initial=0.0))
    if float(np.ptp(differences)) <= scale * _TIE:
        same = calculate(statistic, list(new)) - calculate(statistic, list(base))
        return Spread(low=same, high=same, error=0.0)
    codes = group_codes(units, len(differences))
    if statistic in LINEAR:
        spread = _mean_interval(differences, codes, level, seed, draws)
        times = len(differences) if statistic == "sum" else 1
        return Spread(low=spread.low * times, high=spread.high * times, error=spread.error * times)
    measure = build_difference(statistic)
    if (count := int(codes.max()) + 1) == len(differences):
        return _read_spread(_bootstrap((after, before), measure, "percentile", level, seed, draws))
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])

    def measure_units(sample: Any, axis: int) -> Any:  # noqa: ARG001 - as scipy calls it
        drawn = (np.concatenate([members[unit] for unit in row]) for row in np.atleast_2d(sample))
        measured = np.array([measure(after[rows], before[rows], axis=0) for rows in drawn])
        return measured if sample.ndim > 1 else measured[0]

    return _read_spread(_bootstrap((np.arange(count),), measure_units, "percentile", level, seed, draws))


def measure_with_intervals(
    measure: Callable[[Floats], Sequence[float]], groups: Sequence[Hashable], *, seed: int = 0
) -> list[Measure]:
    """
    Several measures of the same resamples, each with its bias-corrected and accelerated interval.

    Up to `MOST_DRAWN` groups are drawn one by one, `RESAMPLES` times. Of more, each goes at random into one
    of `BUNDLES` bundles of one size, and bundles are drawn and left out, 999 times. Bundles are as
    independent of each other as groups are, so the interval is the same but for its own chance: its
    width then differs from that of another seed by some 5 %, instead of 3 %.

    Args:
        measure: From the weight of each row, shape (rows,), to the measures; NaN is not defined.
        groups: The document, question or row that each row is drawn with; shape (rows,).

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 14; groups are drawn
    and left out as in Davison and Hinkley (1997), ch. 3.8.
    """
    import numpy as np

    group_of = group_codes(groups, len(groups))
    count = int(group_of.max(initial=-1)) + 1
    resamples = RESAMPLES
    if count > MOST_DRAWN:
        resamples = _RESAMPLES_OF_BUNDLES
        group_of = (np.random.default_rng(seed).permutation(count) % BUNDLES)[group_of]
        count = BUNDLES
    values = [float(value) for value in measure(np.ones(len(group_of)))]
    if count < 2:  # noqa: PLR2004 - one group has no spread
        return [Measure(value=None if math.isnan(value) else value, level=LEVEL) for value in values]

    def measure_drawn(drawn: Codes) -> Floats:
        return np.asarray(measure(np.bincount(drawn, minlength=count).astype(float).take(group_of)))

    result = _bootstrap((np.arange(count),), measure_drawn, "BCa", LEVEL, seed, resamples, vectorized=False)
    drawn_values = np.atleast_2d(result.bootstrap_distribution)
    lows, highs = map(np.atleast_1d, result.confidence_interval)
    return [
        _with_interval(value, float(lows[at]), float(highs[at]), drawn_values[at])
        for at, value in enumerate(values)
    ]


def draw_weights(groups: Sequence[Hashable], draws: int, seed: int) -> Iterator[Floats]:
    """The weight of each row in resamples of groups; no resample of one group, which has no spread."""
    import numpy as np

    group_of = group_codes(groups, len(groups))
    count = int(group_of.max(initial=-1)) + 1
    random = np.random.default_rng(seed)
    for _ in range(draws if count > 1 else 0):
        drawn = np.bincount(random.integers(count, size=count), minlength=count)
        yield drawn[group_of].astype(float)


def percentile_interval(drawn: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The range that leaves out as many of the lowest resamples as of the highest."""
    import numpy as np

    tail = 50 * (1 - level)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def _mean_interval(differences: Floats, codes: Codes, level: float, seed: int, draws: int) -> Spread:
    import numpy as np

    grouped = codes.max() + 1 < len(differences)
    if not grouped and len(differences) >= MANY:
        center, error = (
            float(differences.mean()),
            float(differences.std(ddof=1)) / math.sqrt(len(differences)),
        )
        reach = NormalDist().inv_cdf((1 + level) / 2) * error
        return Spread(low=center - reach, high=center + reach, error=error)

    def mean(sample: Any, axis: int) -> Any:
        return sample.mean(axis=axis)

    def mean_of_units(sums: Any, counts: Any, axis: int) -> Any:
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    data: tuple[Any, ...] = (differences,)
    measure: Callable[..., Any] = mean
    if grouped:
        data, measure = (np.bincount(codes, differences), np.bincount(codes)), mean_of_units
    spread = _read_spread(_bootstrap(data, measure, "BCa", level, seed, draws))
    if np.isfinite([spread.low, spread.high]).all():
        return spread
    return _read_spread(_bootstrap(data, measure, "percentile", level, seed, draws))


def _bootstrap(  # noqa: PLR0913, PLR0917 - as scipy wants it
    data: tuple[Any, ...],
    measure: Callable[..., Any],
    method: Literal["BCa", "percentile"],
    level: float,
    seed: int,
    draws: int,
    *,
    vectorized: bool = True,
) -> Any:
    import numpy as np
    from scipy.stats import bootstrap

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a correction that is not defined, which the caller checks
        return bootstrap(
            data,
            measure,
            paired=len(data) > 1,
            vectorized=vectorized,
            method=method,
            confidence_level=level,
            n_resamples=draws,
            batch=max(1, _CELLS // len(data[0])),
            random_state=np.random.default_rng(seed),
        )


def _read_spread(result: Any) -> Spread:
    low, high = map(float, result.confidence_interval)
    return Spread(low=low, high=high, error=float(result.standard_error))


def _with_interval(value: float, low: float, high: float, drawn: Floats) -> Measure:
    import numpy as np

    if not np.isfinite(value):
        return Measure(value=None, level=LEVEL)
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - _MOST_UNDEFINED) * len(drawn) or np.ptp(defined) == 0:
        return Measure(value=value, level=LEVEL)
    method: Method = "BCa"
    if not np.isfinite([low, high]).all():
        low, high = percentile_interval(defined)
        method = "percentile"
    return Measure(value=value, low=low, high=high, level=LEVEL, method=method)

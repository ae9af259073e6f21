"""
The suite's tests and intervals: exact for means and sums, seeded resamples for other statistics.

Positive differences are `new - base` in the metric's own unit; which sign is worse, the caller says.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.gates.inference import statistic as statistics
from pytest_llmops.gates.inference.sign_flips import mean_p_value, sign_flip_p_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Worse = Literal["less", "greater"]
Units = Sequence[str]
"""A name a case: cases of one name are one unit, which is drawn or turned round as a whole."""

RESAMPLES = 4_999
"""Of a permutation test, which is exact where it has no more arrangements than that."""

MANY = 2_000
"""Units from which on the mean of their differences is taken to be normal (central limit theorem)."""

DRAWS = 999
"""Of a bootstrap whose interval is shown and decides nothing."""

_CELLS = 500_000  # numbers in one batch of resamples; more no longer fit the cache and run slower
LINEAR = frozenset({"mean", "sum"})
"""Statistics that are the same of cases as of their repeats."""

NOISE = 1e-6
"""Share of the largest value below which two values are one: processors round an encoder's sums unlike."""

_TIE = 1e-9  # values nearer than this share of the largest are a tie that rounding has split


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The interval of a difference, and the standard error of it; both in the metric's unit."""

    low: float
    high: float
    error: float


def paired_p_value(  # noqa: PLR0913 - both sides, and what is independent of what
    statistic: str,
    base: Sequence[float],
    new: Sequence[float],
    *,
    worse: Worse,
    seed: int,
    units: Units | None = None,
    exact: bool = False,
) -> float:
    """
    How often chance alone makes new values as much worse: one-sided, in (0, 1].

    A paired permutation test: were the runs alike, either value of a case could have come from either.
    For a mean or a sum that is `mean_p_value` of the differences, those of a unit added up; for other
    statistics exact where there are no more arrangements than `RESAMPLES`: 12 units.

    Args:
        base: One value a case, shape (cases,); `new` alike, in the same order.
        units: The unit of each case; by default each is its own.
        exact: Of a mean, sign patterns however few there are, where no other test stands beside this one.

    Source: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    differences[np.abs(differences) <= NOISE * np.abs([before, after]).max()] = 0
    if not differences.any():
        return 1.0
    members = _members(units or list(map(str, range(len(base)))))
    if statistic in LINEAR or len(differences) == 1:
        summed = np.array([differences[rows].sum() for rows in members])
        return (sign_flip_p_value if exact else mean_p_value)(summed if worse == "less" else -summed)
    if len(members) < len(differences):
        return _turn_units((before, after), members, _difference_of(statistic), worse, seed)
    from scipy.stats import permutation_test

    result = permutation_test(
        (after, before),
        _difference_of(statistic),
        permutation_type="samples",
        vectorized=True,
        alternative=worse,
        n_resamples=RESAMPLES,
        batch=max(1, _CELLS // len(before)),
        random_state=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def paired_interval(  # noqa: PLR0913 - both sides, and what is independent of what
    statistic: str,
    base: Sequence[float],
    new: Sequence[float],
    *,
    level: float,
    seed: int,
    units: Units | None = None,
    draws: int = DRAWS,
) -> Spread:
    """
    Where the difference would fall on another draw of cases.

    Bias-corrected and accelerated bootstrap of the mean paired difference (a sum is that times the
    cases), or the normal interval from `MANY` cases on, where both are the same to a few per cent of their
    width. Other statistics resample the pairs and take percentiles, as does a mean whose correction
    is not defined. Differences without spread, one pair among them, give the point itself. Units are drawn
    whole, so that paraphrases of one question count once.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 and 14.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    scale = float(np.abs(differences).max(initial=0.0))
    if float(np.ptp(differences)) <= scale * _TIE:
        same = statistics.calculate(statistic, list(new)) - statistics.calculate(statistic, list(base))
        return Spread(low=same, high=same, error=0.0)
    members = _members(units or list(map(str, range(len(base)))))
    grouped = len(members) < len(differences)
    if statistic not in LINEAR:
        measure = _difference_of(statistic)
        if not grouped:
            return _bootstrap((after, before), measure, "percentile", level, seed, draws)

        def drawn(sample: Any, axis: int) -> Any:  # noqa: ARG001 - as scipy calls it
            draws = (np.concatenate([members[unit] for unit in row]) for row in np.atleast_2d(sample))
            found = np.array([measure(after[rows], before[rows], axis=0) for rows in draws])
            return found if sample.ndim > 1 else found[0]

        return _bootstrap((np.arange(len(members)),), drawn, "percentile", level, seed, draws)

    spread = _mean_interval(differences, members, level, seed, draws)
    if statistic == "mean":
        return spread
    cases = len(differences)
    return Spread(low=spread.low * cases, high=spread.high * cases, error=spread.error * cases)


def _mean_interval(
    differences: NDArray[np.float64],
    members: Sequence[NDArray[np.int64]],
    level: float,
    seed: int,
    draws: int,
) -> Spread:
    import numpy as np

    grouped = len(members) < len(differences)
    if not grouped and len(differences) >= MANY:
        return _normal_interval(differences, level)

    def mean(sample: Any, axis: int) -> Any:
        return sample.mean(axis=axis)

    def mean_of_units(sums: Any, counts: Any, axis: int) -> Any:
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    data: tuple[Any, ...] = (differences,)
    measured: Callable[..., Any] = mean
    if grouped:
        data = (np.array([differences[rows].sum() for rows in members]), np.array(list(map(len, members))))
        measured = mean_of_units
    spread = _bootstrap(data, measured, "BCa", level, seed, draws)
    if np.isfinite([spread.low, spread.high]).all():
        return spread
    return _bootstrap(data, measured, "percentile", level, seed, draws)


def _normal_interval(differences: NDArray[np.float64], level: float) -> Spread:
    center, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(len(differences))
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return Spread(low=center - reach, high=center + reach, error=error)


def _members(units: Units) -> list[NDArray[np.int64]]:
    """The rows of each unit, in the order in which units occur."""
    import numpy as np

    rows: dict[str, list[int]] = {}
    for row, unit in enumerate(units):
        rows.setdefault(unit, []).append(row)
    return [np.array(of_unit) for of_unit in rows.values()]


def _turn_units(
    pair: tuple[NDArray[np.float64], NDArray[np.float64]],
    members: Sequence[NDArray[np.int64]],
    measure: Callable[..., Any],
    worse: Worse,
    seed: int,
) -> float:
    """A permutation test whose units exchange all their values at once; every arrangement where few exist."""
    import numpy as np

    before, after = pair
    if exact := 2 ** len(members) <= RESAMPLES + 1:
        turned = np.array(
            [[index >> unit & 1 for unit in range(len(members))] for index in range(2 ** len(members))]
        )
    else:
        turned = np.random.default_rng(seed).integers(0, 2, (RESAMPLES, len(members)))
    of_case = np.empty((len(turned), len(before)), bool)
    for unit, rows in enumerate(members):
        of_case[:, rows] = turned[:, [unit]] == 1
    observed = measure(after, before, axis=0)
    others = measure(np.where(of_case, before, after), np.where(of_case, after, before), axis=1)
    tie = _TIE * max(float(np.abs(others).max()), 1e-300)
    as_bad = int((others <= observed + tie).sum() if worse == "less" else (others >= observed - tie).sum())
    return as_bad / len(turned) if exact else (as_bad + 1) / (len(turned) + 1)


def _difference_of(statistic: str) -> Callable[..., Any]:
    """The statistic of the new values less that of the base, over an axis."""
    import numpy as np

    if (percent := statistics.percent(statistic)) is not None:
        return lambda new, base, axis: (
            np.percentile(new, percent, axis=axis) - np.percentile(base, percent, axis=axis)
        )
    extreme = np.min if statistic == "min" else np.max
    return lambda new, base, axis: extreme(new, axis=axis) - extreme(base, axis=axis)


def _bootstrap(  # noqa: PLR0913, PLR0917 - as scipy wants it
    data: tuple[NDArray[Any], ...],
    measure: Callable[..., Any],
    method: Literal["BCa", "percentile"],
    level: float,
    seed: int,
    draws: int,
) -> Spread:
    import numpy as np
    from scipy.stats import bootstrap

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a correction that is not defined, for which the caller looks
        result = bootstrap(
            data,
            measure,
            paired=len(data) > 1,
            vectorized=True,
            method=method,
            confidence_level=level,
            n_resamples=draws,
            batch=max(1, _CELLS // len(data[0])),
            random_state=np.random.default_rng(seed),
        )
    interval = result.confidence_interval
    return Spread(low=float(interval.low), high=float(interval.high), error=float(result.standard_error))

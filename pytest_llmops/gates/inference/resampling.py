"""
The suite's tests and intervals: exact for means and sums, seeded resamples for other statistics.

Positive differences are `new - base` in the metric's own unit; which sign is worse, the caller says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.gates.inference import statistic as statistics
from pytest_llmops.gates.inference.sign_flips import sign_flip_p_value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Worse = Literal["less", "greater"]

RESAMPLES = 4_999
"""Of a permutation test and of a bootstrap; a test is exact where it has no more arrangements than that."""

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


def paired_p_value(
    statistic: str, base: Sequence[float], new: Sequence[float], *, worse: Worse, seed: int
) -> float:
    """
    How often chance alone makes new values as much worse: one-sided, in (0, 1].

    A paired permutation test: were the runs alike, either value of a case could have come from either.
    For a mean or a sum that is the exact sign-flip test of the differences; for other statistics exact
    where there are no more arrangements than `RESAMPLES`: 12 pairs.

    Args:
        base: One value a case, shape (cases,); `new` alike, in the same order.

    Source: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    differences[np.abs(differences) <= NOISE * np.abs([before, after]).max()] = 0
    if not differences.any():
        return 1.0
    if statistic in LINEAR or len(differences) == 1:
        return sign_flip_p_value(differences if worse == "less" else -differences)
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


def paired_interval(
    statistic: str, base: Sequence[float], new: Sequence[float], *, level: float, seed: int
) -> Spread:
    """
    Where the difference would fall on another draw of cases.

    Bias-corrected and accelerated bootstrap of the mean paired difference (a sum is that times the
    cases); other statistics resample the pairs and take percentiles, as does a mean whose correction
    is not defined. Differences without spread, one pair among them, give the point itself.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 13 and 14.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    scale = float(np.abs(differences).max(initial=0.0))
    if float(np.ptp(differences)) <= scale * _TIE:
        same = statistics.calculate(statistic, list(new)) - statistics.calculate(statistic, list(base))
        return Spread(low=same, high=same, error=0.0)
    if statistic not in LINEAR:
        return _bootstrap((after, before), _difference_of(statistic), "percentile", level, seed)

    def mean(sample: Any, axis: int) -> Any:
        return sample.mean(axis=axis)

    spread = _bootstrap((differences,), mean, "BCa", level, seed)
    if not np.isfinite([spread.low, spread.high]).all():
        spread = _bootstrap((differences,), mean, "percentile", level, seed)
    if statistic == "mean":
        return spread
    cases = len(differences)
    return Spread(low=spread.low * cases, high=spread.high * cases, error=spread.error * cases)


def _difference_of(statistic: str) -> Callable[..., Any]:
    """The statistic of the new values less that of the base, over an axis."""
    import numpy as np

    if (percent := statistics.percent(statistic)) is not None:
        return lambda new, base, axis: (
            np.percentile(new, percent, axis=axis) - np.percentile(base, percent, axis=axis)
        )
    extreme = np.min if statistic == "min" else np.max
    return lambda new, base, axis: extreme(new, axis=axis) - extreme(base, axis=axis)


def _bootstrap(
    data: tuple[NDArray[np.float64], ...],
    measure: Callable[..., Any],
    method: Literal["BCa", "percentile"],
    level: float,
    seed: int,
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
            n_resamples=RESAMPLES,
            batch=max(1, _CELLS // len(data[0])),
            random_state=np.random.default_rng(seed),
        )
    interval = result.confidence_interval
    return Spread(low=float(interval.low), high=float(interval.high), error=float(result.standard_error))

"""
The tests and intervals of the gate: exact where there are few cases, seeded resamples where there are many.

Positive differences are `new - base` in the metric's own unit; which sign is worse, the caller says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from math import comb
from typing import TYPE_CHECKING, Any, Literal

from pytest_llmops.gates import statistic as statistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Worse = Literal["less", "greater"]

RESAMPLES = 4_999
"""Of a permutation test and of a bootstrap; a test is exact where it has no more arrangements than that."""

_SPLITS = 19_999
_CELLS = 500_000  # numbers in one batch of resamples; more no longer fit the cache and run slower
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
    For a mean or a sum that is the sign-flip test of the differences, where equal pairs say nothing and
    are left out. Exact where there are no more arrangements than `RESAMPLES`: 12 pairs.

    Args:
        base: One value a case, shape (cases,); `new` alike, in the same order.

    Source: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    if not differences.any():
        return 1.0
    if statistic in {"mean", "sum"} or len(differences) == 1:
        differences = differences[differences != 0]
        return _sign_flip(differences if worse == "less" else -differences, seed)
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


def _sign_flip(differences: NDArray[np.float64], seed: int) -> float:
    """
    The share of sign patterns whose sum is as low as the one observed.

    `scipy.stats.permutation_test` says the same ten times as slowly, which a simulation of the gate
    could not afford.
    """
    import numpy as np

    cases = len(differences)
    differences = differences / np.abs(differences).max()
    limit = differences.sum() + _TIE
    if exact := 2**cases <= RESAMPLES:
        patterns = np.array(list(product((0, 1), repeat=cases)), dtype=np.int8)
    else:
        patterns = np.random.default_rng(seed).integers(0, 2, size=(RESAMPLES, cases), dtype=np.int8)
    # The sum under a pattern of kept signs is twice what is kept, less everything.
    rows, total = max(1, _CELLS // cases), differences.sum()
    as_low = sum(
        int(np.count_nonzero(2 * (patterns[start : start + rows] @ differences) - total <= limit))
        for start in range(0, len(patterns), rows)
    )
    return (as_low + (not exact)) / (len(patterns) + (not exact))


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
    if statistic not in {"mean", "sum"}:
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


def repeats_p_values(base: NDArray[np.float64], new: NDArray[np.float64], *, worse: Worse) -> list[float]:
    """
    For each case, how often chance alone puts the new repeats as far on the worse side; in (0, 1].

    A permutation test of the difference of means within each case, exact up to 19,999 ways to split
    the repeats in two and seeded beyond. scipy tests one case at a time as well, ten times as slowly.

    Args:
        base: Shape (cases, repeats); `new` may have another number of repeats.
    """
    import numpy as np

    pooled = np.concatenate([new, base], axis=1)
    if worse == "greater":
        pooled = -pooled
    chosen, exact = _splits(new.shape[1], pooled.shape[1])
    scale = np.abs(pooled).max(axis=1, initial=0.0)
    pooled = pooled / np.where(scale > 0, scale, 1.0)[:, None]
    observed = pooled[:, : new.shape[1]].sum(axis=1) + _TIE
    p_values: list[float] = []
    rows = max(1, 40 * _CELLS // len(chosen))
    for start in range(0, len(pooled), rows):
        sums = chosen @ pooled[start : start + rows].T
        as_far = np.count_nonzero(sums <= observed[start : start + rows], axis=0)
        p_values += ((as_far + (not exact)) / (len(chosen) + (not exact))).tolist()
    return p_values


def smallest_p_value(base_repeats: int, new_repeats: int) -> float:
    """The least that `repeats_p_values` can give, in (0, 1]."""
    return 1 / comb(base_repeats + new_repeats, new_repeats)


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """
    P-values that keep the chance of any false alarm among them at the level, in the order given.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


@lru_cache(maxsize=8)
def _splits(new: int, total: int) -> tuple[NDArray[np.float64], bool]:
    """Which of the pooled repeats count as new, shape (splits, total), and whether these are all ways."""
    import numpy as np

    if comb(total, new) <= _SPLITS:
        picked = np.array(list(combinations(range(total), new)))
    else:
        picked = np.random.default_rng(0).random((_SPLITS, total)).argsort(axis=1)[:, :new]
    chosen = np.zeros((len(picked), total))
    np.put_along_axis(chosen, picked, 1.0, axis=1)
    return chosen, comb(total, new) <= _SPLITS


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

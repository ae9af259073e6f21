"""Tests of pairs: were both sides alike, either value of a pair could have come from either side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pytest_llmops.statistics.codes import Floats, group_codes, sum_weights
from pytest_llmops.statistics.significance.sign_flips import mean_p_value, sign_flip_p_value
from pytest_llmops.statistics.summaries import LINEAR, NOISE, build_difference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Worse = Literal["less", "greater"]

RESAMPLES = 4_999
"""Of a test of pairs, which is exact where it has no more arrangements than that."""

_CELLS = 500_000  # numbers in one batch of resamples; more no longer fit the cache and run slower
_BATCH = 100  # arrangements that are measured together
_TIE = 1e-9  # values nearer than this share of the largest are a tie that rounding has split


def paired_p_value(  # noqa: PLR0913 - both sides, and what is independent of what
    statistic: str,
    base: Sequence[float],
    new: Sequence[float],
    *,
    worse: Worse,
    seed: int,
    units: Sequence[str] | None = None,
    exact: bool = False,
) -> float:
    """
    How often chance alone makes new values as much worse: one-sided, in (0, 1].

    A paired permutation test. For a mean or a sum that is `mean_p_value` of the differences, those of a unit
    added up; for other statistics exact where there are no more arrangements than `RESAMPLES`: 12 units.

    Args:
        base: One value a row, shape (rows,); `new` alike, in the same order.
        worse: Than the base; differences are `new - base`.
        units: The unit of each row; by default each is its own.
        exact: Of a mean, sign patterns however few there are, where no other test stands beside this one.

    Source: Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.
    """
    import numpy as np

    before, after = np.asarray(base, float), np.asarray(new, float)
    differences = after - before
    differences[np.abs(differences) <= NOISE * np.abs([before, after]).max()] = 0
    if not differences.any():
        return 1.0
    codes = group_codes(units, len(differences))
    count = int(codes.max()) + 1
    if statistic in LINEAR or len(differences) == 1:
        summed = sum_weights(codes, differences, count)
        return (sign_flip_p_value if exact else mean_p_value)(summed if worse == "less" else -summed)
    measure, sign = build_difference(statistic), 1 if worse == "greater" else -1
    if count < len(differences):

        def measure_exchanged(exchanged: NDArray[np.bool_]) -> Floats:
            turned = exchanged[:, codes]
            sides = np.where(turned, before, after), np.where(turned, after, before)
            measured: Floats = sign * measure(*sides, axis=1)
            return measured

        every = 2**count <= RESAMPLES + 1
        return exchange_units(count, measure_exchanged, draws=None if every else RESAMPLES, seed=seed)
    from scipy.stats import permutation_test

    result = permutation_test(
        (after, before),
        measure,
        permutation_type="samples",
        vectorized=True,
        alternative=worse,
        n_resamples=RESAMPLES,
        batch=max(1, _CELLS // len(before)),
        random_state=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def exchange_units(
    units: int, measure: Callable[[NDArray[np.bool_]], Floats], *, draws: int | None, seed: int = 0
) -> float:
    """
    How often a measure is as large where units exchange their sides at random; in (0, 1].

    Args:
        measure: From whether each unit is exchanged, shape (arrangements, units), to a number each.
        draws: How many arrangements are drawn; None for each one there is.

    Source: Phipson and Smyth (2010), Permutation p-values should never be zero, Stat. Appl. Genet. 9.
    """
    import numpy as np

    if draws is None:
        exchanged = np.arange(2**units)[:, None] >> np.arange(units) & 1 == 1
    else:
        exchanged = np.random.default_rng(seed).integers(0, 2, (draws, units)) == 1
    batches = [measure(exchanged[start : start + _BATCH]) for start in range(0, len(exchanged), _BATCH)]
    values, observed = np.concatenate(batches), measure(np.zeros((1, units), bool))[0]
    as_large = int((values >= observed - _TIE * max(float(np.abs(values).max()), 1e-300)).sum())
    return as_large / len(values) if draws is None else (as_large + 1) / (draws + 1)

"""Where a measure would fall on another draw of rows, or of the documents that the rows are about."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from pytest_llmops.calibration.statistics import Floats

LEVEL = 0.95
RESAMPLES = 1_999
MOST_DRAWN = 5_000
"""Of more groups than these, bundles are drawn; the work would else grow with the square of their number."""
BUNDLES = 1_000
_RESAMPLES_OF_BUNDLES = 999
_SEED = 0
_CELLS = 2_000_000  # numbers in one batch of resamples
_MOST_UNDEFINED = 0.05

Method = Literal["BCa", "percentile", "exact", "asymptotic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """
    One number with its interval.

    Attributes:
        value: None where the rows do not define it, such as an area under the curve of good rows alone.
        low: None, as `high`, where no interval could be made.
        method: How the interval was made; `percentile` where BCa is not defined, and `exact` where all rows
            agree, of which no resample can tell how sure it is.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = LEVEL
    method: Method | None = None


def measure_with_intervals(
    measure: Callable[[Floats], Sequence[float]],
    groups: Sequence[Hashable],
    *,
    level: float = LEVEL,
    seed: int = _SEED,
) -> list[Measure]:
    """
    Several measures with the bias-corrected and accelerated bootstrap of each, of the same resamples.

    Up to `MOST_DRAWN` groups are drawn one by one, `RESAMPLES` times. Of more, each goes at random into one
    of `BUNDLES` bundles of one size, and bundles are drawn and left out as wholes, 999 times. Bundles are as
    independent of each other as groups are, so the interval is the same but for its own chance: its
    width then differs from that of another seed by some 5 %, instead of 3 %.

    Args:
        measure: From how often each row counts, shape (rows,), to the measures; NaN is not defined.
        groups: Of each row the document, question or row that is drawn as a whole; shape (rows,).

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, ch. 14; whole groups are drawn
    and left out as in Davison and Hinkley (1997), ch. 3.8.
    """
    import numpy as np
    from scipy.stats import bootstrap

    places: dict[Hashable, int] = {}
    group_of = np.array([places.setdefault(group, len(places)) for group in groups], dtype=np.intp)
    count = len(places)
    resamples = RESAMPLES
    if count > MOST_DRAWN:
        resamples = _RESAMPLES_OF_BUNDLES
        group_of = (np.random.default_rng(seed).permutation(count) % BUNDLES)[group_of]
        count = BUNDLES
    values = [float(value) for value in measure(np.ones(len(group_of)))]
    if count < 2:  # noqa: PLR2004 - one group has no spread
        return [Measure(value=_finite(value), level=level) for value in values]

    def measure_drawn(drawn: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
        return np.asarray(measure(np.bincount(drawn, minlength=count).astype(float).take(group_of)))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a correction that is not defined, which is looked for below
        result = bootstrap(
            (np.arange(count),),
            measure_drawn,
            vectorized=False,
            method="BCa",
            confidence_level=level,
            n_resamples=resamples,
            batch=max(1, _CELLS // count),
            random_state=np.random.default_rng(seed),
        )
    interval = result.confidence_interval
    drawn_values = np.atleast_2d(result.bootstrap_distribution)
    lows, highs = np.atleast_1d(interval.low), np.atleast_1d(interval.high)
    return [
        _with_interval(value, float(lows[at]), float(highs[at]), drawn_values[at], level)
        for at, value in enumerate(values)
    ]


def bound_perfect(count: int, level: float = LEVEL) -> float:
    """
    The lower end for a share of which all of `count` independent looks held; no resample shows it.

    Source: Clopper and Pearson (1934), at count of count.
    """
    return float(((1 - level) / 2) ** (1 / count)) if count else 0.0


def bound_share(measure: Measure, count: int) -> Measure:
    """A share of all or none of `count` looks, where resamples are alike, with its exact interval."""
    if measure.low is not None or measure.value not in {0.0, 1.0}:
        return measure
    low = bound_perfect(count, measure.level)
    low, high = (low, 1.0) if measure.value else (0.0, 1 - low)
    return replace(measure, low=low, high=high, method="exact")


def bound_kappa(measure: Measure, by_chance: float, worst: float, count: int) -> Measure:
    """
    Whole agreement of `count` rows, with the disagreement that they may have missed at its dearest.

    Args:
        by_chance: What disagreement costs a row where chance alone decides; `worst` is the most it can.
    """
    if measure.low is not None or measure.value != 1.0:
        return measure
    missed = 1 - bound_perfect(count, measure.level)
    return replace(measure, low=max(-1.0, 1 - missed * worst / by_chance), high=1.0, method="exact")


def _with_interval(value: float, low: float, high: float, drawn: Floats, level: float) -> Measure:
    import numpy as np

    if not np.isfinite(value):
        return Measure(value=None, level=level)
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - _MOST_UNDEFINED) * len(drawn) or np.ptp(defined) == 0:
        return Measure(value=value, level=level)
    method: Method = "BCa"
    if not np.isfinite([low, high]).all():
        tail = 50 * (1 - level)
        low, high = (float(each) for each in np.percentile(defined, [tail, 100 - tail]))
        method = "percentile"
    return Measure(value=value, low=low, high=high, level=level, method=method)


def _finite(value: float) -> float | None:
    return value if value == value else None  # noqa: PLR0124 - NaN alone is not itself

"""Thresholds of a score, by the errors that they make."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_llmops.features.calibrate.estimates import count_good
from pytest_llmops.statistics.bootstrap import draw_weights, percentile_interval
from pytest_llmops.statistics.codes import Codes, Floats, rank_codes
from pytest_llmops.statistics.intervals import LEVEL, Measure, bound_share, upper_bound

Kind = Literal["bad passed", "good refused"]
RATES = (0.01, 0.05, 0.1, 0.2, 0.3)
_RESAMPLES = 999


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorThreshold:
    """
    The loosest threshold that keeps a stated error.

    The error is the share of bad rows that pass. Since the strictest threshold is tried first, and the
    first that cannot be shown to keep the error ends the search, the bound holds for the one chosen.

    Attributes:
        max_error: As stated.
        threshold: None where no threshold can be shown to keep it.
        false_pass: Share of bad rows that pass at the threshold, or without one at the strictest.
        upper: Its one-sided upper bound.
        passing: Share of the good rows that pass.
        bad: Number of bad rows; if none of them passes, about 3 / max_error are enough.
    """

    max_error: float
    threshold: float | None
    false_pass: float
    upper: float
    passing: float
    bad: int


def count_right(codes: Codes, good: Floats, weights: Floats) -> Floats:
    """
    Count the rows that a cut reads as people do, for a cut at each distinct score from the lowest on.

    Args:
        codes: Of scores where higher is better; a row passes from the cut upwards.
        good: 1, 0, or NaN for a row that does not count.
    """
    goods, _, below = count_good(codes, good, weights)
    return read_right(goods, below)


def read_right(goods: Floats, below: Floats) -> Floats:
    """The same from the counts of `count_good`."""
    right: Floats = goods.sum() - (np.cumsum(goods) - goods) + below
    return right


def find_error_threshold(oriented: Floats, good: Floats, max_error: float) -> ErrorThreshold | None:
    """
    Find the loosest threshold by a fixed-sequence test of exact upper bounds; None where no row is bad.

    Args:
        oriented: Scores where higher is better, shape (rows,); the threshold is in this unit.
    """
    bad, fine = np.sort(oriented[good == 0]), np.sort(oriented[good == 1])
    if not len(bad):
        return None
    kept: float | None = None
    cuts = np.unique(oriented)[::-1]
    for cut in cuts:
        if upper_bound(_count_from(bad, cut), len(bad), LEVEL) > max_error:
            break
        kept = float(cut)
    at = float(cuts[0]) if kept is None else kept
    passed = _count_from(bad, at)
    return ErrorThreshold(
        max_error=max_error,
        threshold=kept,
        false_pass=passed / len(bad),
        upper=upper_bound(passed, len(bad), LEVEL),
        passing=_count_from(fine, at) / len(fine) if len(fine) else 0.0,
        bad=len(bad),
    )


def _count_from(ascending: Floats, cut: float) -> int:
    return len(ascending) - int(np.searchsorted(ascending, cut, side="left"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """
    One error rate and the threshold that keeps it on these rows: an estimate, without a promise.

    Attributes:
        kind: The error that is kept: the share of bad rows that pass, or of good rows that are refused.
        at_most: Its rate.
        threshold: Of bad rows the loosest that keeps it, of good rows the strictest; in the metric's unit.
            None where even the strictest lets more pass.
        low: With `high` the interval of the threshold, `low` the looser end; None at an end where no
            threshold keeps the rate.
        other: The other error at that threshold.
    """

    kind: Kind
    at_most: float
    threshold: float | None
    low: float | None
    high: float | None
    other: Measure


def find_errors(
    oriented: Floats, good: Floats, groups: Sequence[Hashable], *, sign: float = 1.0
) -> tuple[ErrorRow, ...]:
    """
    Find thresholds for both errors at each of `RATES`; none where no row is bad, or none is good.

    Args:
        oriented: Scores where higher is better, shape (rows,); a row passes from the threshold upwards.
        good: 1 or 0.
        groups: Of each row the group that it is drawn with.
        sign: -1 turns thresholds back into the unit of a metric where lower is better.

    Source: percentile bootstrap of whole groups, Davison and Hinkley (1997), ch. 2.4 and 3.8; a quantile has
    no jackknife, and so no BCa interval.
    """
    if not (good == 0).any() or not (good == 1).any():
        return ()
    cuts, codes = np.unique(oriented), rank_codes(oriented)
    passed, refused = _shares(codes, good, np.ones(len(codes)), len(cuts))
    drawn = [
        _shares(codes, good, weights, len(cuts))
        for weights in draw_weights(groups, _RESAMPLES, 0)
        if weights @ (good == 0) and weights @ (good == 1)  # a resample of one kind has no shares
    ]
    count = len(set(groups))
    rows = []
    for kind, own, other, side in (("bad passed", passed, refused, 0), ("good refused", refused, passed, 1)):
        for rate in RATES:
            at = _place(own, rate, kind)
            places = np.sort([_place(shares[side], rate, kind) for shares in drawn])
            costs = np.array([shares[1 - side][at] for shares in drawn])
            ends: list[float | None] = [None, None]
            if len(places):
                tail = round((1 - LEVEL) / 2 * (len(places) - 1))
                ends = [_cut(cuts, int(places[at_end]), sign) for at_end in (tail, -1 - tail)]
            rows.append(
                ErrorRow(
                    kind=kind,  # type: ignore[arg-type]  # one of the two
                    at_most=rate,
                    threshold=_cut(cuts, at, sign),
                    low=ends[0],
                    high=ends[1],
                    other=_share(float(other[at]), costs, min(count, int((good == (side == 0)).sum()))),
                )
            )
    return tuple(rows)


def _shares(codes: Codes, good: Floats, weights: Floats, size: int) -> tuple[Floats, Floats]:
    """Shares of bad rows that pass and of good rows that do not, at each distinct score and above all."""
    bads = np.bincount(codes, weights * (good == 0), minlength=size)
    goods = np.bincount(codes, weights * (good == 1), minlength=size)
    below = np.concatenate([[0.0], np.cumsum(goods)])
    from_here = np.concatenate([np.cumsum(bads[::-1])[::-1], [0.0]])
    return from_here / from_here[0], below / below[-1]


def _place(shares: Floats, rate: float, kind: Kind | str) -> int:
    """Of falling shares the first cut that keeps the rate, of rising shares the last."""
    kept = shares <= rate + 1e-12
    if kind == "bad passed":
        return int(np.argmax(kept))
    return int(len(kept) - 1 - np.argmax(kept[::-1]))


def _cut(cuts: Floats, at: int, sign: float) -> float | None:
    return sign * float(cuts[at]) if at < len(cuts) else None


def _share(value: float, drawn: Floats, count: int) -> Measure:
    if not len(drawn) or np.ptp(drawn) == 0:
        return bound_share(Measure(value=value), count)
    low, high = percentile_interval(drawn)
    return Measure(value=value, low=low, high=high, method="percentile")

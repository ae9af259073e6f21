"""Where to cut a score, so that what passes is good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_llmops.statistics.codes import Codes, Floats
from pytest_llmops.statistics.concordance import count_good
from pytest_llmops.statistics.intervals import LEVEL, upper_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorThreshold:
    """
    The loosest threshold that keeps a stated error.

    The error is the share of bad rows that pass. Since the strictest threshold is tried first, and the
    first that cannot be shown to keep the error ends the search, the bound holds for the one chosen.

    Attributes:
        max_error: As stated.
        threshold: None where no threshold can be shown to keep it.
        false_pass: Share of bad rows that pass at the threshold; `upper` is its one-sided bound, or that of
            the strictest threshold there is, where none was found.
        passing: Share of the good rows that pass.
        bad: How many bad rows there are; without a single one that passes it takes about 3 / max_error.
    """

    max_error: float
    threshold: float | None
    false_pass: float
    upper: float
    passing: float
    bad: int


def count_right(codes: Codes, good: Floats, weights: Floats) -> Floats:
    """
    For a cut at each distinct score, from the lowest: how many rows it reads as people do.

    Args:
        codes: Of scores where higher is better; a row passes from the cut upwards.
        good: 1, 0, or NaN for a row that does not count.
    """
    goods, _, below = count_good(codes, good, weights)
    return read_right(goods, below)


def read_right(goods: Floats, below: Floats) -> Floats:
    """`count_right` of rows that `count_good` counted."""
    right: Floats = goods.sum() - (np.cumsum(goods) - goods) + below
    return right


def find_error_threshold(
    oriented: Floats, good: Floats, max_error: float, level: float = LEVEL
) -> ErrorThreshold | None:
    """
    None where no row is bad.

    Args:
        oriented: Scores where higher is better, shape (rows,); the threshold is in this unit.

    The search is a fixed-sequence test of exact upper bounds.
    """
    bad, fine = np.sort(oriented[good == 0]), np.sort(oriented[good == 1])
    if not len(bad):
        return None
    kept: float | None = None
    cuts = np.unique(oriented)[::-1]
    for cut in cuts:
        if upper_bound(_above(bad, cut), len(bad), level) > max_error:
            break
        kept = float(cut)
    at = float(cuts[0]) if kept is None else kept
    passed = _above(bad, at)
    return ErrorThreshold(
        max_error=max_error,
        threshold=kept,
        false_pass=passed / len(bad),
        upper=upper_bound(passed, len(bad), level),
        passing=_above(fine, at) / len(fine) if len(fine) else 0.0,
        bad=len(bad),
    )


def _above(ascending: Floats, cut: float) -> int:
    return len(ascending) - int(np.searchsorted(ascending, cut, side="left"))

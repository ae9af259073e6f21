"""How well a score reads as the chance that a row is good."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_llmops.statistics.codes import Floats

BINS = 10
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError:
    """
    The expected calibration error: how far, on average, the share of good rows is from what scores say.

    Attributes:
        value: From 0 to 1; 0.1 says that scores are 10 points off on average.
        mapping: `none` where the score is itself from 0 to 1; `logistic` where it was first mapped to a
            probability by a logistic curve, fitted for each fifth of the groups on the other four.
    """

    value: float
    mapping: Literal["none", "logistic"]


def measure_calibration(
    scores: Floats, good: Floats, groups: Sequence[Hashable], *, is_chance: bool
) -> CalibrationError | None:
    """
    None where fewer than two groups, or one kind of label alone, leave nothing to fit a curve on.

    Args:
        scores: Higher is better, shape (rows,).
        good: 1 or 0.
        is_chance: Whether scores go from 0 to 1, and are taken at their word.
    """
    if is_chance:
        return CalibrationError(value=expected_error(scores, good), mapping="none")
    mapped = map_logistic(scores, good, groups)
    return (
        None if mapped is None else CalibrationError(value=expected_error(mapped, good), mapping="logistic")
    )


def expected_error(chances: Floats, good: Floats) -> float:
    """
    Over ten equally wide bins, the mean of |share of good rows - mean chance|, weighted by rows.

    Source: Naeini, Cooper and Hauskrecht (2015).
    """
    places = np.minimum((chances * BINS).astype(int), BINS - 1)
    off = np.abs(np.bincount(places, good - chances, minlength=BINS))
    return float(off.sum() / len(chances))


def map_logistic(scores: Floats, good: Floats, groups: Sequence[Hashable]) -> Floats | None:
    """
    A chance a row by a curve that has not seen the row's group; None where no such curve can be fitted.

    Source: Platt (1999), with his targets that keep a clean split from an endless slope.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    order = {group: at % _FOLDS for at, group in enumerate(dict.fromkeys(groups))}
    folds = np.array([order[group] for group in groups])
    center, spread = float(scores.mean()), float(scores.std())
    if not spread:
        return None
    scaled = (scores - center) / spread
    chances = np.empty(len(scores))
    for fold in np.unique(folds):
        seen = folds != fold
        goods, bads = float((good[seen] == 1).sum()), float((good[seen] == 0).sum())
        if not goods or not bads:
            return None
        target = np.where(good[seen] == 1, (goods + 1) / (goods + 2), 1 / (bads + 2))
        x = scaled[seen]

        def loss(line: Floats, x: Floats = x, target: Floats = target) -> tuple[float, Floats]:
            linear = line[0] * x + line[1]
            off = expit(linear) - target
            cost = np.logaddexp(0, linear) - target * linear
            return float(cost.sum()), np.array([(off * x).sum(), off.sum()])

        fitted = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
        chances[~seen] = expit(fitted[0] * scaled[~seen] + fitted[1])
    return chances

"""
Agreement of scores or judges with labels: kappa, rank correlation and calibration.

Weights count the draws of a row: a bootstrap calls these functions thousands of times, and counting is faster
than copying rows. A measure that is not defined (one kind of label, no spread) is NaN.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_llmops.statistics.codes import Codes, Floats, sum_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray


def count_good(codes: Codes, good: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """
    Of each distinct score, from the lowest: good rows, bad rows, and bad rows with a lower one.

    Args:
        codes: Of the scores, from `rank_codes`; higher is better.
        good: 1 good, 0 bad, NaN of neither kind and left out; shape (rows,).
    """
    size = int(codes.max(initial=0)) + 1
    goods = sum_weights(codes, weights * (good == 1), size)
    bads = sum_weights(codes, weights * (good == 0), size)
    return goods, bads, np.cumsum(bads) - bads


def read_auc(goods: Floats, bads: Floats, below: Floats) -> float:
    """
    Chance that a good row scores above a bad one, ties half: the area under the ROC curve.

    Source: Mann and Whitney (1947); the same as scipy's `mannwhitneyu` statistic over all pairs.
    """
    pairs = goods.sum() * bads.sum()
    return float((goods * (below + bads / 2)).sum() / pairs) if pairs else float("nan")


def measure_accuracy(same: NDArray[np.bool_], weights: Floats) -> float:
    """The share of rows with equal readings."""
    return float((weights * same).sum() / weights.sum())


def measure_kappa(first: Codes, second: Codes, weights: Floats, *, levels: int, quadratic: bool) -> float:
    """
    Agreement beyond chance of two readings in the levels 0 … levels - 1: 1 whole, 0 as by chance.

    Args:
        first: Shape (rows,), as `second`; which of them is which does not matter.
        quadratic: Weigh a disagreement by the square of its distance in levels.

    Source: Cohen (1960), and Cohen (1968) for weights.
    """
    table = np.bincount(first * levels + second, weights, minlength=levels * levels).reshape(levels, levels)
    cost, by_chance = _costs(table, quadratic=quadratic)
    return float(1 - (cost * table).sum() / by_chance) if by_chance else float("nan")


def chance_cost(first: Codes, second: Codes, *, levels: int, quadratic: bool) -> float:
    """The mean cost of a row's disagreement where two such readings agree by chance only."""
    table = np.bincount(first * levels + second, minlength=levels * levels).reshape(levels, levels)
    return _costs(table, quadratic=quadratic)[1] / len(first)


def _costs(table: NDArray[Any], *, quadratic: bool) -> tuple[Floats, float]:
    """The cost of a row in each cell, and the cost of all rows where only the margins decide."""
    levels = len(table)
    apart = np.abs(np.subtract.outer(np.arange(levels), np.arange(levels))).astype(float)
    cost: Floats = apart**2 if quadratic else (apart > 0).astype(float)
    total = float(table.sum())
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(total, 1.0)
    return cost, float((cost * expected).sum())


def measure_spearman(first: Codes, second: Codes, weights: Floats) -> float:
    """
    Rank correlation, ties with their middle rank.

    Source: Spearman (1904); Pearson's correlation of the ranks, as scipy's `spearmanr`.
    """
    x, y = _middle_ranks(first, weights), _middle_ranks(second, weights)
    total = weights.sum()
    if not total:
        return float("nan")
    x, y = x - (weights * x).sum() / total, y - (weights * y).sum() / total
    weighted = weights * x
    spread = (weighted * x).sum() * (weights * y * y).sum()
    return float((weighted * y).sum() / np.sqrt(spread)) if spread > 0 else float("nan")


def _middle_ranks(codes: Codes, weights: Floats) -> Floats:
    counts = np.bincount(codes, weights)
    ranks: Floats = (np.cumsum(counts) - counts / 2).take(codes)
    return ranks


BINS = 10
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationError:
    """
    The expected calibration error: the mean distance of the share of good rows from the scores.

    Attributes:
        value: From 0 to 1; by 0.1 scores are 10 points off on average.
        mapping: `none` where the score is itself from 0 to 1; `logistic` where it was first mapped to a
            probability by a logistic curve, fitted for each fifth of the groups on the other four.
    """

    value: float
    mapping: Literal["none", "logistic"]


def measure_calibration(
    scores: Floats, good: Floats, groups: Sequence[Hashable], *, is_chance: bool
) -> CalibrationError | None:
    """
    The calibration error; None where fewer than two groups, or one kind of label, leave no curve to fit.

    Args:
        scores: Higher is better, shape (rows,).
        good: 1 or 0.
        is_chance: Scores go from 0 to 1, and are read as probabilities.
    """
    if is_chance:
        return CalibrationError(value=expected_error(scores, good), mapping="none")
    mapped = map_logistic(scores, good, groups)
    if mapped is None:
        return None
    return CalibrationError(value=expected_error(mapped, good), mapping="logistic")


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
    The chance of each row by a curve that was fitted without its group; None where none can be fitted.

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

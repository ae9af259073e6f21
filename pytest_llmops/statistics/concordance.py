"""
How far two readings of the same rows agree, each row counted `weights` times.

Weights are how often a row was drawn: a bootstrap calls these thousands of times, and counting is faster
than copying rows. Whatever is not defined (one kind of label, no spread) is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    """Share of rows that are read alike."""
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
    """What disagreement costs a row, on average, where two such readings agree by chance alone."""
    table = np.bincount(first * levels + second, minlength=levels * levels).reshape(levels, levels)
    return _costs(table, quadratic=quadratic)[1] / len(first)


def _costs(table: NDArray[Any], *, quadratic: bool) -> tuple[Floats, float]:
    """What a row of each cell costs, and what all cost where the margins alone decide."""
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

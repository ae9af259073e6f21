"""All measures of agreement at once, of rows that a bootstrap counts again and again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pytest_llmops.features.calibrate.estimates import (
    count_good,
    measure_accuracy,
    measure_kappa,
    measure_spearman,
    read_auc,
)
from pytest_llmops.features.calibrate.readings import Readings
from pytest_llmops.features.calibrate.thresholds import read_right
from pytest_llmops.records import Bound
from pytest_llmops.statistics.codes import Codes, Floats, find_kinds, rank_codes, sum_weights


def build_measure(
    rows: Readings,
    good: Floats | None,
    levels: tuple[Sequence[float], tuple[Codes, Codes] | None],
    halves: Sequence[tuple[Bound, Codes, Codes]],
) -> Callable[[Floats], list[float]]:
    """
    A function from how often each row counts to AUC, Spearman and the best accuracy, then of levels, where
    there are any, accuracy and both kappas, then of each bound accuracy and kappa.

    Rows with one score and one label are alike in everything, and are counted as one; so are, for bounds
    and levels, rows that none of these distinguishes.

    Args:
        good: Of each row 1, 0 or NaN; None where nobody knows.
        levels: The scale, and of each row the level of its score and of its label.
        halves: Of each bound whether scores and people hold a row good.
    """
    one, kind = find_kinds(rank_codes(rows.score), rank_codes(rows.label))
    oriented, ranks = rank_codes(rows.oriented[one]), rank_codes(rows.score[one])
    labels = rank_codes(rows.ranked_label[one])
    known = None if good is None else good[one]

    scale, placed = levels
    read = [*(placed or ()), *(half for _, *both in halves for half in both)]
    first, part = find_kinds(*([column[one] for column in read] or [np.zeros(len(one), dtype=np.intp)]))
    parts = iter([column[one][first] for column in read])
    steps = (next(parts), next(parts)) if placed else None
    sides = [(next(parts), next(parts)) for _ in halves]

    def measure(weights: Floats) -> list[float]:
        counts = sum_weights(kind, weights, len(one))
        measured = [math.nan, measure_spearman(ranks, labels, counts), math.nan]
        if known is not None:
            goods, bads, below = count_good(oriented, known, counts)
            measured[0] = read_auc(goods, bads, below)
            if rows.kind != "pair":
                measured[2] = float(read_right(goods, below).max() / counts.sum())
        counts = sum_weights(part, counts, len(first))
        if steps is not None:
            measured += [
                measure_accuracy(steps[0] == steps[1], counts),
                measure_kappa(*steps, counts, levels=len(scale), quadratic=False),
                measure_kappa(*steps, counts, levels=len(scale), quadratic=True),
            ]
        for judged, people in sides:
            measured += [
                measure_accuracy(judged == people, counts),
                measure_kappa(judged, people, counts, levels=2, quadratic=False),
            ]
        return measured

    return measure

"""Agreement of a metric's scores with the labels that people gave the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_llmops.bounds import format_bound, holds, usual_sign
from pytest_llmops.features.calibrate.estimates import (
    CalibrationError,
    count_good,
    measure_calibration,
    measure_spearman,
    read_auc,
)
from pytest_llmops.features.calibrate.labels import Labels
from pytest_llmops.features.calibrate.readings import Comparison, Readings, pair_readings
from pytest_llmops.features.calibrate.thresholds import (
    ErrorRow,
    ErrorThreshold,
    count_right,
    find_error_threshold,
    find_errors,
    read_right,
)
from pytest_llmops.printable import counted
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Bound
from pytest_llmops.statistics.bootstrap import measure_with_intervals
from pytest_llmops.statistics.codes import Floats, find_kinds, rank_codes, sum_weights
from pytest_llmops.statistics.intervals import Measure, bound_share
from pytest_llmops.statistics.prediction_powered import estimate_rate

_Name = tuple[str, Bound | None]
"""A measure, and the bound at which it is measured; None for the complete scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """
    Agreement at one bound.

    Attributes:
        accuracy: Share of rows that scores and people put on one side.
    """

    bound: Bound
    accuracy: Measure
    kappa: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """
    The share of good rows among all; of pairs, how often the first wins, ties half.

    Attributes:
        judged: By the scores, over `rows` rows, labelled or not.
        labelled: By the labels.
        powered: By both; None where every row has a label.
    """

    judged: float
    rows: int
    labelled: Measure
    powered: Measure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """
    The result of `measure_agreement`. A measure without a value is not defined by these rows.

    Attributes:
        rows: With a label and a score.
        groups: Of rows that were drawn together.
        cut: At the chosen threshold, or the metric's own; None for pairs, and where labels are in a unit of
            their own.
        best: The threshold that reads most rows as people do, chosen on these rows: too good by a little.
        accuracy: Of `cut`; of pairs the share with one verdict.
        kappa: Over `levels`, quadratic with the square of the distance as weight; without levels that of
            `cut`.
        cuts: At every bound, for the record.
        errors: For rates of either error the threshold that keeps it; of rows that are good or bad.
        notes: Sentences on measures that could not be made.
    """

    rows: int
    groups: int
    auc: Measure
    spearman: Measure
    accuracy: Measure
    kappa: Measure
    quadratic_kappa: Measure
    cut: Cut | None
    best: tuple[Bound, Measure] | None = None
    cuts: tuple[Cut, ...] = ()
    levels: tuple[float, ...] = ()
    calibration: CalibrationError | None = None
    error_threshold: ErrorThreshold | None = None
    errors: tuple[ErrorRow, ...] = ()
    rate: Rate | None = None
    notes: tuple[str, ...] = ()


def measure_agreement(  # noqa: PLR0913 - all that agreement depends on
    scores: Sequence[float | None],
    labels: Labels,
    metric: Metric,
    *,
    groups: Sequence[Hashable] | None = None,
    threshold: float | None = None,
    max_error: float | None = None,
) -> Agreement:
    """
    Args:
        scores: One a row; None where the metric gave none.
        metric: Its range, direction and bound decide how scores are read.
        groups: Of each row its topic; rows of one group are drawn together.
        threshold: Passes, instead of the metric's own bound.
        max_error: The share of bad rows that may pass.

    Raises:
        LabelError: Fewer than two rows have both a label and a score.
    """
    rows = pair_readings(scores, labels, metric, groups or range(len(scores)), threshold)
    good = rows.good
    kinds = 0 if good is None else len(np.unique(good[~np.isnan(good)]))
    measures = _measure_all(rows)
    cuts = tuple(
        Cut(bound=bound, accuracy=measures["accuracy", bound], kappa=measures["kappa", bound])
        for bound in rows.list_bounds()
    )
    cut = cuts[0] if cuts and not rows.is_pair else None
    undefined = Measure(value=None)
    kappa_at_cut = cut.kappa if cut else undefined
    agreement = Agreement(
        rows=len(rows.score),
        groups=rows.group_count,
        auc=measures["auc", None],
        spearman=measures["spearman", None],
        accuracy=cut.accuracy if cut else measures.get(("accuracy", None), undefined),
        kappa=measures.get(("kappa", None), kappa_at_cut),
        quadratic_kappa=measures.get(("quadratic kappa", None), kappa_at_cut),
        cut=cut,
        cuts=cuts,
        levels=rows.levels,
        rate=None if good is None else _estimate_rate(rows, good),
        notes=tuple(_note(rows, kinds, max_error)),
    )
    if good is None or rows.is_pair:
        return agreement
    return replace(
        agreement,
        best=(_find_best_bound(rows, good), measures["best accuracy", None]),
        calibration=_measure_calibration(rows, good) if kinds > 1 else None,
        error_threshold=None if max_error is None else _keep_error(rows, good, max_error),
        errors=find_errors(rows.oriented, good, rows.groups, sign=rows.sign),
    )


def _measure_all(rows: Readings) -> dict[_Name, Measure]:
    """Every measure with its interval: by the bootstrap, or where all rows agree by their number."""
    comparisons: dict[Bound | None, Comparison] = {
        bound: rows.compare_at(bound) for bound in rows.list_bounds()
    }
    if scale := rows.compare_levels():
        comparisons[None] = scale
    measure = _build_measure(rows, comparisons)
    names = list(measure(np.ones(len(rows.score))))
    measured = measure_with_intervals(lambda weights: list(measure(weights).values()), rows.groups)
    measures = dict(zip(names, measured, strict=True))
    count = rows.group_count
    for (name, bound), value in measures.items():
        if name in {"accuracy", "best accuracy"}:
            measures[name, bound] = bound_share(value, count)
        elif name in {"kappa", "quadratic kappa"}:
            quadratic = name == "quadratic kappa"
            measures[name, bound] = comparisons[bound].bound_kappa(value, count, quadratic=quadratic)
    if (good := rows.good) is not None:
        # No row is in two of so many pairs of a good and a bad one.
        pairs = min(int((good == 1).sum()), int((good == 0).sum()), count)
        measures["auc", None] = bound_share(measures["auc", None], pairs)
    return measures


def _build_measure(
    rows: Readings, comparisons: Mapping[Bound | None, Comparison]
) -> Callable[[Floats], dict[_Name, float]]:
    """
    A function from how often each row counts to every measure; NaN where one is not defined.

    A bootstrap calls it thousands of times, so rows with the same score and label are counted together, and
    so are, for the comparisons, rows that none of these tells apart.
    """
    first, kind = find_kinds(rank_codes(rows.score), rank_codes(rows.label))
    oriented, ranks = rank_codes(rows.oriented[first]), rank_codes(rows.score[first])
    labels = rank_codes(rows.ranked_label[first])
    good = None if rows.good is None else rows.good[first]

    read = [comparison.take(first) for comparison in comparisons.values()]
    columns = [column for comparison in read for column in (comparison.judged, comparison.people)]
    first_alike, alike = find_kinds(*(columns or [np.zeros(len(first), dtype=np.intp)]))
    distinct = {bound: entry.take(first_alike) for bound, entry in zip(comparisons, read, strict=True)}

    def measure(weights: Floats) -> dict[_Name, float]:
        counts = sum_weights(kind, weights, len(first))
        measures: dict[_Name, float] = {
            ("auc", None): math.nan,
            ("spearman", None): measure_spearman(ranks, labels, counts),
            ("best accuracy", None): math.nan,
        }
        if good is not None:
            goods, bads, below = count_good(oriented, good, counts)
            measures["auc", None] = read_auc(goods, bads, below)
            if not rows.is_pair:
                measures["best accuracy", None] = float(read_right(goods, below).max() / counts.sum())
        counts = sum_weights(alike, counts, len(first_alike))
        for bound, comparison in distinct.items():
            measures["accuracy", bound] = comparison.accuracy(counts)
            measures["kappa", bound] = comparison.kappa(counts)
            if bound is None:
                measures["quadratic kappa", bound] = comparison.kappa(counts, quadratic=True)
        return measures

    return measure


def _find_best_bound(rows: Readings, good: Floats) -> Bound:
    codes = rank_codes(rows.oriented)
    right = count_right(codes, good, np.ones(len(codes)))
    best = float(np.unique(rows.oriented)[int(right.argmax())])
    return Bound(comparison=usual_sign(higher_is_better=rows.sign > 0), threshold=rows.sign * best)


def _measure_calibration(rows: Readings, good: Floats) -> CalibrationError | None:
    is_chance = rows.reach == (0.0, 1.0)
    upwards = 1 - rows.score if is_chance and rows.sign < 0 else rows.oriented
    return measure_calibration(upwards, good, rows.groups, is_chance=is_chance)


def _keep_error(rows: Readings, good: Floats, max_error: float) -> ErrorThreshold | None:
    threshold = find_error_threshold(rows.oriented, good, max_error)
    if threshold is None or threshold.threshold is None:
        return threshold
    return replace(threshold, threshold=rows.sign * threshold.threshold)


def _estimate_rate(rows: Readings, good: Floats) -> Rate:
    if rows.is_pair:
        people, judged, unlabelled = rows.label, rows.score, rows.unlabelled
    else:
        people = good
        judged, unlabelled = (
            holds(values, rows.bound).astype(float) for values in (rows.score, rows.unlabelled)
        )
    every = np.concatenate([judged, unlabelled])
    powered = None
    if len(unlabelled):
        powered = estimate_rate(
            people, judged, unlabelled, groups=rows.groups, unlabelled_groups=rows.unlabelled_groups
        )
    return Rate(
        judged=float(every.mean()),
        rows=len(every),
        labelled=estimate_rate(people, judged, np.empty(0), groups=rows.groups),
        powered=powered,
    )


def _note(rows: Readings, kinds: int, max_error: float | None) -> Iterator[str]:
    if rows.good is None:
        yield (
            "the labels are in a unit of their own, so only ranks can be compared; for the rest say from "
            "where they are good: --positive '>= N'"
        )
    elif kinds < 2:  # noqa: PLR2004 - good and bad
        yield "all labels are of one kind, so nothing can be told apart: label rows of both"
    if max_error is not None and rows.is_pair:
        yield "a pair has no bad answer that could pass, so no threshold keeps an error"
    elif max_error is not None and rows.group_count < len(rows.score):
        yield "the bound of the error takes rows for independent, groups or not"
    if np.ptp(rows.score) == 0:
        yield f"every score is {rows.score[0]:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turning:
    """
    Differences between repeats of a judge.

    Attributes:
        repeats: Of the row that was scored most often.
        rows: With two scores or more.
        differing: Share of them with unequal scores; None where there are none.
        crossing: Share of them with scores on both sides of the bound.
        failed: Answers without a score, of rows that have one from another.
    """

    repeats: int
    rows: int
    differing: float | None
    crossing: float | None
    bound: Bound
    failed: int = 0

    @property
    def sentence(self) -> str:
        sentence = f"asked {counted(self.repeats, 'time')}, the score of a row is the mean: "
        if self.differing is None or self.crossing is None:
            sentence += "no row has two scores, so nothing can be said of how often they turn"
        else:
            bound = format_bound(self.bound, digits=4)
            sentence += f"{self.differing:.1%} of {counted(self.rows, 'row')} got scores that differ, "
            sentence += f"{self.crossing:.1%} on both sides of {bound}"
        return sentence + (f"; {counted(self.failed, 'answer')} gave no score" if self.failed else "")


def measure_turning(
    scores: Sequence[Sequence[float]], bound: Bound, *, repeats: int, failed: int = 0
) -> Turning:
    """
    Args:
        scores: Of each row those of its repeats, none where all failed.
    """
    again = [of_row for of_row in scores if len(of_row) > 1]
    differ = sum(len(set(of_row)) > 1 for of_row in again)
    cross = sum(len({holds(value, bound) for value in of_row}) > 1 for of_row in again)
    return Turning(
        repeats=repeats,
        rows=len(again),
        differing=differ / len(again) if again else None,
        crossing=cross / len(again) if again else None,
        bound=bound,
        failed=failed,
    )

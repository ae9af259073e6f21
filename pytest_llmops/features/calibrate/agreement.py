"""How far a metric's scores agree with what people said of the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_llmops.bounds import format_bound, holds, toggle_equal, usual_sign
from pytest_llmops.features.calibrate.labels import Kind, LabelError, Labels
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
from pytest_llmops.statistics.calibration_error import CalibrationError, measure_calibration
from pytest_llmops.statistics.codes import Codes, Floats, find_kinds, rank_codes, sum_weights
from pytest_llmops.statistics.concordance import (
    chance_cost,
    count_good,
    measure_accuracy,
    measure_kappa,
    measure_spearman,
    read_auc,
)
from pytest_llmops.statistics.intervals import Measure, bound_kappa, bound_share
from pytest_llmops.statistics.prediction_powered import estimate_rate

TIE = 0.5
_PAIR_LEVELS = (0.0, TIE, 1.0)
_MOST_LEVELS = 20
_MOST_CUTS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readings:
    """
    Attributes:
        score: In the metric's own unit, shape (rows,); `label` alike, in its own.
        groups: What each row is drawn with.
        alone: Scores of rows without a label, with `alone_groups`.
        reach: Lowest and highest score that can be.
        sign: 1 where a higher score is better, else -1.
        bound: What passes.
        on_scale: Whether labels use the metric's own scale, so that a bound says something of both.
    """

    kind: Kind
    score: Floats
    label: Floats
    groups: tuple[Hashable, ...]
    alone: Floats
    alone_groups: tuple[Hashable, ...]
    reach: tuple[float, float]
    sign: float
    bound: Bound
    on_scale: bool

    @property
    def oriented(self) -> Floats:
        """Scores where higher is better."""
        return self.sign * self.score

    @property
    def ranked_label(self) -> Floats:
        """Labels that count up where scores do: ratings of the metric's own scale do already."""
        return self.label if self.on_scale or self.kind == "pair" else self.sign * self.label

    @property
    def group_count(self) -> int:
        return len(set(self.groups))


def pair_readings(
    scores: Sequence[float | None],
    labels: Labels,
    metric: Metric,
    groups: Sequence[Hashable],
    threshold: float | None,
) -> Readings:
    """
    The rows that have both.

    Args:
        threshold: Instead of the metric's own bound.

    Raises:
        LabelError: They are fewer than two.
    """
    places = range(len(scores))
    both = [at for at in places if scores[at] is not None and labels.values[at] is not None]
    alone = [at for at in places if scores[at] is not None and labels.values[at] is None]
    if len(both) < 2:  # noqa: PLR2004 - of one row nothing can be said
        raise LabelError(
            f"{len(both)} of {counted(len(scores), 'row')} with a label and a score; at least two are needed"
        )
    label = np.array([labels.values[at] for at in both], float)
    return Readings(
        kind=labels.kind,
        score=np.array([scores[at] for at in both], float),
        label=label,
        groups=tuple(groups[at] for at in both),
        alone=np.array([scores[at] for at in alone], float),
        alone_groups=tuple(groups[at] for at in alone),
        reach=(float(metric.range[0]), float(metric.range[1])),
        sign=1.0 if metric.higher_is_better else -1.0,
        bound=read_bound(metric, threshold),
        on_scale=labels.kind == "pair" or (labels.kind == "rating" and _is_on_scale(label, metric.range)),
    )


def read_bound(metric: Metric, threshold: float | None) -> Bound:
    """
    What passes: the threshold, or the metric's own bound, in the metric's direction; of a metric that has
    none the middle of its range.
    """
    sign = usual_sign(higher_is_better=metric.higher_is_better)
    if threshold is not None:
        return Bound(comparison=sign, threshold=threshold)
    if metric.bound is None:
        return Bound(comparison=sign, threshold=sum(metric.range) / 2)
    towards = Bound(comparison=sign, threshold=metric.bound.threshold)
    strict = toggle_equal(towards)
    return strict if metric.bound == strict else towards


def read_good(readings: Readings) -> Floats | None:
    """
    1 good, 0 bad; of pairs 1 the first is better, 0 the second, NaN neither. A rating of the metric's own
    scale is good where it holds the bound; of other ratings nobody knows: None.
    """
    if readings.kind == "good":
        return readings.label
    if readings.kind == "pair":
        return np.where(readings.label == TIE, np.nan, readings.label)
    return holds(readings.label, readings.bound).astype(float) if readings.on_scale else None


def read_halves(readings: Readings, bound: Bound) -> tuple[Codes, Codes]:
    """Of each row whether its score holds the bound, and whether people say so."""
    people = readings.label if readings.kind == "good" else holds(readings.label, bound)
    return holds(readings.score, bound).astype(int), people.astype(int)


def list_bounds(readings: Readings) -> list[Bound]:
    """
    The bounds on which scores and labels can be compared: the one in question, but for pairs, and where
    there are few scores those that other checks may ask for.
    """
    if readings.kind == "rating" and not readings.on_scale:
        return []
    low, high = readings.reach
    distinct = np.unique(readings.score).tolist()
    others = list(distinct) if len(distinct) <= _MOST_CUTS else []
    if readings.kind == "pair":
        others = list(_PAIR_LEVELS)
    elif high - low <= _MOST_CUTS and low.is_integer() and high.is_integer() and high - low > 1:
        others += map(float, range(int(low), int(high) + 1))
    sign = usual_sign(higher_is_better=readings.sign > 0)
    end = low if readings.sign > 0 else high  # which every score holds
    bounds = [readings.bound] if readings.kind != "pair" else []
    bounds += [Bound(comparison=sign, threshold=each) for each in sorted(set(others) - {end})]
    bounds += [toggle_equal(readings.bound)] if readings.kind != "pair" else []
    return list(dict.fromkeys(bounds))


def find_levels(readings: Readings) -> tuple[float, ...]:
    """The steps of the scale that scores and labels share, lowest first; none where they share none."""
    if readings.kind == "pair":
        return _PAIR_LEVELS
    distinct = tuple(np.unique(readings.label).tolist())
    low, high = readings.reach
    if not readings.on_scale or len(distinct) > _MOST_LEVELS:
        return ()
    if all(level.is_integer() for level in (*distinct, low, high)) and 1 < high - low <= _MOST_LEVELS:
        return tuple(map(float, range(int(low), int(high) + 1)))
    return distinct


def read_levels(readings: Readings, levels: Sequence[float]) -> tuple[Codes, Codes]:
    """Score and label of each row as the place of the nearest level; half way it is the lower one."""
    steps = np.array(levels)
    score, label = (
        np.abs(values[:, None] - steps).argmin(axis=1) for values in (readings.score, readings.label)
    )
    return score, label


def _is_on_scale(labels: Floats, reach: tuple[float, float]) -> bool:
    """Whether ratings use the metric's own scale: all within it, and over at least half of it."""
    low, high = reach
    inside = low <= labels.min() and labels.max() <= high
    return bool(inside and high - low < float("inf") and labels.max() - labels.min() >= (high - low) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turning:
    """
    What repeats showed.

    Attributes:
        repeats: Of the row that was scored most often.
        rows: With two scores or more.
        differing: Share of them whose scores are not all one; None where there are none.
        crossing: Share of them of which some scores hold the bound and some do not.
        failed: Answers that gave no score, of rows that have one from another.
    """

    repeats: int
    rows: int
    differing: float | None
    crossing: float | None
    bound: Bound
    failed: int = 0

    @property
    def sentence(self) -> str:
        """All of it in a sentence."""
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


_BOTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """
    Agreement on one question: does a row hold this bound?

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
        judged: By the scores alone, over `rows` rows, labelled or not.
        labelled: By the labels alone.
        powered: By both; None where every row has a label.
    """

    judged: float
    rows: int
    labelled: Measure
    powered: Measure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """
    What `measure_agreement` found. A measure without a value is not defined by these rows.

    Attributes:
        rows: With a label and a score; `groups` of them were drawn as wholes.
        cut: At the threshold that was asked for, or the metric's own; None for pairs, and where labels are
            in a unit of their own.
        best: The threshold that reads most rows as people do, chosen on these rows: too good by a little.
        accuracy: Of `cut`; of pairs the share with one verdict.
        kappa: Over `levels`, quadratic with the square of the distance as weight; without levels that of
            `cut`.
        cuts: All that were looked at, for the record.
        errors: For rates of either error the threshold that keeps it; of rows that are good or bad.
        notes: What could not be measured, and why.
    """

    rows: int
    groups: int
    auc: Measure
    spearman: Measure
    accuracy: Measure
    kappa: Measure
    quadratic_kappa: Measure
    cut: Cut | None
    best: tuple[Bound, Measure] | None
    cuts: tuple[Cut, ...] = ()
    levels: tuple[float, ...] = ()
    calibration: CalibrationError | None = None
    error_threshold: ErrorThreshold | None = None
    errors: tuple[ErrorRow, ...] = ()
    rate: Rate | None = None
    notes: tuple[str, ...] = ()


def measure_agreement(  # noqa: PLR0913 - what agreement is made of
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
        metric: Its range, direction and bound say how scores are read.
        groups: What a row is about; rows of one group are drawn as a whole.
        threshold: What passes, instead of the metric's own bound.
        max_error: The share of bad rows that may pass.

    Raises:
        LabelError: Fewer than two rows have both a label and a score.
    """
    rows = pair_readings(scores, labels, metric, groups or range(len(scores)), threshold)
    good = read_good(rows)
    binary = None if rows.kind == "pair" else good
    levels = find_levels(rows)
    placed = read_levels(rows, levels) if levels else None
    halves = [(bound, *read_halves(rows, bound)) for bound in list_bounds(rows)]

    measured = iter(measure_with_intervals(build_measure(rows, good, (levels, placed), halves), rows.groups))
    auc, spearman, best = next(measured), next(measured), next(measured)
    count = rows.group_count
    if good is not None:
        pairs = min(int((good == 1).sum()), int((good == 0).sum()), count)
        auc = bound_share(auc, pairs)  # no row is in two of so many pairs of good and bad
    whole = None if placed is None else _bound_levels(measured, placed, len(levels), count)
    cuts = _bound_cuts(measured, halves, count)
    cut = cuts[0] if cuts and rows.kind != "pair" else None
    undefined = Measure(value=None)
    accuracy, kappa, quadratic = whole or (undefined, *(2 * (cut.kappa if cut else undefined,)))
    kinds = 0 if good is None else len(np.unique(good[~np.isnan(good)]))
    return Agreement(
        rows=len(rows.score),
        groups=count,
        auc=auc,
        spearman=spearman,
        accuracy=cut.accuracy if cut else accuracy,
        kappa=kappa,
        quadratic_kappa=quadratic,
        cut=cut,
        best=None if binary is None else (_best_bound(rows, binary), bound_share(best, count)),
        cuts=cuts,
        levels=levels,
        calibration=None if binary is None or kinds < _BOTH else _measure_calibration(rows, binary),
        error_threshold=None if binary is None or max_error is None else _keep_error(rows, binary, max_error),
        errors=() if binary is None else find_errors(rows.oriented, binary, rows.groups, sign=rows.sign),
        rate=_estimate_rate(rows, good),
        notes=tuple(_note(rows, good, kinds, max_error)),
    )


def _bound_levels(
    measured: Iterator[Measure], placed: tuple[Codes, Codes], levels: int, count: int
) -> tuple[Measure, Measure, Measure]:
    """Accuracy, kappa and quadratic kappa of the levels, with intervals that hold for few groups."""
    accuracy = bound_share(next(measured), count)
    costs = [chance_cost(*placed, levels=levels, quadratic=quadratic) for quadratic in (False, True)]
    kappa = bound_kappa(next(measured), costs[0], 1, count)
    return accuracy, kappa, bound_kappa(next(measured), costs[1], (levels - 1) ** 2, count)


def _bound_cuts(
    measured: Iterator[Measure], halves: Sequence[tuple[Bound, Codes, Codes]], count: int
) -> tuple[Cut, ...]:
    """Accuracy and kappa at each bound, with intervals that hold for few groups."""
    return tuple(
        Cut(
            bound=bound,
            accuracy=bound_share(next(measured), count),
            kappa=bound_kappa(
                next(measured), chance_cost(judged, people, levels=2, quadratic=False), 1, count
            ),
        )
        for bound, judged, people in halves
    )


def _best_bound(rows: Readings, good: Floats) -> Bound:
    codes = rank_codes(rows.oriented)
    right = count_right(codes, good, np.ones(len(codes)))
    best = float(np.unique(rows.oriented)[int(right.argmax())])
    return Bound(comparison=usual_sign(higher_is_better=rows.sign > 0), threshold=rows.sign * best)


def _measure_calibration(rows: Readings, good: Floats) -> CalibrationError | None:
    is_chance = rows.reach == (0.0, 1.0)
    turned = 1 - rows.score if is_chance and rows.sign < 0 else rows.oriented
    return measure_calibration(turned, good, rows.groups, is_chance=is_chance)


def _keep_error(rows: Readings, good: Floats, max_error: float) -> ErrorThreshold | None:
    threshold = find_error_threshold(rows.oriented, good, max_error)
    if threshold is None or threshold.threshold is None:
        return threshold
    return replace(threshold, threshold=rows.sign * threshold.threshold)


def _estimate_rate(rows: Readings, good: Floats | None) -> Rate | None:
    if good is None:
        return None
    people, judged, alone = rows.label, rows.score, rows.alone
    if rows.kind != "pair":
        people = good
        judged, alone = (holds(values, rows.bound).astype(float) for values in (judged, alone))
    every = np.concatenate([judged, alone])
    return Rate(
        judged=float(every.mean()),
        rows=len(every),
        labelled=estimate_rate(people, judged, np.empty(0), groups=rows.groups),
        powered=estimate_rate(people, judged, alone, groups=rows.groups, unlabelled_groups=rows.alone_groups)
        if len(alone)
        else None,
    )


def _note(rows: Readings, good: Floats | None, kinds: int, max_error: float | None) -> Iterator[str]:
    if good is None:
        yield (
            "the labels are in a unit of their own, so only ranks can be compared; for the rest say from "
            "where they are good: --positive '>= N'"
        )
    elif kinds < _BOTH:
        yield "all labels are of one kind, so nothing can be told apart: label rows of both"
    if max_error is not None and rows.kind == "pair":
        yield "a pair has no bad answer that could pass, so no threshold keeps an error"
    elif max_error is not None and rows.group_count < len(rows.score):
        yield "the bound of the error takes rows for independent, groups or not"
    if np.ptp(rows.score) == 0:
        yield f"every score is {rows.score[0]:g}"

"""How far a metric's scores agree with what people said of the same rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_llmops.bounds import holds, usual_sign
from pytest_llmops.features.calibrate.estimates import (
    CalibrationError,
    chance_cost,
    estimate_rate,
    measure_calibration,
)
from pytest_llmops.features.calibrate.labels import Labels
from pytest_llmops.features.calibrate.measures import build_measure
from pytest_llmops.features.calibrate.readings import (
    Readings,
    find_levels,
    list_bounds,
    pair_readings,
    read_good,
    read_halves,
    read_levels,
)
from pytest_llmops.features.calibrate.thresholds import (
    ErrorRow,
    ErrorThreshold,
    count_right,
    find_error_threshold,
    find_errors,
)
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Bound
from pytest_llmops.statistics.bootstrap import measure_with_intervals
from pytest_llmops.statistics.codes import Codes, Floats, rank_codes
from pytest_llmops.statistics.intervals import Measure, bound_kappa, bound_share

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

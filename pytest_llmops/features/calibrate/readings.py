"""Rows with a score and a label, as arrays, and the ways in which both can be read alike."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_llmops.bounds import format_bound, holds, toggle_equal, usual_sign
from pytest_llmops.features.calibrate.labels import Kind, LabelError, Labels
from pytest_llmops.printable import counted
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Bound
from pytest_llmops.statistics.codes import Codes, Floats

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

"""Rows with a score and a label, as arrays, and the comparisons that both allow."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_llmops.bounds import holds, toggle_equal, usual_sign
from pytest_llmops.features.calibrate.estimates import chance_cost, measure_accuracy, measure_kappa
from pytest_llmops.features.calibrate.labels import Kind, LabelError, Labels
from pytest_llmops.printable import counted
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Bound
from pytest_llmops.statistics.codes import Codes, Floats
from pytest_llmops.statistics.intervals import Measure, bound_kappa

TIE = 0.5
_PAIR_LEVELS = (0.0, TIE, 1.0)
_MOST_LEVELS = 20
_MOST_CUTS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """
    Scores and labels of the same rows, both as steps 0 … `steps` - 1 of one scale.

    Attributes:
        judged: The step of each row by its score, shape (rows,).
        people: The step of each row by its label.
    """

    judged: Codes
    people: Codes
    steps: int

    def take(self, rows: Codes) -> Comparison:
        """The same of some rows."""
        return replace(self, judged=self.judged[rows], people=self.people[rows])

    def accuracy(self, weights: Floats) -> float:
        """Share of rows on the same step, each row counted `weights` times."""
        return measure_accuracy(self.judged == self.people, weights)

    def kappa(self, weights: Floats, *, quadratic: bool = False) -> float:
        """Agreement beyond chance, each row counted `weights` times."""
        return measure_kappa(self.judged, self.people, weights, levels=self.steps, quadratic=quadratic)

    def bound_kappa(self, kappa: Measure, groups: int, *, quadratic: bool = False) -> Measure:
        """The kappa, with an interval where all rows agree and resamples give none."""
        by_chance = chance_cost(self.judged, self.people, levels=self.steps, quadratic=quadratic)
        return bound_kappa(kappa, by_chance, (self.steps - 1) ** 2 if quadratic else 1, groups)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readings:
    """
    Rows with a score and a label.

    Attributes:
        score: In the metric's own unit, shape (rows,); `label` alike, in its own.
        groups: Of each row the group that it is drawn with.
        unlabelled: Scores of rows without a label, with `unlabelled_groups`.
        reach: Lowest and highest score that can be.
        sign: 1 where a higher score is better, else -1.
        bound: A row passes that satisfies it.
        on_scale: Labels use the metric's own scale, so that a bound applies to both.
    """

    kind: Kind
    score: Floats
    label: Floats
    groups: tuple[Hashable, ...]
    unlabelled: Floats
    unlabelled_groups: tuple[Hashable, ...]
    reach: tuple[float, float]
    sign: float
    bound: Bound
    on_scale: bool

    @property
    def is_pair(self) -> bool:
        return self.kind == "pair"

    @property
    def group_count(self) -> int:
        return len(set(self.groups))

    @property
    def oriented(self) -> Floats:
        """Scores where higher is better."""
        return self.sign * self.score

    @property
    def ranked_label(self) -> Floats:
        """Labels that count up where scores do, as ratings of the metric's own scale do already."""
        return self.label if self.on_scale or self.is_pair else self.sign * self.label

    @property
    def good(self) -> Floats | None:
        """
        1 good, 0 bad; of pairs 1 the first is better, 0 the second, NaN neither. A rating of the metric's own
        scale is good where it satisfies the bound; None for other ratings.
        """
        if self.kind == "good":
            return self.label
        if self.is_pair:
            return np.where(self.label == TIE, np.nan, self.label)
        return holds(self.label, self.bound).astype(float) if self.on_scale else None

    @property
    def levels(self) -> tuple[float, ...]:
        """The steps of the scale that scores and labels share, lowest first; none where they share none."""
        if self.is_pair:
            return _PAIR_LEVELS
        distinct = tuple(np.unique(self.label).tolist())
        low, high = self.reach
        if not self.on_scale or len(distinct) > _MOST_LEVELS:
            return ()
        if all(level.is_integer() for level in (*distinct, low, high)) and 1 < high - low <= _MOST_LEVELS:
            return tuple(map(float, range(int(low), int(high) + 1)))
        return distinct

    def compare_levels(self) -> Comparison | None:
        """Score and label by the nearest level, of two the lower; None without levels."""
        if not self.levels:
            return None
        levels = np.array(self.levels)
        judged, people = (
            np.abs(values[:, None] - levels).argmin(axis=1) for values in (self.score, self.label)
        )
        return Comparison(judged=judged, people=people, steps=len(levels))

    def compare_at(self, bound: Bound) -> Comparison:
        """Does the score satisfy the bound, and does the label?"""
        people = self.label if self.kind == "good" else holds(self.label, bound)
        return Comparison(judged=holds(self.score, bound).astype(int), people=people.astype(int), steps=2)

    def list_bounds(self) -> list[Bound]:
        """
        The bounds at which scores and labels can be compared: the one in question, but for pairs, and where
        there are few scores those that other checks may use.
        """
        if self.kind == "rating" and not self.on_scale:
            return []
        low, high = self.reach
        distinct = np.unique(self.score).tolist()
        others = list(distinct) if len(distinct) <= _MOST_CUTS else []
        if self.is_pair:
            others = list(_PAIR_LEVELS)
        elif high - low <= _MOST_CUTS and low.is_integer() and high.is_integer() and high - low > 1:
            others += map(float, range(int(low), int(high) + 1))
        sign = usual_sign(higher_is_better=self.sign > 0)
        end = low if self.sign > 0 else high  # every score satisfies it
        bounds = [Bound(comparison=sign, threshold=other) for other in sorted(set(others) - {end})]
        if not self.is_pair:
            bounds = [self.bound, *bounds, toggle_equal(self.bound)]
        return list(dict.fromkeys(bounds))


def pair_readings(
    scores: Sequence[float | None],
    labels: Labels,
    metric: Metric,
    groups: Sequence[Hashable],
    threshold: float | None,
) -> Readings:
    """
    Collect the rows with a score and a label.

    Args:
        threshold: Instead of the metric's own bound.
    """
    scored = [at for at, score in enumerate(scores) if score is not None]
    both = [at for at in scored if labels.values[at] is not None]
    unlabelled = [at for at in scored if labels.values[at] is None]
    if len(both) < 2:  # noqa: PLR2004 - one row has nothing to compare with
        raise LabelError(
            f"{len(both)} of {counted(len(scores), 'row')} with a label and a score; at least two are needed"
        )
    label = np.array([labels.values[at] for at in both], float)
    low, high = metric.range
    spread = label.max() - label.min()
    # All labels within the metric's scale, and over at least half of it.
    on_scale = low <= label.min() and label.max() <= high < float("inf") and spread >= (high - low) / 2
    return Readings(
        kind=labels.kind,
        score=np.array([scores[at] for at in both], float),
        label=label,
        groups=tuple(groups[at] for at in both),
        unlabelled=np.array([scores[at] for at in unlabelled], float),
        unlabelled_groups=tuple(groups[at] for at in unlabelled),
        reach=(float(low), float(high)),
        sign=1.0 if metric.higher_is_better else -1.0,
        bound=read_bound(metric, threshold),
        on_scale=labels.kind == "pair" or (labels.kind == "rating" and bool(on_scale)),
    )


def read_bound(metric: Metric, threshold: float | None) -> Bound:
    """
    The bound at which a row passes, in the metric's direction: the threshold, else the metric's own bound,
    else the middle of its range.
    """
    sign = usual_sign(higher_is_better=metric.higher_is_better)
    if threshold is not None:
        return Bound(comparison=sign, threshold=threshold)
    if metric.bound is None:
        return Bound(comparison=sign, threshold=sum(metric.range) / 2)
    towards = Bound(comparison=sign, threshold=metric.bound.threshold)
    strict = toggle_equal(towards)
    return strict if metric.bound == strict else towards

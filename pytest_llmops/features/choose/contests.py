"""Two candidates by one metric: the cases that each wins, their difference, and its tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pytest_llmops.features.choose.runs import Entry, Field, Repeats
from pytest_llmops.gates.paired_runs import Scale
from pytest_llmops.statistics.paired import RESAMPLES, PairedComparison

Sides = dict[str, tuple[Sequence[float], Sequence[float]]]
"""Case to its repeats, of the first candidate and of the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """
    One pair of candidates by one metric.

    Attributes:
        statistic: `mean`, which is tested, or the median `p50` of seconds, dollars or tokens, which is not.
        cases: Their number; with none, the numbers below have no meaning.
        difference: First less second, in the metric's unit; `low` and `high` are the ends of its interval.
        better: Cases in which the first is better; `ties` and `worse` are the others.
        gain: The difference, positive where the first is better.
        p_value: Two-sided; None where nothing is tested.
        p_adjusted: The same, corrected for all pairs and metrics; `p_answered` is that of the cases that
            neither candidate errored in.
        per_case: Differences by case, and the unit of each.
    """

    metric: str
    first: str
    second: str
    statistic: str = "mean"
    cases: int
    difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    better: int = 0
    ties: int = 0
    worse: int = 0
    gain: float = 0.0
    p_value: float | None = None
    p_adjusted: float | None = None
    p_answered: float | None = None
    per_case: tuple[tuple[float, ...], tuple[str, ...]] = ((), ())


def hold_contest(  # noqa: PLR0913 - both sides, and how they are tested
    metric: str, first: Entry, second: Entry, field: Field, *, alpha: float, seed: int
) -> Contest:
    """
    Compare two candidates by a metric that decides.

    A case without a whole set of scores counts as the metric's worst score. Where the metric has no worst
    one, as seconds have none, the case is left out.
    """
    scale = field.scales[metric]
    worst = worst_score(scale)
    sides: Sides = {}
    for case in field.cases_of(metric):
        read = [_read(metric, entry, case) for entry in (first, second)]
        if worst is not None:
            times = max(1, *map(len, read))
            read = [values or (worst,) * times for values in read]
        if all(read):
            sides[case] = (read[0], read[1])
    broken = first.errors.get(metric, {}).keys() | second.errors.get(metric, {}).keys()
    answered = {case: pair for case, pair in sides.items() if case not in broken}
    contest = _measure(metric, first.name, second.name, sides, field, sign=scale.sign, alpha=alpha)
    return _with_p_values(contest, sides, answered, field, sign=scale.sign, seed=seed)


def compare_spending(  # noqa: PLR0913 - both sides, and how they are measured
    name: str, statistic: str, first: Entry, second: Entry, field: Field, *, alpha: float
) -> Contest | None:
    """Seconds, dollars or tokens of two candidates, where all are known and any is above 0; else None."""
    one, other = (_spent(name, entry) for entry in (first, second))
    cases = [case for case in field.cases if case in one and case in other]
    answered = [case for case in field.cases if case in first.answers and case in second.answers]
    sides = {case: (one[case], other[case]) for case in cases}
    if len(cases) < len(answered) or not any(sum(map(sum, pair)) for pair in sides.values()):
        return None
    return _measure(name, first.name, second.name, sides, field, sign=-1.0, alpha=alpha, statistic=statistic)


def _spent(name: str, entry: Entry) -> Repeats:
    spent: Repeats = getattr(entry.spending, name)
    return spent


def _read(metric: str, entry: Entry, case: str) -> Sequence[float]:
    """The scores of a case by repeat; none where it has no whole set of them."""
    return () if case in entry.errors.get(metric, ()) else entry.values.get(metric, {}).get(case, ())


def worst_score(scale: Scale) -> float | None:
    """The score of a case that could not be scored; None where a metric has no worst score."""
    end = scale.range[0 if scale.higher_is_better else 1]
    return end if math.isfinite(end) else None


def _measure(  # noqa: PLR0913 - both sides, and how they are measured
    metric: str,
    first: str,
    second: str,
    sides: Sides,
    field: Field,
    *,
    sign: float,
    alpha: float,
    statistic: str = "mean",
) -> Contest:
    if not sides:
        return Contest(metric=metric, first=first, second=second, statistic=statistic, cases=0)
    paired = _pair(sides, field, sign=sign, statistic=statistic)
    differ = any(paired.gains)
    difference = paired.difference if differ else 0.0
    spread = paired.interval(level=1 - alpha, draws=RESAMPLES)
    return Contest(
        metric=metric,
        first=first,
        second=second,
        statistic=statistic,
        cases=len(sides),
        difference=difference,
        low=spread.low if differ else 0.0,
        high=spread.high if differ else 0.0,
        better=sum(gain > 0 for gain in paired.gains),
        ties=paired.gains.count(0.0),
        worse=sum(gain < 0 for gain in paired.gains),
        gain=sign * difference,
        per_case=(tuple(paired.gains), tuple(field.units(list(sides)))),
    )


def _pair(sides: Sides, field: Field, *, sign: float = 1.0, statistic: str = "mean") -> PairedComparison:
    """The first candidate compared with the second."""
    return PairedComparison(
        base=[other for _, other in sides.values()],
        new=[one for one, _ in sides.values()],
        units=field.units(list(sides)),
        statistic=statistic,
        higher_is_better=sign > 0,
    )


def _with_p_values(  # noqa: PLR0913 - all cases, those that were answered, and how they are tested
    contest: Contest, sides: Sides, answered: Sides, field: Field, *, sign: float, seed: int
) -> Contest:
    p_value = _pair(sides, field).two_sided_p_value(seed=seed) if sides else 1.0
    if len(answered) == len(sides):
        return replace(contest, p_value=p_value, p_answered=p_value)
    answers = _pair(answered, field).two_sided_p_value(seed=seed) if answered else 1.0
    ahead = sum(sign * (fmean(one) - fmean(other)) for one, other in answered.values())
    turned = ahead * contest.gain <= 0  # the answers themselves speak for the other side, or for none
    return replace(contest, p_value=p_value, p_answered=1.0 if turned else answers)


def or_one(p_value: float | None) -> float:
    """A p-value, or 1 where there was no test; 0.0 is a p-value."""
    return 1.0 if p_value is None else p_value

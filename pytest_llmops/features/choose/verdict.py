"""The candidate that is better than every other one and worse in nothing, or that there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from pytest_llmops.features.choose.contests import (
    Contest,
    compare_spending,
    hold_contest,
    or_one,
    worst_score,
)
from pytest_llmops.features.choose.runs import ChoiceError, Entry, Field
from pytest_llmops.gates.power.further_cases import count_further_cases
from pytest_llmops.statistics.multiplicity import adjust_holm
from pytest_llmops.statistics.summaries import NOISE, mean

Outcome = Literal["winner", "none", "error"]

SPENDING: tuple[tuple[str, str], ...] = (
    ("latency_s", "p50"),
    ("cost_usd", "mean"),
    ("tokens", "mean"),
)
"""What is compared beside the scores, and by which statistic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    A candidate among the others.

    Attributes:
        means: Metric to the mean of its cases, those that it errored in with the metric's worst score.
    """

    entry: Entry
    means: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """
    What came of it.

    Attributes:
        outcome: `error` where errors keep a winner from being named.
        winner: Better than every other candidate by one metric at least and worse by none; empty for none.
        reason: Why the outcome is none or an error.
        standings: Best first, those with errors last.
        contests: Of each pair by each metric that decides, the candidates in the order of the standings;
            then of what their answers took.
        closest: The contest of the best and the next best that it does not beat; None where none was held.
        further_cases: With how many more it could be decided; None where it is, or where more would not do.
    """

    outcome: Outcome
    winner: str = ""
    reason: str = ""
    standings: tuple[Standing, ...]
    contests: tuple[Contest, ...]
    spending: tuple[Contest, ...]
    closest: Contest | None = None
    further_cases: int | None = None


def choose(field: Field, *, alpha: float = 0.05, seed: int = 0) -> Choice:
    """
    Compare all candidates with each other.

    All pairs by all metrics share one error budget (Holm). A candidate beats another by a corrected p-value
    of at most `alpha` in one metric, unless it is worse in another with an uncorrected one of at most
    `alpha`: a loss that is likely must not hide behind the correction.

    A candidate with an error cannot win, and no win counts that only rests on errors of others. Nothing is
    chosen where a run broke, whatever the others did: its cases are not all that it had.

    Raises:
        ChoiceError: No metric, no case, or fewer than two candidates.
    """
    if len(field.entries) < 2 or not field.cases or not field.scales:  # noqa: PLR2004 - a choice is of two
        raise ChoiceError("there is nothing to choose from: give two candidates with cases in common")
    standings = _rank(field)
    entries = [standing.entry for standing in standings]
    pairs = list(combinations(entries, 2))
    contests = [
        hold_contest(metric, first, second, field, alpha=alpha, seed=seed)
        for first, second in pairs
        for metric in field.scales
    ]
    adjusted = adjust_holm([or_one(contest.p_value) for contest in contests])
    answered = adjust_holm([or_one(contest.p_answered) for contest in contests])
    contests = [
        replace(each, p_adjusted=p_value, p_answered=p_answered)
        for each, p_value, p_answered in zip(contests, adjusted, answered, strict=True)
    ]
    closest = _find_closest(entries, contests, alpha)
    outcome, winner, reason = _decide(entries, contests, alpha)
    if outcome == "none" and closest is None:
        outcome, reason = (
            "error",
            f"errors leave no case that {entries[0].name} shares with another candidate",
        )
    return Choice(
        outcome=outcome,
        winner=winner,
        reason=reason,
        standings=tuple(standings),
        contests=tuple(contests),
        spending=tuple(
            found
            for first, second in pairs
            for name, statistic in SPENDING
            if (found := compare_spending(name, statistic, first, second, field, alpha=alpha))
        ),
        closest=closest,
        further_cases=None
        if closest is None or winner
        else count_further_cases(*closest.per_case, alpha=alpha / len(contests)),
    )


def beats(
    name: str, other: str, contests: Sequence[Contest], alpha: float, *, answered: bool = False
) -> bool:
    """
    Whether a candidate is better than another by some metric and worse by none.

    Args:
        answered: By the cases alone that neither errored in.
    """
    better = False
    for contest in contests:
        if {contest.first, contest.second} != {name, other}:
            continue
        gain = contest.gain if contest.first == name else -contest.gain
        p_value = contest.p_answered if answered else contest.p_adjusted
        better |= gain > 0 and or_one(p_value) <= alpha
        if gain < 0 and or_one(contest.p_value) <= alpha:
            return False
    return better


def _decide(entries: Sequence[Entry], contests: Sequence[Contest], alpha: float) -> tuple[Outcome, str, str]:
    """The outcome, the winner's name, and why there is none."""
    if wrong := [found for entry in entries if (found := _say_what_broke(entry))]:
        return "error", "", "; ".join(wrong)
    names = [each.name for each in entries]
    for entry in entries:
        others = [name for name in names if name != entry.name]
        if not all(beats(entry.name, other, contests, alpha) for other in others):
            continue
        if entry.errored:
            return "error", "", f"{entry.name} is ahead, but had errors; fix them and choose again"
        for other in others:
            if not beats(entry.name, other, contests, alpha, answered=True):
                why = f"{entry.name} is ahead of {other} only by cases in which {other} had errors"
                return "error", "", f"{why}; fix them and choose again"
        return "winner", entry.name, ""
    return "none", "", ""


def _say_what_broke(entry: Entry) -> str:
    """Why nothing can be said of a candidate: cases that a run reached before it broke are not all it had."""
    if not any(entry.values.values()):
        why = entry.broken or next(iter(entry.errored.values()), "nothing of it was scored")
        return f"{entry.name} has no score in any case: {why}"
    return f"{entry.name} cannot be compared: {entry.broken}" if entry.broken else ""


def _rank(field: Field) -> list[Standing]:
    """Best first: by the mean of the places that a candidate has in each metric, those with errors last."""
    standings = [
        Standing(entry=entry, means={metric: _mean(metric, entry, field) for metric in field.scales})
        for entry in field.entries
    ]

    def place(standing: Standing) -> float:
        """How many others are better, over all metrics; one that is level counts half."""
        places = 0.0
        for metric, scale in field.scales.items():
            own = standing.means[metric]
            for other in standings:
                ahead = other.means[metric] - own if scale.higher_is_better else own - other.means[metric]
                level = math.isnan(ahead) or abs(ahead) <= NOISE * abs(own)
                places += 0.5 if level else float(ahead > 0)
        return places

    return sorted(standings, key=lambda each: (bool(each.entry.broken or each.entry.errored), place(each)))


def _mean(metric: str, entry: Entry, field: Field) -> float:
    """NaN where no case counts."""
    worst = worst_score(field.scales[metric])
    broken = entry.errors.get(metric, {})
    means = [
        mean(list(values)) for case, values in entry.values.get(metric, {}).items() if case not in broken
    ]
    means += [] if worst is None else [worst] * len(broken)
    return mean(means) if means else math.nan


def _find_closest(entries: Sequence[Entry], contests: Sequence[Contest], alpha: float) -> Contest | None:
    """Of the best and the next best that it does not beat, by the metric nearest to a decision."""
    best, *others = [entry.name for entry in entries]
    unbeaten = [name for name in others if not beats(best, name, contests, alpha)]
    pair = {best, (unbeaten or others)[0]}
    held = [contest for contest in contests if contest.cases and {contest.first, contest.second} == pair]
    return min(held, key=lambda each: (or_one(each.p_value), -abs(each.better - each.worse)), default=None)

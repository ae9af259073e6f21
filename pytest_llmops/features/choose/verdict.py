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
from pytest_llmops.features.choose.further_cases import count_further_cases
from pytest_llmops.features.choose.runs import ChoiceError, Entry, Field
from pytest_llmops.statistics.multiplicity import adjust_holm
from pytest_llmops.statistics.summaries import NOISE, mean

Outcome = Literal["winner", "none", "error"]

SPENDING: tuple[tuple[str, str], ...] = (
    ("latency_s", "p50"),
    ("cost_usd", "mean"),
    ("tokens", "mean"),
)
"""Spending that is compared, and its statistic."""


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
    The outcome of a choice.

    Attributes:
        outcome: `error` where errors keep a winner from being named.
        winner: Better than every other candidate without a veto by one metric at least and worse by none;
            empty for none.
        reason: Of the outcome `none` or `error`.
        standings: Best first, then those with vetoes, those with errors last.
        contests: Of each pair by each deciding metric, the candidates in the order of the standings;
            `spending` alike.
        closest: The contest of the best and the next best that it does not beat; None where none was held.
        further_cases: The number that could decide it; None where it is decided, or more would not help.
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

    A candidate with a veto cannot win, and need not be beaten. But a winner beats somebody: being the only
    one without a veto is no merit. A candidate with an error cannot win either, and no win counts that only
    rests on errors of others. Nothing is chosen where a run broke, whatever the others did: its cases are not
    all that it had.

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
        replace(contest, p_adjusted=p_value, p_answered=p_answered)
        for contest, p_value, p_answered in zip(contests, adjusted, answered, strict=True)
    ]
    closest = _find_closest(entries, contests, alpha)
    outcome, winner, reason = _decide(entries, contests, alpha)
    if outcome == "none" and not reason and closest is None:
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
            contest
            for first, second in pairs
            for name, statistic in SPENDING
            if (contest := compare_spending(name, statistic, first, second, field, alpha=alpha))
        ),
        closest=closest,
        further_cases=None
        if closest is None or winner or reason
        else count_further_cases(*closest.per_case, alpha=alpha / len(contests)),
    )


def beats(
    name: str, other: str, contests: Sequence[Contest], alpha: float, *, answered: bool = False
) -> bool:
    """
    Return whether a candidate is better than another by some metric and worse by none.

    Args:
        answered: Only by the cases that neither errored in.
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
    """Return the outcome, the winner's name, and the reason for none."""
    if broken := list(filter(None, map(_describe_breakage, entries))):
        return "error", "", "; ".join(broken)
    eligible = [entry for entry in entries if not entry.vetoes]
    for entry in eligible:
        beaten = {
            other.name
            for other in entries
            if other is not entry and beats(entry.name, other.name, contests, alpha)
        }
        others = {other.name for other in eligible if other is not entry} or beaten
        if not others or not others <= beaten:
            continue
        if entry.errored:
            return "error", "", f"{entry.name} is ahead, but had errors; fix them and choose again"
        for other in sorted(others):
            if not beats(entry.name, other, contests, alpha, answered=True):
                reason = f"{entry.name} is ahead of {other} only by cases in which {other} had errors"
                return "error", "", f"{reason}; fix them and choose again"
        return "winner", entry.name, ""
    reason = "" if eligible else "every candidate has a veto"
    if len(eligible) == 1:
        reason = f"only {eligible[0].name} has no veto, and it is better than no other"
    return "none", "", reason


def _describe_breakage(entry: Entry) -> str:
    """Describe why a candidate cannot be compared; a run that broke has only some of its cases."""
    if not any(entry.values.values()):
        reason = entry.broken or next(iter(entry.errored.values()), "nothing of it was scored")
        return f"{entry.name} has no score in any case: {reason}"
    return f"{entry.name} cannot be compared: {entry.broken}" if entry.broken else ""


def _rank(field: Field) -> list[Standing]:
    """Rank by the mean of the places that a candidate has in each metric, those with errors last."""
    standings = [
        Standing(entry=entry, means={metric: _mean(metric, entry, field) for metric in field.scales})
        for entry in field.entries
    ]

    def place(standing: Standing) -> float:
        """Count the better ones, over all metrics; one that is level counts half."""
        places = 0.0
        for metric, scale in field.scales.items():
            own = standing.means[metric]
            for other in standings:
                ahead = other.means[metric] - own if scale.higher_is_better else own - other.means[metric]
                level = math.isnan(ahead) or abs(ahead) <= NOISE * abs(own)
                places += 0.5 if level else float(ahead > 0)
        return places

    return sorted(
        standings,
        key=lambda standing: (
            bool(standing.entry.broken or standing.entry.errored),
            bool(standing.entry.vetoes),
            place(standing),
        ),
    )


def _mean(metric: str, entry: Entry, field: Field) -> float:
    """Return the mean over cases, NaN without any."""
    worst = worst_score(field.scales[metric])
    broken = entry.errors.get(metric, {})
    means = [
        mean(list(values)) for case, values in entry.values.get(metric, {}).items() if case not in broken
    ]
    means += [] if worst is None else [worst] * len(broken)
    return mean(means) if means else math.nan


def _find_closest(entries: Sequence[Entry], contests: Sequence[Contest], alpha: float) -> Contest | None:
    """Find the contest of the best and the next best that it does not beat, nearest to a decision."""
    best, *others = [entry.name for entry in entries]
    unbeaten = [name for name in others if not beats(best, name, contests, alpha)]
    pair = {best, (unbeaten or others)[0]}
    held = [contest for contest in contests if contest.cases and {contest.first, contest.second} == pair]
    return min(
        held,
        key=lambda contest: (or_one(contest.p_value), -abs(contest.better - contest.worse)),
        default=None,
    )

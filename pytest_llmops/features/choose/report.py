"""A choice for people and programs: the candidates, each pair of them, and the winner or none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median
from typing import Any

from pytest_llmops.features.choose.contests import Contest, or_one, worst_score
from pytest_llmops.features.choose.runs import Entry, Field, Repeats
from pytest_llmops.features.choose.verdict import Choice
from pytest_llmops.printable import counted, name_some
from pytest_llmops.reports.document import Document, Notes, Table

_NAMED = 3
_UNITS = {"latency_s": "seconds (median)", "cost_usd": "US dollars", "tokens": "tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceReport:
    """
    The contents of a report.

    Attributes:
        alpha: The largest corrected p-value that decides.
    """

    field: Field
    choice: Choice
    alpha: float


def choice_document(report: ChoiceReport) -> Document:
    notes = Notes(items=list(_notes(report)))
    return Document(blocks=[_candidates(report), _contests(report), notes], outcome=describe_outcome(report))


def choice_json(report: ChoiceReport) -> dict[str, Any]:
    """The choice as JSON values: every number is finite, and an unknown one is null."""
    choice = report.choice
    return {
        "version": 1,
        "outcome": choice.outcome,
        "winner": choice.winner or None,
        "summary": describe_outcome(report),
        "alpha": report.alpha,
        "metrics": list(report.field.scales),
        "cases": len(report.field.cases),
        "candidates": [
            {
                "name": standing.entry.name,
                "means": {
                    metric: None if math.isnan(mean) else mean for metric, mean in standing.means.items()
                },
                "errors": standing.entry.errored,
                "broken": standing.entry.broken or None,
                "vetoes": [
                    {"what": veto.what, "cases": list(veto.cases), "reason": veto.reason}
                    for veto in standing.entry.vetoes
                ],
                "left_out": list(standing.entry.left_out),
                "latency_s": _median(standing.entry.spending.latency_s),
                **{
                    name: _mean(getattr(standing.entry.spending, name))
                    for name in ("cost_usd", "tokens", "calls")
                },
            }
            for standing in choice.standings
        ],
        "pairs": [_contest_json(contest) for contest in (*choice.contests, *choice.spending)],
        "further_cases": choice.further_cases,
        "notes": list(_notes(report)),
    }


def describe_outcome(report: ChoiceReport) -> str:
    """Describe in one line the winner and its wins, or the reason for none."""
    choice = report.choice
    closest = choice.closest
    if choice.outcome == "none" and choice.reason:
        return f"no winner: {'; '.join((choice.reason, *_list_vetoes(report)))}"
    if choice.outcome == "error" or closest is None:
        return f"error: {choice.reason}"
    if choice.outcome == "winner":
        return f"winner: {choice.winner}, {'; '.join((*_describe_wins(report), *_list_vetoes(report)))}"
    if not closest.better and not closest.worse:
        both, cases = f"{closest.first} and {closest.second}", counted(closest.cases, "case")
        return f"no winner: {both} have the same {', '.join(report.field.scales)} in {cases}"
    places = [
        f"{standing.entry.name} ({closest.metric} {standing.means[closest.metric]:.4g})"
        for standing in choice.standings[:2]
    ]
    lead = "best" if closest.gain >= 0 else "first over all metrics"
    head = f"no winner: {lead} {places[0]}, then {places[1]}"
    if worse := _likely_losses(report, closest):
        return f"{head}; {closest.first} is worse than {closest.second} in {', '.join(worse)}"
    corrected = "" if closest.p_adjusted == closest.p_value else f", corrected {_p(closest.p_adjusted)}"
    counts = (
        f"{counted(closest.better, 'case')} against {closest.worse}, p = {_p(closest.p_value)}{corrected}"
    )
    return f"{head}; {closest.first} against {closest.second}: {counts}; {_advise(choice.further_cases)}"


def _likely_losses(report: ChoiceReport, closest: Contest) -> list[str]:
    """List metrics by which the best is worse, beyond chance, than one that it would else beat."""
    if closest.gain <= 0 or or_one(closest.p_adjusted) > report.alpha:
        return []
    return [
        f"{contest.metric} (p = {_p(contest.p_value)})"
        for contest in report.choice.contests
        if (contest.first, contest.second) == (closest.first, closest.second)
        and contest.gain < 0
        and or_one(contest.p_value) <= report.alpha
    ]


def _list_vetoes(report: ChoiceReport) -> Iterable[str]:
    """Yield a sentence for each candidate that has a veto."""
    for standing in report.choice.standings:
        if vetoes := standing.entry.vetoes:
            yield f"{standing.entry.name} cannot win: {'; '.join(veto.describe() for veto in vetoes)}"


def _advise(further: int | None) -> str:
    if further is None:
        return "more such cases would decide nothing"
    return f"about {counted(further, 'further case')} could decide"


def _describe_wins(report: ChoiceReport) -> Iterable[str]:
    choice = report.choice
    for standing in choice.standings:
        other = standing.entry.name
        if other == choice.winner:
            continue
        turned = [
            (contest, contest.gain if contest.first == choice.winner else -contest.gain)
            for contest in choice.contests
            if {contest.first, contest.second} == {choice.winner, other}
        ]
        wins = [
            f"{contest.metric} ({abs(contest.difference):.3g}, p = {_p(contest.p_adjusted)})"
            for contest, gain in turned
            if gain > 0 and or_one(contest.p_adjusted) <= report.alpha
        ]
        if not wins and standing.entry.vetoes:
            continue
        lower = [f"{contest.metric} ({abs(contest.difference):.3g})" for contest, gain in turned if gain < 0]
        rest = f", worse by no more than chance in {', '.join(lower)}" if lower else ""
        yield f"better than {other} in {', '.join(wins)}{rest}"


def _candidates(report: ChoiceReport) -> Table:
    metrics = [
        metric + ("" if scale.higher_is_better else " (less is better)")
        for metric, scale in report.field.scales.items()
    ]
    rows = []
    for standing in report.choice.standings:
        entry, spending = standing.entry, standing.entry.spending
        rows.append((
            entry.name,
            f"{len(report.field.cases)}",
            f"{len(entry.errored)}",
            *("" if math.isnan(mean) else f"{mean:.4g}" for mean in standing.means.values()),
            *map(_number, (_median(spending.latency_s), _mean(spending.cost_usd))),
            *map(_number, (_mean(spending.tokens), _mean(spending.calls))),
        ))  # fmt: skip
    head = ("candidate", "cases", "errors", *metrics, "median s", "$ an answer", "tokens", "calls")
    return Table(head=head, rows=rows)


def _contests(report: ChoiceReport) -> Table:
    rows = []
    for contest in (*report.choice.contests, *report.choice.spending):
        names = f"{contest.first} - {contest.second}"
        metric = _UNITS.get(contest.metric, contest.metric) if contest.p_value is None else contest.metric
        if not contest.cases:
            rows.append((names, metric, "no case", "", "", "", ""))
            continue
        rows.append((
            names,
            metric,
            f"{contest.difference:+.3g}",
            f"{contest.low:+.3g} … {contest.high:+.3g}" if contest.cases > 1 else "",
            f"{contest.better}, {contest.ties}, {contest.worse}",
            _p(contest.p_value),
            _p(contest.p_adjusted),
        ))  # fmt: skip
    interval = f"{100 * (1 - report.alpha):.4g}% interval"
    head = ("pair", "by", "difference", interval, "better, ties, worse", "p", "corrected")
    return Table(head=head, rows=rows)


def _notes(report: ChoiceReport) -> Iterable[str]:
    entries = [standing.entry for standing in report.choice.standings]
    yield from list_errors(report)
    yield from _list_vetoes(report)
    if unsearched := [entry.name for entry in entries if entry.unsearched]:
        yield (
            f"no personal data was looked for in the answers of {name_some(unsearched, _NAMED)}: "
            "pip install 'pytest-llmops[pii]'"
        )
    for entry in entries:
        if entry.left_out:
            cases = f"{counted(len(entry.left_out), 'case')} ({name_some(entry.left_out, _NAMED)})"
            yield f"left out of {entry.name}: {cases}; not all have them with this input and checks"
    for first, second in combinations(entries, 2):
        if answer_alike(first, second, report.field.cases):
            cases = counted(len(report.field.cases), "case")
            yield (
                f"{first.name} and {second.name} gave the same answers in all {cases}: are they "
                "the same app, or does a setting not reach it?"
            )
    yield from report.field.notes
    if report.field.groups:
        yield f"{len(set(report.field.units(report.field.cases)))} groups of cases are tested, each as one"


def list_errors(report: ChoiceReport) -> Iterable[str]:
    """Yield a sentence for each candidate that cannot win, whatever its scores."""
    for standing in report.choice.standings:
        entry = standing.entry
        if entry.broken:
            yield f"{entry.name} cannot win: {entry.broken}"
        if errored := entry.errored:
            cases = f"{counted(len(errored), 'case')} ({name_some(list(errored), _NAMED)})"
            reason = next(iter(errored.values()))
            yield f"{entry.name} had errors in {cases}, which {_count_as(report)}: {reason}"


def _count_as(report: ChoiceReport) -> str:
    """Describe the use of cases without a score: an unbounded metric has no worst score to count."""
    ends = [worst_score(scale) is not None for scale in report.field.scales.values()]
    if all(ends):
        return "count as missed"
    return "count as missed or are left out" if any(ends) else "are left out"


def answer_alike(first: Entry, second: Entry, cases: Sequence[str]) -> bool:
    """Return whether two candidates gave the same answers to all cases, one at least."""
    known = [case for case in cases if case in first.answers and case in second.answers]
    return (
        bool(known)
        and len(known) == len(cases)
        and all(set(first.answers[case]) == set(second.answers[case]) for case in known)
    )


def _contest_json(contest: Contest) -> dict[str, Any]:
    held = contest.cases > 0
    return {
        "first": contest.first,
        "second": contest.second,
        "metric": contest.metric,
        "statistic": "median" if contest.statistic == "p50" else contest.statistic,
        "decides": contest.p_value is not None,
        "cases": contest.cases,
        "difference": contest.difference if held else None,
        "interval": [contest.low, contest.high] if held else None,
        "better": contest.better,
        "ties": contest.ties,
        "worse": contest.worse,
        "p_value": contest.p_value,
        "p_adjusted": contest.p_adjusted,
    }


def _median(values: Repeats) -> float | None:
    return median(value[0] for value in values.values()) if values else None


def _mean(values: Repeats) -> float | None:
    return fmean(value[0] for value in values.values()) if values else None


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"

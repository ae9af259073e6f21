"""A drift, as `llmops drift` shows it: text for people, JSON for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args

from pytest_llmops.features.drift.causes import CaseDrift, Cause, Change, Drift
from pytest_llmops.printable import counted, printable

VERSION = 1
_LISTED = 10
_LINE = 1_200  # of advice, at whose end stands what to do


def drift_json(drift: Drift) -> dict[str, Any]:
    """The drift as JSON values; cases that are the same are only counted."""
    return {
        "version": VERSION,
        "outcome": drift.outcome,
        "comparable": drift.comparable,
        "causes": [
            {
                "kind": cause.kind,
                "shown": cause.shown,
                "evidence": list(cause.evidence),
                "cases": list(cause.cases),
            }
            for cause in drift.causes
        ],
        "cases": [_case(case) for case in drift.cases if case.change != "same" or case.clues],
        "counts": _counts(drift),
        "advice": list(drift.advice),
        "notes": list(drift.notes),
    }


def render_drift(drift: Drift) -> list[str]:
    """Each cause with its evidence and cases, the cases whose cause is open, advice, notes, counts."""
    lines: list[str] = []
    for cause in drift.causes:
        lines += [*_render_cause(cause), ""]
    if drift.comparable and (open_cases := [case for case in drift.cases if case.is_open]):
        lines.append(f"cause open: {len(open_cases)} of {counted(len(drift.cases), 'case')}")
        lines += _cut([f"  {printable(case.case)}: {_explain(case)}" for case in open_cases])
        lines.append("")
    lines += [f"advice: {printable(each, _LINE)}" for each in drift.advice]
    lines += [f"note: {printable(note, _LINE)}" for note in drift.notes]
    counts = ", ".join(f"{count} {change}" for change, count in _counts(drift).items())
    return [*lines, f"{_conclude(drift)} (cases: {counts})"]


def _conclude(drift: Drift) -> str:
    if drift.outcome == "none":
        return "no drift"
    if not drift.comparable and drift.outcome == "open":
        return "cannot tell: every answer is unique, so that nothing can be compared"
    if drift.outcome == "drift":
        return f"drift: {', '.join(dict.fromkeys(cause.kind for cause in drift.causes if cause.shown))}"
    if any(case.is_open for case in drift.cases):
        return "drift, and its cause is open"
    return "no drift seen, and no canary was answered"


def _render_cause(cause: Cause) -> Iterator[str]:
    yield f"{cause.kind}, {'shown' if cause.shown else 'a candidate'}"
    yield from _cut([f"  {printable(each)}" for each in cause.evidence])
    if not cause.cases:
        yield "  no answer changed by it"
        return
    yield f"  cases: {len(cause.cases)}"
    yield from _cut([f"    {printable(case)}" for case in cause.cases])


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _LISTED
    return [*lines[:_LISTED], f"  and {more} more"] if more > 0 else lines


def _explain(case: CaseDrift) -> str:
    if candidates := case.candidates:
        return f"{' or '.join(candidates)}?"
    if case.hint == "unseen":
        return "its model calls were not seen"
    return "the app itself, by all that is seen"


def _case(case: CaseDrift) -> dict[str, Any]:
    return {
        "case": case.case,
        "change": case.change,
        "shown": list(case.shown),
        "candidates": list(case.candidates),
        "hint": case.hint,
        "evidence": [clue.evidence for clue in case.clues],
    }


def _counts(drift: Drift) -> dict[Change, int]:
    counted = Counter(case.change for case in drift.cases)
    return {change: counted[change] for change in get_args(Change)}

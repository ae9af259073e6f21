"""A drift as `llmops drift` shows it: a document for people, JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from pytest_llmops.features.drift.causes import CaseDrift, Cause, Change, Drift
from pytest_llmops.printable import counted
from pytest_llmops.reports.document import Document, Notes

VERSION = 1
_LISTED = 10


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
        "cases": [
            {
                "case": case.case,
                "change": case.change,
                "shown": list(case.shown),
                "candidates": list(case.candidates),
                "hint": case.hint,
                "evidence": [clue.evidence for clue in case.clues],
            }
            for case in drift.cases
            if case.change != "same" or case.clues
        ],
        "counts": _counts(drift),
        "advice": list(drift.advice),
        "notes": list(drift.notes),
    }


def drift_document(drift: Drift) -> Document:
    """Each cause with its evidence and cases, the cases whose cause is open, advice and notes."""
    blocks = [_cause(cause) for cause in drift.causes]
    if drift.comparable and (open_cases := [case for case in drift.cases if case.is_open]):
        title = f"cause open: {len(open_cases)} of {counted(len(drift.cases), 'case')}"
        lines = [f"{case.case}: {_explain(case)}" for case in open_cases]
        blocks.append(Notes(items=[title], details=_cut(lines, "  ")))
    advice = [f"advice: {advice}" for advice in drift.advice]
    blocks.append(Notes(items=[*advice, *(f"note: {note}" for note in drift.notes)]))
    counts = ", ".join(f"{count} {change}" for change, count in _counts(drift).items())
    return Document(blocks=blocks, outcome=f"{_conclude(drift)} (cases: {counts})")


def _conclude(drift: Drift) -> str:
    if drift.outcome == "none":
        return "no drift"
    if drift.outcome == "drift":
        return f"drift: {', '.join(dict.fromkeys(cause.kind for cause in drift.causes if cause.shown))}"
    if not drift.comparable:
        return "cannot tell: every answer is unique, so that nothing can be compared"
    if any(case.is_open for case in drift.cases):
        return "drift, and its cause is open"
    return "no drift seen, and no canary was answered"


def _cause(cause: Cause) -> Notes:
    cases = [f"  cases: {len(cause.cases)}", *_cut(cause.cases, "    ")]
    return Notes(
        items=[f"{cause.kind}, {'shown' if cause.shown else 'a candidate'}"],
        details=[
            *_cut(cause.evidence, "  "),
            *(cases if cause.cases else ["  no answer changed by it"]),
        ],
    )


def _cut(items: Sequence[str], indent: str) -> list[str]:
    """The first items as lines; the others are counted."""
    more = len(items) - _LISTED
    lines = [f"{indent}{item}" for item in items[:_LISTED]]
    return [*lines, f"{indent}and {more} more"] if more > 0 else lines


def _explain(case: CaseDrift) -> str:
    if candidates := case.candidates:
        return f"{' or '.join(candidates)}?"
    return "its model calls were not seen" if case.hint == "unseen" else "the app itself, by all that is seen"


def _counts(drift: Drift) -> dict[Change, int]:
    counts = Counter(case.change for case in drift.cases)
    return {change: counts[change] for change in get_args(Change)}

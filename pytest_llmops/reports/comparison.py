"""A comparison of two runs, as `llmops compare` shows it: a document for people, JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pytest_llmops.gates.outcomes import count, status
from pytest_llmops.printable import counted
from pytest_llmops.records import Comparison, Verdict
from pytest_llmops.reports.document import Document, Notes, Table
from pytest_llmops.reports.terminal import render_counts, table_of, verdict_notes

VERSION = 1
_LISTED = 20


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values; every number is finite, every count is there."""
    return {
        "version": VERSION,
        "outcome": comparison.outcome,
        "verdicts": [_verdict(verdict, comparison.level) for verdict in comparison.verdicts],
        "cases": {
            "new": list(comparison.new),
            "missing": list(comparison.missing),
            "changed": [asdict(change) for change in comparison.changed],
            "skipped": dict(comparison.skipped),
        },
        "differs": list(comparison.differs),
        "not_stamped": list(comparison.not_stamped),
        "stamped": list(comparison.stamped),
        **({"since_release": comparison.since_release} if comparison.since_release else {}),
        "counts": count(map(status, comparison.verdicts)),
    }


def comparison_document(comparison: Comparison) -> Document:
    """
    A row a check, the reasons of each that did not pass, cases that are new, missing or changed.

    Changes that may be chance are counted; only confirmed ones are listed.
    """
    blocks: list[Table | Notes] = [table_of(comparison.verdicts)] if comparison.verdicts else []
    for verdict in comparison.verdicts:
        if verdict.outcome != "passed":
            blocks.append(verdict_notes(verdict))
        elif verdict.advice:
            blocks.append(Notes(items=[f"passed     {verdict.check}: {verdict.advice}"]))
    confirmed = [change for change in comparison.changed if change.confirmed]
    blocks += list_differences(comparison)
    if comparison.stamped and not comparison.differs and not comparison.not_stamped:
        blocks.append(Notes(items=[f"no stamp differs from the baseline: {', '.join(comparison.stamped)}"]))
    if confirmed:
        rows = [
            (change.case, change.metric, f"{change.before:.4g}", f"{change.after:.4g}")
            for change in confirmed[:_LISTED]
        ]
        more = f", {_LISTED} of them shown" if len(confirmed) > _LISTED else ""
        title = f"changed cases, beyond chance: {len(confirmed)}{more}"
        blocks.append(Table(title=title, head=("case", "metric", "before", "after"), rows=rows))
    if unclear := len(comparison.changed) - len(confirmed):
        blocks.append(Notes(items=[f"{counted(unclear, 'score')} changed, possibly by chance"]))
    counts = render_counts(count(map(status, comparison.verdicts)))
    return Document(blocks=blocks, outcome=f"{comparison.outcome}: {counts} (level {comparison.level:g})")


def list_differences(comparison: Comparison) -> list[Table | Notes]:
    """List what changed beside the scores: causes, cases that came or went, the drift since a release."""
    lists = (
        ("also changed since the baseline", comparison.differs),
        ("may have changed, too", comparison.not_stamped),
        ("missing, of the baseline's cases", comparison.missing),
        (
            "skipped, of the baseline's cases",
            [f"{case} ({comparison.skipped[case]})" for case in comparison.unjudged],
        ),
        (
            "skipped",
            [
                f"{case} ({why})"
                for case, why in comparison.skipped.items()
                if case not in comparison.unjudged
            ],
        ),
        ("new cases", comparison.new),
    )
    notes = [Notes(title=title, items=items, most=_LISTED) for title, items in lists if items]
    if comparison.since_release:
        notes.append(Notes(items=[comparison.since_release]))
    return [*notes]


def _verdict(verdict: Verdict, level: float) -> dict[str, Any]:
    return {
        "check": verdict.check,
        "outcome": verdict.outcome,
        "cases": verdict.cases,
        "baseline": verdict.baseline,
        "observed": verdict.observed,
        "difference": verdict.difference,
        "interval": None if verdict.interval is None else list(verdict.interval),
        **({"corrected": list(verdict.corrected)} if verdict.corrected else {}),
        "level": level,
        "p_value": verdict.p_value,
        "p_adjusted": verdict.p_adjusted,
        "reason": verdict.reason,
        "evidence": list(verdict.evidence),
        "advice": verdict.advice,
        "known": verdict.known,
        **({"xfail": verdict.xfail} if verdict.xfail else {}),
    }

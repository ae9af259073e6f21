"""A comparison of two runs, as `llmops compare` shows it: text for people, JSON for machines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pytest_llmops.gates.outcomes import count
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import Change, Comparison, Verdict
from pytest_llmops.reports.terminal import align, render_counts, render_table, render_verdict, table_rows

VERSION = 1
_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~>@&-]")
_LISTED = 20


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values; every number is finite, every one of the five counts is there."""
    return {
        "version": VERSION,
        "outcome": comparison.outcome,
        "verdicts": [_verdict(verdict, comparison.level) for verdict in comparison.verdicts],
        "cases": {
            "new": list(comparison.new),
            "missing": list(comparison.missing),
            "changed": [
                {
                    "case": change.case,
                    "metric": change.metric,
                    "before": change.before,
                    "after": change.after,
                    "confirmed": change.confirmed,
                }
                for change in comparison.changed
            ],
        },
        "differs": list(comparison.differs),
        "counts": count(verdict.outcome for verdict in comparison.verdicts),
    }


def render_comparison(comparison: Comparison) -> list[str]:
    """
    A row a check, what is behind each that did not pass, the cases that came, went or changed, counts.

    Changes that may be chance are counted; only confirmed ones are listed.
    """
    lines = render_table(comparison.verdicts)
    for verdict in comparison.verdicts:
        if verdict.outcome != "passed":
            lines += ["", *render_verdict(verdict)]
        elif verdict.advice:
            lines += ["", f"  passed     {printable(verdict.check)}: {printable(verdict.advice)}"]
    if comparison.differs:
        lines += ["", "also changed since the baseline:"]
        lines += [f"  {printable(line)}" for line in comparison.differs]
    confirmed = [change for change in comparison.changed if change.confirmed]
    lines += _names("missing, of the baseline's cases", comparison.missing)
    lines += _names("new cases", comparison.new)
    if confirmed:
        rows = [("case", "metric", "before", "after"), *(_change(change) for change in confirmed[:_LISTED])]
        lines += ["", f"changed cases, beyond chance: {len(confirmed)}"]
        lines += [f"  {line}" for line in align(rows)]
        lines += [f"  and {len(confirmed) - _LISTED} more"] if len(confirmed) > _LISTED else []
    if unclear := len(comparison.changed) - len(confirmed):
        lines += ["", f"{counted(unclear, 'score')} changed, possibly by chance"]
    counts = count(verdict.outcome for verdict in comparison.verdicts)
    return [*lines, "", f"{comparison.outcome}: {render_counts(counts)} (level {comparison.level:g})"]


def comparison_markdown(comparison: Comparison) -> list[str]:
    """The same for a comment on a pull request: a table of the checks, then what has to be looked at."""
    rows = [[cell or " " for cell in row] for row in table_rows(comparison.verdicts, compared=True)]
    lines = [f"**{comparison.outcome}** (level {comparison.level:g})", ""]
    lines += markdown_table(rows) if comparison.verdicts else []
    items = [
        f"- {verdict.outcome}: {verdict.check}: {verdict.reason}"
        for verdict in comparison.verdicts
        if verdict.outcome != "passed"
    ]
    items += [f"- changed: {line}" for line in comparison.differs]
    items += [f"- missing case: {case}" for case in comparison.missing[:_LISTED]]
    items += [
        f"- {change.case}: {change.metric} {change.before:.4g} → {change.after:.4g}"
        for change in [each for each in comparison.changed if each.confirmed][:_LISTED]
    ]
    counts = render_counts(count(verdict.outcome for verdict in comparison.verdicts))
    return [*lines, "", *(f"- {escape(line[2:])}" for line in items), "", counts]


def markdown_table(rows: Iterable[Sequence[str]]) -> list[str]:
    """The first row is the head."""
    head, *body = [[escape(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def escape(text: str) -> str:
    """Text of anybody as Markdown that shows it and does nothing."""
    return _MARKUP.sub(r"\\\g<0>", printable(text)).replace("<", "&lt;")


def _verdict(verdict: Verdict, level: float) -> dict[str, Any]:
    return {
        "check": verdict.check,
        "outcome": verdict.outcome,
        "cases": verdict.cases,
        "baseline": verdict.baseline,
        "observed": verdict.observed,
        "difference": verdict.difference,
        "interval": None if verdict.interval is None else list(verdict.interval),
        "level": level,
        "p_value": verdict.p_value,
        "p_adjusted": verdict.p_adjusted,
        "reason": verdict.reason,
        "evidence": list(verdict.evidence),
        "advice": verdict.advice,
        "known": verdict.known,
    }


def _names(title: str, cases: tuple[str, ...]) -> list[str]:
    if not cases:
        return []
    listed = [f"  {printable(case)}" for case in cases[:_LISTED]]
    more = [f"  and {len(cases) - _LISTED} more"] if len(cases) > _LISTED else []
    return ["", f"{title}: {len(cases)}", *listed, *more]


def _change(change: Change) -> tuple[str, str, str, str]:
    return printable(change.case), printable(change.metric), f"{change.before:.4g}", f"{change.after:.4g}"

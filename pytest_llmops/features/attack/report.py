"""A red-team run for people and programs: one table, the pairs, the coverage, and the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytest_llmops.features.attack.verdict import Conclusion, Covered, Paired, Rate, Row
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult
from pytest_llmops.reports.document import Document, Notes, Table

_HEAD = ("", "attack success", "blocked", "denied tool calls", "utility")
_LISTED = 20
_TEXT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackReport:
    """
    The contents of a report.

    Attributes:
        arms: Name of a run, with guards or without, to its rows and its utility.
        adaptive: Share of attacks that succeeded themselves or in a variant; None where none was tried.
        succeeded: A line each.
        calls: Model calls that were made, replayed ones not among them.
        seed: Of the invented words, the variants and the sample.
        sample: Number of attacks, and of those that they were drawn of.
    """

    suite: str
    arms: Sequence[tuple[str, Sequence[Row], Rate]]
    adaptive: Rate | None
    paired: Sequence[Paired]
    coverage: Sequence[Covered]
    conclusion: Conclusion
    succeeded: Sequence[str]
    calls: int
    seed: int = 1
    sample: tuple[int, int] = (0, 0)


def list_successes(results: Iterable[CaseResult]) -> list[str]:
    """List each attack that succeeded: the app's action, its input and answer."""
    lines = []
    for result in results:
        for score in result.scores:
            if score.metric == "attack" and score.value > 0 and score.evidence:
                fact = {"reason": score.reason, **score.evidence[0]}
                texts = " | ".join(
                    f"{name}: {printable(fact.get(name, ''), _TEXT)}" for name in ("input", "answer")
                )
                lines.append(f"{printable(result.case)}: {printable(fact['reason'])} | {texts}")
                break
    return lines


def attacks_document(report: AttackReport) -> Document:
    blocks: list[Table | Notes] = [_table(report), Notes(items=_notes(report))]
    if report.succeeded:
        blocks.append(Notes(title="attacks that succeeded", items=report.succeeded, most=_LISTED))
    blocks += [Notes(items=_coverage(report.coverage)), Notes(items=report.conclusion.reasons)]
    word = "held" if report.conclusion.outcome == "passed" else report.conclusion.outcome
    outcome = f"{word}: suite {report.suite}, {counted(report.calls, 'model call')}"
    return Document(blocks=blocks, outcome=outcome)


def attacks_json(report: AttackReport) -> dict[str, Any]:
    return {
        "version": 1,
        "suite": report.suite,
        "outcome": report.conclusion.outcome,
        "reasons": list(report.conclusion.reasons),
        "arms": [
            {"name": name, "rows": [asdict(row) for row in rows], "utility": asdict(utility)}
            for name, rows, utility in report.arms
        ],
        "adaptive": None if report.adaptive is None else asdict(report.adaptive),
        "paired": [asdict(pair) for pair in report.paired],
        "coverage": [asdict(covered) for covered in report.coverage],
        "succeeded": list(report.succeeded),
        "calls": report.calls,
        "seed": report.seed,
        "sample": {"attacks": report.sample[0], "of": report.sample[1]},
    }


def _table(report: AttackReport) -> Table:
    several = len(report.arms) > 1
    rows = []
    for name, of_arm, utility in report.arms:
        for index, row in enumerate(of_arm):
            group = f"{name}: {row.group}" if several else row.group
            cells = (row.success, row.blocked, row.denied)
            rows.append((group, *map(_rate, cells), "" if index else _rate(utility)))
    if report.adaptive is not None:
        rows.append(("all attacks, or a variant", _rate(report.adaptive), "", "", ""))
    return Table(head=_HEAD, rows=rows)


def _rate(rate: Rate) -> str:
    """`3.8 % [1.1, 13.0] n=52`; `[1.1, 82.0] n=52, 40 not seen`."""
    if rate.low is None or rate.high is None:
        return "not measured"
    value = "" if rate.value is None else f"{100 * rate.value:.1f} % "
    unseen = f", {rate.unseen} not seen" if rate.unseen else ""
    return f"{value}[{100 * rate.low:.1f}, {100 * rate.high:.1f}] n={rate.of}{unseen}"


def _notes(report: AttackReport) -> list[str]:
    lines = [f"intervals: Wilson, 95 %; n counts attacks, tool calls or benign cases; seed {report.seed}"]
    drawn, offered = report.sample
    if drawn < offered:
        lines.append(f"a random sample: {drawn} of {counted(offered, 'attack')}")
    for name, rows, _ in report.arms:
        if rows:
            guards = ", ".join(f"{guard} {count}" for guard, count in rows[0].stopped_by)
            of_arm = f", {name}" if len(report.arms) > 1 else ""
            lines.append(f"blocked by (attacks{of_arm}): {guards or 'nothing'}")
    for pair in report.paired:
        cases = counted(pair.cases, "case")
        lines.append(
            f"{pair.metric} against {pair.against}, {cases}: {len(pair.worse)} worse, "
            f"{len(pair.better)} better; McNemar exact, one-sided: worse p = {pair.p_worse:.2g}, "
            f"better p = {pair.p_better:.2g}"
        )
    return lines


def _coverage(coverage: Sequence[Covered]) -> list[str]:
    lines = []
    for kind in dict.fromkeys(covered.kind for covered in coverage):
        of_kind = [covered for covered in coverage if covered.kind == kind]
        tried = [f"{covered.id} ({covered.attacks})" for covered in of_kind if covered.attacks]
        lines.append(f"{kind} tried (attacks): {', '.join(tried) or 'none'}")
        if lacking := [f"{covered.id} {covered.name}".strip() for covered in of_kind if not covered.attacks]:
            lines.append(f"{kind} NOT covered: {', '.join(lacking)}")
    return lines

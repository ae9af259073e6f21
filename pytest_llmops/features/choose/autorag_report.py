"""The nodes of an AutoRAG trial for people and programs: is the module that was taken better than others?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.features.choose.autorag import Node, read_nodes
from pytest_llmops.features.choose.contests import or_one
from pytest_llmops.features.choose.report import ChoiceReport, choice_json, describe_outcome, list_errors
from pytest_llmops.features.choose.verdict import choose
from pytest_llmops.printable import counted
from pytest_llmops.reports.document import Document, Notes, Table, write_terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """
    A node and what its scores say.

    Attributes:
        report: None where nothing can be compared.
    """

    node: Node
    report: ChoiceReport | None

    @property
    def is_confirmed(self) -> bool:
        """Whether the module that AutoRAG took is the winner."""
        return self.report is not None and self.report.choice.winner == self.node.best


def nodes_document(reports: Sequence[NodeReport]) -> Document:
    """A row a node, then a line on what each choice rests on."""
    rows = [
        (
            report.node.name,
            f"{len(report.node.modules)}",
            f"{len(report.node.field.cases)}" if report.node.field else "",
            report.node.best,
            _answer(report),
        )
        for report in reports
    ]
    compared = [report for report in reports if report.report]
    confirmed = sum(report.is_confirmed for report in compared)
    head = ("node", "modules", "questions", "AutoRAG's best", "is it a winner?")
    notes = [f"{report.node.name}: {line}" for report in reports for line in _describe(report)]
    return Document(
        blocks=[Table(head=head, rows=rows), Notes(items=notes)],
        outcome=f"winners: {confirmed} of {counted(len(compared), 'node')} with a choice",
    )


def nodes_json(reports: Sequence[NodeReport]) -> dict[str, Any]:
    return {
        "version": 1,
        "nodes": [
            {
                "node": each.node.name,
                "best": each.node.best,
                "confirmed": each.is_confirmed,
                "reason": each.node.reason or None,
                "choice": choice_json(each.report) if each.report else None,
            }
            for each in reports
        ],
    }


def _answer(each: NodeReport) -> str:
    if each.report is None:
        return "not compared"
    return "error" if each.report.choice.outcome == "error" else "yes" if each.is_confirmed else "no"


def _describe(each: NodeReport) -> Iterable[str]:
    if each.report is None:
        yield f"not compared: {each.node.reason}"
        return
    yield from list_errors(each.report)
    yield from each.report.field.notes
    yield describe_outcome(each.report)
    if each.report.choice.outcome == "none":
        yield _compare_best(each.node.best, each.report)


def _compare_best(best: str, report: ChoiceReport) -> str:
    """AutoRAG's module against the best of the others, by each metric; p-values are of this pair alone."""
    other = next(name for one in report.choice.standings if (name := one.entry.name) != best)
    counts = []
    for each in report.choice.contests:
        if {each.first, each.second} == {best, other}:
            better, worse = (each.better, each.worse) if each.first == best else (each.worse, each.better)
            counts.append(f"{each.metric} {better} to {worse}, p = {or_one(each.p_value):.3g}")
    return f"AutoRAG's best {best} against {other}, questions better to worse: {'; '.join(counts)}"


_CONFIRMED, _UNCONFIRMED, _ERROR = 0, 2, 3


def judge_trial(folder: str, *, alpha: float) -> tuple[int, list[str], dict[str, Any]]:
    """
    The exit code, the lines for a terminal, and the same for a program.

    A node with one module has nothing to choose; one whose scores AutoRAG did not keep is not confirmed.
    An error in one node is the outcome, whatever the others are.

    Raises:
        LLMOpsError: The folder holds no node, a file cannot be read, or pyarrow is not installed.
    """
    reports = [
        NodeReport(
            node=node,
            report=None
            if node.field is None
            else ChoiceReport(field=node.field, choice=choose(node.field, alpha=alpha), alpha=alpha),
        )
        for node in read_nodes(Path.cwd() / folder)
    ]
    choices = [each for each in reports if len(each.node.modules) > 1]
    code = _CONFIRMED if all(each.is_confirmed for each in choices) else _UNCONFIRMED
    outcomes = {each.report.choice.outcome for each in choices if each.report}
    if not outcomes or "error" in outcomes:
        code = _ERROR
    return code, write_terminal(nodes_document(reports)), nodes_json(reports)

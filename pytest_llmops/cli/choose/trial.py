"""`llmops choose --autorag FOLDER`: 0 all best modules win, 2 one does not, 3 error or nothing to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_llmops.choice.autorag import read_nodes
from pytest_llmops.choice.verdict import choose
from pytest_llmops.reports.autorag import NodeReport, nodes_json, render_nodes
from pytest_llmops.reports.choice import ChoiceReport

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
    return code, render_nodes(reports), nodes_json(reports)

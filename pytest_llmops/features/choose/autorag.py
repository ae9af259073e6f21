"""
Trials of AutoRAG 0.3: by node its modules, the one that it took, and the scores by question.

A node's folder has `summary.csv`, a row a module with its means and `is_best`, and a parquet file for each
module with a row a question. The nodes `prompt_maker` and `query_expansion` keep only means. A line of
nodes and the trial above it get a `summary.csv` of their own, without `is_best`, when they are done.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.features.choose.contests import or_one
from pytest_llmops.features.choose.report import ChoiceReport, choice_json, describe_outcome, list_errors
from pytest_llmops.features.choose.runs import ChoiceError, Entry, Field
from pytest_llmops.features.choose.verdict import choose
from pytest_llmops.gates.paired_runs import Scale
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.reports.document import Document, Notes, Table, write_terminal

_NO_SCORES = frozenset(
    {
        *("filename", "module_name", "module_params", "execution_time", "is_best"),
        *("average_output_token", "average_prompt_token"),
    }
)
_HIGHER = Scale(higher_is_better=True, bounded=False)
"""Of each metric that AutoRAG has; none says where it ends."""

_FEWEST = 2  # modules of a choice
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    One node of a trial.

    Attributes:
        name: Its folder, from the one that was named.
        modules: Their names, as `best` and the entries have them.
        best: The module that AutoRAG marked.
        field: None where nothing can be compared, for `reason`.
    """

    name: str
    modules: tuple[str, ...]
    best: str
    field: Field | None = None
    reason: str = ""


def read_nodes(folder: Path) -> list[Node]:
    """
    Read the nodes of a trial or a line of nodes, or one node, sorted by folder.

    Raises:
        ChoiceError: There is none, the trial was broken off, or a file is not AutoRAG's.
        MissingExtraError: pyarrow is not installed.
    """
    summaries = {path: _read_summary(path) for path in sorted(folder.rglob("summary.csv"))}
    nodes = [(path, rows) for path, rows in summaries.items() if "is_best" in rows[0]]
    if unfinished := _find_unfinished(folder, summaries):
        raise ChoiceError(
            f"{unfinished}: AutoRAG did not finish it; run it to its end, or name one of its nodes that is "
            "done"
        )
    if not nodes:
        raise ChoiceError(
            f"{folder}: no node of AutoRAG is in it; name the folder of a trial, such as project/0, whose "
            "nodes have a summary.csv with is_best"
        )
    return [_read_node(path, rows, folder) for path, rows in nodes]


def _find_unfinished(folder: Path, summaries: Mapping[Path, Sequence[Mapping[str, str]]]) -> Path | None:
    """Find a node without a marked best, a line or trial without its summary, or a trial without a node."""
    for path, rows in summaries.items():
        if "is_best" in rows[0]:
            for above in path.parents[1:3]:  # the line of the node, and the trial
                if above.is_relative_to(folder) and above / "summary.csv" not in summaries:
                    return above
        elif "module_name" in rows[0]:
            return path.parent
    return folder if not summaries and folder.joinpath("config.yaml").is_file() else None


def _read_summary(path: Path) -> list[dict[str, str]]:
    """Read the rows of a summary; one without columns where there is none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file)) or [{}]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ChoiceError(f"{path}: cannot be read: {error}") from None


def _read_node(path: Path, rows: Sequence[Mapping[str, str]], folder: Path) -> Node:
    name = path.parent.relative_to(folder).as_posix()
    files = [row.get("filename") or "" for row in rows]
    names = [
        f"{row.get('module_name') or 'a module'} ({file})" for row, file in zip(rows, files, strict=True)
    ]
    marked = [module for module, row in zip(names, rows, strict=True) if row.get("is_best") == "True"]
    if len(marked) != 1 or len(set(files)) < len(files):
        raise ChoiceError(f"{path}: marks {len(marked)} modules as is_best; AutoRAG marks one of each node")
    node = Node(name=path.parent.name if name == "." else name, modules=tuple(names), best=marked[0])
    if len(names) < _FEWEST:
        return Node(name=node.name, modules=node.modules, best=node.best, reason="it has one module alone")
    tables = [_read_table(_module_path(path, file)) for file in files]
    # Some nodes write their own name before a mean.
    prefix = f"{path.parent.name}_"
    named = [column.removeprefix(prefix) for column in rows[0] if column not in _NO_SCORES]
    metrics = [metric for metric in named if all(metric in table for table in tables)]
    left_out = tuple(_describe_left_out(named, names, tables))
    if not metrics:
        reason = "AutoRAG kept the means of its modules and no scores by question"
        if any(metric in table for metric in named for table in tables):
            reason = f"no metric has scores of all modules; {'; '.join(left_out)}"
        return Node(name=node.name, modules=node.modules, best=node.best, reason=reason)
    questions = {len(table[metric]) for table in tables for metric in metrics}
    if len(questions) != 1:
        raise ChoiceError(f"{path}: its modules have unlike numbers of questions: {sorted(questions)}")
    return Node(
        name=node.name,
        modules=node.modules,
        best=node.best,
        field=_make_field(names, tables, metrics, questions.pop(), left_out),
    )


def _module_path(summary: Path, file: str) -> Path:
    if not file.endswith(".parquet") or Path(file).name != file:
        raise ChoiceError(f"{summary}: the filename {printable(file)!r} is none of AutoRAG's")
    return summary.parent / file


def _describe_left_out(
    metrics: Sequence[str], names: Sequence[str], tables: Sequence[Mapping[str, Sequence[Any]]]
) -> Iterable[str]:
    """Describe metrics that cannot decide, since a module has no scores of them by question."""
    for metric in metrics:
        lacking = [name for name, table in zip(names, tables, strict=True) if metric not in table]
        if lacking:
            yield f"{metric} is left out: no scores by question of {name_some(lacking, _NAMED)}"


def _read_table(path: Path) -> dict[str, list[Any]]:
    """Read the columns of numbers in a parquet file."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingExtraError("llmops choose --autorag", "autorag") from None
    try:
        with parquet.ParquetFile(path) as file:
            numbers = [
                column.name
                for column in file.schema_arrow
                if pa.types.is_floating(column.type)
                or pa.types.is_integer(column.type)
                or pa.types.is_boolean(column.type)
            ]
            columns: dict[str, list[Any]] = file.read(columns=numbers).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise ChoiceError(f"{path}: cannot be read: {printable(str(error))}") from None
    return columns


def _make_field(
    names: Sequence[str],
    tables: Sequence[Mapping[str, Sequence[Any]]],
    metrics: Sequence[str],
    count: int,
    notes: tuple[str, ...],
) -> Field:
    """Make the field; a question without any score does not count, one that some lack is their error."""
    cases = [f"question {at + 1}" for at in range(count)]
    scored = {
        metric: [at for at in range(count) if any(_is_score(table[metric][at]) for table in tables)]
        for metric in metrics
    }
    entries = []
    for name, table in zip(names, tables, strict=True):
        values: dict[str, dict[str, tuple[float, ...]]] = {metric: {} for metric in metrics}
        errors: dict[str, dict[str, str]] = {metric: {} for metric in metrics}
        for metric, places in scored.items():
            for at in places:
                if _is_score(value := table[metric][at]):
                    values[metric][cases[at]] = (float(value),)
                else:
                    errors[metric][cases[at]] = f"it has no {metric}"
        entries.append(Entry(name=name, values=values, errors=errors))
    scales = dict.fromkeys(metrics, _HIGHER)
    return Field(entries=tuple(entries), cases=tuple(cases), scales=scales, notes=notes)


def _is_score(value: Any) -> bool:
    return value is not None and math.isfinite(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """
    A node and its choice.

    Attributes:
        report: None where nothing can be compared.
    """

    node: Node
    report: ChoiceReport | None

    @property
    def is_confirmed(self) -> bool:
        """Return whether the module that AutoRAG took is the winner."""
        return self.report is not None and self.report.choice.winner == self.node.best


def nodes_document(reports: Sequence[NodeReport]) -> Document:
    """A row a node, then lines on the reasons of each choice."""
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
                "node": report.node.name,
                "best": report.node.best,
                "confirmed": report.is_confirmed,
                "reason": report.node.reason or None,
                "choice": choice_json(report.report) if report.report else None,
            }
            for report in reports
        ],
    }


def _answer(node: NodeReport) -> str:
    if node.report is None:
        return "not compared"
    if node.report.choice.outcome == "error":
        return "error"
    return "yes" if node.is_confirmed else "no"


def _describe(node: NodeReport) -> Iterable[str]:
    if node.report is None:
        yield f"not compared: {node.node.reason}"
        return
    yield from list_errors(node.report)
    yield from node.report.field.notes
    yield describe_outcome(node.report)
    if node.report.choice.outcome == "none":
        yield _compare_best(node.node.best, node.report)


def _compare_best(best: str, report: ChoiceReport) -> str:
    """Compare AutoRAG's module with the best other one by each metric; p-values are of this pair only."""
    other = next(name for standing in report.choice.standings if (name := standing.entry.name) != best)
    counts = []
    for contest in report.choice.contests:
        if {contest.first, contest.second} == {best, other}:
            better, worse = (
                (contest.better, contest.worse) if contest.first == best else (contest.worse, contest.better)
            )
            counts.append(f"{contest.metric} {better} to {worse}, p = {or_one(contest.p_value):.3g}")
    return f"AutoRAG's best {best} against {other}, questions better to worse: {'; '.join(counts)}"


_CONFIRMED, _UNCONFIRMED, _ERROR = 0, 2, 3


def judge_trial(folder: str, *, alpha: float) -> tuple[int, list[str], dict[str, Any]]:
    """
    Judge the choices of a trial; returns the exit code, lines for a terminal, and JSON values.

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
    choices = [report for report in reports if len(report.node.modules) > 1]
    code = _CONFIRMED if all(choice.is_confirmed for choice in choices) else _UNCONFIRMED
    outcomes = {choice.report.choice.outcome for choice in choices if choice.report}
    if not outcomes or "error" in outcomes:
        code = _ERROR
    return code, write_terminal(nodes_document(reports)), nodes_json(reports)

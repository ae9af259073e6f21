"""
What AutoRAG 0.3 wrote of a trial: by node its modules, the one that it took, and the scores by question.

A node's folder has `summary.csv`, a row a module with its means and `is_best`, and a parquet file for each
module with a row a question. The nodes `prompt_maker` and `query_expansion` keep means alone. A line of
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
from pytest_llmops.features.choose.runs import ChoiceError, Entry, Field
from pytest_llmops.gates.paired_runs import Scale
from pytest_llmops.printable import name_some, printable

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
        modules: By the names that `best` and the entries have.
        best: The module that AutoRAG marked.
        field: None where nothing can be compared; `reason` then says why.
    """

    name: str
    modules: tuple[str, ...]
    best: str
    field: Field | None = None
    reason: str = ""


def read_nodes(folder: Path) -> list[Node]:
    """
    The nodes of a trial, of a line of nodes, or the one that is named, sorted by folder.

    Raises:
        ChoiceError: There is none, the trial was broken off, or a file is not what AutoRAG writes.
        MissingExtraError: pyarrow is not installed.
    """
    summaries = {path: _read_summary(path) for path in sorted(folder.rglob("summary.csv"))}
    found = [(path, rows) for path, rows in summaries.items() if "is_best" in rows[0]]
    if unfinished := _find_unfinished(folder, summaries):
        raise ChoiceError(
            f"{unfinished}: AutoRAG did not finish it; run it to its end, or name one of its nodes that is "
            "done"
        )
    if not found:
        raise ChoiceError(
            f"{folder}: no node of AutoRAG is in it; name the folder of a trial, such as project/0, whose "
            "nodes have a summary.csv with is_best"
        )
    return [_read_node(path, rows, folder) for path, rows in found]


def _find_unfinished(folder: Path, summaries: Mapping[Path, Sequence[Mapping[str, str]]]) -> Path | None:
    """A node whose best is not marked, a line or a trial without its summary, or a trial without a node."""
    for path, rows in summaries.items():
        if "is_best" in rows[0]:
            for above in path.parents[1:3]:  # the line of the node, and the trial
                if above.is_relative_to(folder) and above / "summary.csv" not in summaries:
                    return above
        elif "module_name" in rows[0]:
            return path.parent
    return folder if not summaries and folder.joinpath("config.yaml").is_file() else None


def _read_summary(path: Path) -> list[dict[str, str]]:
    """Its rows; one without columns where there is none."""
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
    named = _find_metrics(rows[0], path.parent.name)
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


def _find_metrics(columns: Iterable[str], node: str) -> list[str]:
    """Columns of means; some nodes write their own name before a mean."""
    return [column.removeprefix(f"{node}_") for column in columns if column not in _NO_SCORES]


def _describe_left_out(
    metrics: Sequence[str], names: Sequence[str], tables: Sequence[Mapping[str, Sequence[Any]]]
) -> Iterable[str]:
    """Metrics that cannot decide, since a module has no scores of them by question."""
    for metric in metrics:
        lacking = [name for name, table in zip(names, tables, strict=True) if metric not in table]
        if lacking:
            yield f"{metric} is left out: no scores by question of {name_some(lacking, _NAMED)}"


def _read_table(path: Path) -> dict[str, list[Any]]:
    """The columns of numbers in a parquet file."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingExtraError("llmops choose --autorag", "autorag") from None
    try:
        with parquet.ParquetFile(path) as file:
            numbers = [
                each.name
                for each in file.schema_arrow
                if pa.types.is_floating(each.type)
                or pa.types.is_integer(each.type)
                or pa.types.is_boolean(each.type)
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
    """A question that no module has a score for does not count; one that some lack is an error of these."""
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

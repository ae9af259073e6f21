"""Scores that `llmops score` wrote, joined to their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_llmops.documents.value_readers import is_number
from pytest_llmops.printable import printable
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Failure, Score
from pytest_llmops.runner.rows.reading import Row, RowError
from pytest_llmops.statistics.summaries import NOISE


def read_scores(
    stored: Sequence[Row], rows: Sequence[Row], metric: Metric, shown: str
) -> list[list[Score | Failure]]:
    """
    Of each row what is stored under its id, in that order; several lines of one id are repeats.

    Args:
        rows: No two with one id.
        shown: What messages call the file of the scores.

    Raises:
        RowError: A line is no score that the metric can give, or is of no row.
    """
    problems = []
    found: dict[str, list[Score | Failure]] = {row.id: [] for row in rows}
    for line in stored:
        result = _read(line, metric)
        if isinstance(result, str):
            problems.append(f"{line.place}: {result}")
        elif line.id not in found:
            problems.append(f"{line.place}: no row has the id {printable(line.id, 60)}")
        else:
            found[line.id].append(result)
    if problems:
        raise RowError(problems)
    missing = Failure(metric=metric.name, stage="score", error=f"{shown} holds no score of it")
    return [found[row.id] or [missing] for row in rows]


def reaches(metric: Metric, value: float) -> bool:
    """Whether the metric can give the value, but for what 32-bit arithmetic is rounded by."""
    low, high = metric.range
    return low - NOISE <= value <= high + NOISE


def show_range(metric: Metric) -> str:
    """`from 0 to 1`, `from 0 on`."""
    low, high = metric.range
    return f"from {low:g} to {high:g}" if math.isfinite(high) else f"from {low:g} on"


def _read(line: Row, metric: Metric) -> Score | Failure | str:
    """The result that a line holds, or what is wrong with it."""
    given, name = line.fields, metric.name
    if line.problem:
        return line.problem
    if given.get("metric", name) != name:
        return f"is a score of {printable(given['metric'], 60)}, not of {name}"
    if "error" in given:
        return Failure(metric=name, stage="score", error=str(given["error"]))
    value = given.get("value")
    if not is_number(value):
        return f"value must be a number, not {printable(value, 60)}"
    if not reaches(metric, value):
        return f"value {value:g} is no score of {name}, which goes {show_range(metric)}"
    evidence = given.get("evidence", ())
    return Score(
        metric=name,
        value=float(value),
        reason=str(given.get("reason", "")),
        evidence=tuple(evidence) if isinstance(evidence, list) else (),
        signature=str(given.get("signature", "")),
    )

"""Scores that `llmops score` wrote, beside the rows they are of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pytest_llmops.printable import printable
from pytest_llmops.records import Failure, Score
from pytest_llmops.runner.rows import Row, RowError


def read_scores(
    stored: Sequence[Row], rows: Sequence[Row], metric: str, shown: str
) -> list[list[Score | Failure]]:
    """
    Of each row what is stored under its id, in that order; several lines of one id are repeats.

    Args:
        shown: What messages call the file of the scores.

    Raises:
        RowError: A line is no score of the metric, or is of no row; or two rows share an id.
    """
    problems = []
    found: dict[str, list[Score | Failure]] = {}
    for row in rows:
        if row.id in found:
            problems.append(f"{row.place}: the id {printable(row.id, 60)} is another row's too")
        found[row.id] = []
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
    missing = Failure(metric=metric, stage="score", error=f"{shown} holds no score of it")
    return [found[row.id] or [missing] for row in rows]


def _read(line: Row, metric: str) -> Score | Failure | str:
    """The result that a line holds, or what is wrong with it."""
    given = line.fields
    if line.problem:
        return line.problem
    if given.get("metric", metric) != metric:
        return f"is a score of {printable(given['metric'], 60)}, not of {metric}"
    if "error" in given:
        return Failure(metric=metric, stage="score", error=str(given["error"]))
    value = _finite(given.get("value"))
    if value is None:
        return f"value must be a number, not {printable(given.get('value'), 60)}"
    evidence = given.get("evidence", ())
    return Score(
        metric=metric,
        value=value,
        reason=str(given.get("reason", "")),
        evidence=tuple(evidence) if isinstance(evidence, list) else (),
        signature=str(given.get("signature", "")),
    )


def _finite(value: Any) -> float | None:
    return float(value) if type(value) in {int, float} and math.isfinite(value) else None

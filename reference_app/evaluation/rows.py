"""Whether two answers hold the same rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.tools.sql.execution import Answer, Value

TOLERANCE = 1e-6


def same_rows(expected: Answer, given: Answer, *, ordered: bool) -> bool:
    """
    Whether the rows are equal, each as often; NULL equals NULL alone.

    Args:
        expected: Of the query that a person wrote.
        given: Its columns may stand in another order if both answers name them alike.
        ordered: Whether the order of the rows matters.
    """
    if expected.truncated or given.truncated or len(expected.rows) != len(given.rows):
        return False
    names, others = _names(expected), _names(given)
    rows: list[tuple[Value, ...]] = list(given.rows)
    if names != others and len(set(names)) == len(names) and set(names) == set(others):
        places = [others.index(name) for name in names]
        rows = [tuple(row[place] for place in places) for row in rows]
    if ordered:
        return all(_is_same(left, right) for left, right in zip(expected.rows, rows, strict=True))
    for row in expected.rows:
        match = next((place for place, other in enumerate(rows) if _is_same(row, other)), None)
        if match is None:
            return False
        del rows[match]
    return True


def _names(answer: Answer) -> list[str]:
    return [name.lower() for name in answer.columns]


def _is_same(left: Sequence[Value], right: Sequence[Value]) -> bool:
    return len(left) == len(right) and all(map(_is_equal, left, right))


def _is_equal(left: Value, right: Value) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=1e-12, abs_tol=TOLERANCE)
    return type(left) is type(right) and left == right

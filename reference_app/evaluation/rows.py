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
    Whether each expected row is there, as often, and no other row; NULL equals NULL alone.

    Args:
        expected: Of the query that a person wrote.
        given: Its rows may hold more columns, in any order: an answer may show more than was asked for.
        ordered: Whether the order of the rows matters.
    """
    if expected.truncated or given.truncated or len(expected.rows) != len(given.rows):
        return False
    rows = list(given.rows)
    if ordered:
        return all(_holds(left, right) for left, right in zip(expected.rows, rows, strict=True))
    for row in expected.rows:
        match = next((place for place, other in enumerate(rows) if _holds(row, other)), None)
        if match is None:
            return False
        del rows[match]
    return True


def _holds(expected: Sequence[Value], given: Sequence[Value]) -> bool:
    left = list(given)
    for value in expected:
        match = next((place for place, other in enumerate(left) if _is_equal(value, other)), None)
        if match is None:
            return False
        del left[match]
    return True


def _is_equal(left: Value, right: Value) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=1e-12, abs_tol=TOLERANCE)
    return type(left) is type(right) and left == right

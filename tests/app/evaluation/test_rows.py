from __future__ import annotations

import pytest

from reference_app.evaluation.rows import same_rows
from reference_app.tools.sql.execution import Answer


def answer(*rows, columns=("a", "b"), truncated=False):
    return Answer(columns=columns, rows=rows, truncated=truncated)


@pytest.mark.parametrize(
    ("expected", "given", "ordered", "same"),
    [
        (answer((1, "x"), (2, "y")), answer((2, "y"), (1, "x")), False, True),
        (answer((1, "x"), (2, "y")), answer((2, "y"), (1, "x")), True, False),
        (answer((1, "x"), (1, "x")), answer((1, "x"), (2, "y")), False, False),
        (answer((1, "x"), (1, "x")), answer((1, "x")), False, False),
        (answer((0.1 + 0.2, "x")), answer((0.3, "x")), True, True),
        (answer((1.0, "x")), answer((1.00001, "x")), True, False),
        (answer((1_000_000.0, "x")), answer((1_000_000.01, "x")), True, False),
        (answer((1, "x")), answer((1.0, "x")), True, True),
        (answer((None, "x")), answer((None, "x")), False, True),
        (answer((None, "x")), answer((0, "x")), False, False),
        (answer((None, "x")), answer(("", "x")), False, False),
        (answer((1, "1")), answer((1, 1)), False, False),
        (answer((1, "x")), answer(("x", 1), columns=("b", "A")), False, True),
        (answer((1, "x")), answer(("x", 1), columns=("c", "d")), False, True),
        (answer((1, "x")), answer((2, "x", 1), columns=("c", "d", "e")), False, True),
        (answer((1, 1)), answer((1, "x"), columns=("c", "d")), False, False),
        (answer((1, "x")), answer((1, "x"), columns=("c", "d")), False, True),
        (answer((1, "x")), answer((1,), columns=("a",)), False, False),
        (answer((1, "x")), answer((1, "x"), truncated=True), False, False),
        (answer(), answer(), True, True),
    ],
)
def test_rows_are_compared_by_value(expected, given, ordered, same):
    assert same_rows(expected, given, ordered=ordered) is same

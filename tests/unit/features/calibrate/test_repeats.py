"""How often scores turn when they are asked for again."""

from __future__ import annotations

import pytest

from pytest_llmops.features.calibrate.agreement import measure_turning
from pytest_llmops.records import Bound

AT_4 = Bound(comparison=">=", threshold=4)


@pytest.mark.parametrize(
    ("scores", "rows", "differing", "crossing"),
    [
        ([[4, 4], [5, 4], [3, 4], [2, 2]], 4, 0.5, 0.25),
        ([[4, 4, 4], [4, 4, 3]], 2, 0.5, 0.5),
        ([[4, 4], [5], []], 1, 0.0, 0.0),
        ([[5], []], 0, None, None),
    ],
)
def test_rows_with_two_scores_or_more_are_counted(scores, rows, differing, crossing):
    found = measure_turning(scores, AT_4, repeats=3)

    assert (found.rows, found.differing, found.crossing) == (rows, differing, crossing)
    assert ("no row has two scores" in found.sentence) == (rows == 0)


@pytest.mark.parametrize(("comparison", "crossing"), [(">=", 0), (">", 1), ("<=", 1), ("<", 0)])
def test_the_bound_says_which_side_a_score_is_on(comparison, crossing):
    found = measure_turning([[4, 5]], Bound(comparison=comparison, threshold=4), repeats=2)

    assert found.crossing == crossing

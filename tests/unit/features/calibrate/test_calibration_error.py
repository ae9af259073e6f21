"""Calibration error by hand, and of a curve that has not seen what it is held against."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.features.calibrate.estimates import expected_error, map_logistic, measure_calibration


def test_error_of_two_bins_by_hand():
    """Four rows at 0.9 of which two are good, off by 0.4; one at 0.1 that is bad, off by 0.1."""
    chances, good = np.array([0.9] * 4 + [0.1]), np.array([1, 1, 0, 0, 0.0])

    assert expected_error(chances, good) == pytest.approx((4 * 0.4 + 0.1) / 5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_error_is_a_share(rows):
    chances, good = (np.array(column, float) for column in zip(*rows, strict=True))

    assert 0 <= expected_error(chances, good) <= 1


def test_a_score_from_0_to_1_is_taken_at_its_word():
    scores, good = np.array([0.8, 0.8, 0.8, 0.8, 0.8]), np.array([1, 1, 1, 1, 0.0])

    found = measure_calibration(scores, good, range(5), is_chance=True)

    assert (found.mapping, found.value) == ("none", pytest.approx(0))


def test_other_scores_go_through_a_curve_that_recovers_the_chance():
    rng = np.random.default_rng(1)
    scores = rng.uniform(1, 5, 3_000)
    chance = 1 / (1 + np.exp(-3 * (scores - 3)))
    good = (rng.random(3_000) < chance).astype(float)

    found = measure_calibration(scores, good, range(3_000), is_chance=False)

    assert found.mapping == "logistic"
    assert found.value < 0.03
    assert np.abs(map_logistic(scores, good, range(3_000)) - chance).max() < 0.05


def test_labels_without_any_relation_are_not_fitted():
    """The curve of other rows says about a half of each; one fitted on the same rows would follow them."""
    rng = np.random.default_rng(2)
    scores, good = rng.normal(size=400), rng.integers(0, 2, 400).astype(float)

    assert np.abs(map_logistic(scores, good, range(400)) - 0.5).max() < 0.25


@pytest.mark.parametrize(
    ("scores", "good", "groups"),
    [
        pytest.param([1, 2, 3, 4], [1, 0, 1, 0], [1, 1, 1, 1], id="one group"),
        pytest.param([2, 2, 2, 2], [1, 0, 1, 0], [1, 2, 3, 4], id="no spread"),
        pytest.param([1, 2, 3, 4], [1, 0, 0, 0], [1, 2, 3, 4], id="one good row, which its fold lacks"),
    ],
)
def test_no_curve_where_nothing_is_left_to_fit(scores, good, groups):
    assert map_logistic(np.array(scores, float), np.array(good, float), groups) is None

"""Thresholds by error against a count by hand, and intervals against fresh draws of rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.features.calibrate import thresholds as errors_by_threshold
from pytest_llmops.features.calibrate.thresholds import RATES, find_errors

ROWS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({kind for _, kind in rows}) == 2
)


def columns(rows):
    scores, good = (np.array(column, float) for column in zip(*rows, strict=True))
    return scores, good


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(errors_by_threshold, "_RESAMPLES", 20)


@pytest.mark.usefixtures("few")
@given(ROWS)
def test_each_threshold_is_what_a_count_of_rows_gives(rows):
    scores, good = columns(rows)
    bad, fine = scores[good == 0], scores[good == 1]

    found = find_errors(scores, good, range(len(rows)))

    cuts = [*sorted(set(scores)), math.inf]
    assert [(each.kind, each.at_most) for each in found] == [
        (kind, rate) for kind in ("bad passed", "good refused") for rate in RATES
    ]
    for each in found:
        passed = [float((bad >= cut).mean()) for cut in cuts]
        refused = [float((fine < cut).mean()) for cut in cuts]
        own, other = (passed, refused) if each.kind == "bad passed" else (refused, passed)
        keeping = [at for at in range(len(cuts)) if own[at] <= each.at_most + 1e-12]
        at = keeping[0] if each.kind == "bad passed" else keeping[-1]
        assert each.threshold == (None if at == len(cuts) - 1 else cuts[at])
        assert each.other.value == pytest.approx(other[at])


def test_where_lower_is_better_thresholds_are_turned_back():
    random = np.random.default_rng(2)
    good = random.integers(0, 2, 80).astype(float)
    scores = good + random.normal(0, 1, 80)

    up, down = find_errors(scores, good, range(80)), find_errors(scores, good, range(80), sign=-1.0)

    assert [each.threshold for each in down] == [each.threshold and -each.threshold for each in up]
    assert [each.low for each in down] == [each.low and -each.low for each in up]


def test_rows_of_one_kind_have_no_errors():
    assert find_errors(np.arange(4.0), np.ones(4), range(4)) == ()
    assert find_errors(np.arange(4.0), np.zeros(4), range(4)) == ()


def test_an_error_that_no_threshold_keeps_has_none():
    """The best score is a bad row's, so that any threshold lets it pass."""
    scores, good = np.array([0.1, 0.2, 0.3, 0.9]), np.array([1.0, 1.0, 0.0, 0.0])

    first = find_errors(scores, good, range(4))[0]

    assert (first.threshold, first.high) == (None, None)
    assert first.other.value == 1.0


def test_the_interval_holds_the_threshold_of_all_rows_in_95_of_100_draws(monkeypatch):
    monkeypatch.setattr(errors_by_threshold, "RATES", (0.1,))
    monkeypatch.setattr(errors_by_threshold, "_RESAMPLES", 399)
    random = np.random.default_rng(5)
    # Of good rows 10 % lie below their tenth percentile, of bad ones above their ninetieth.
    truth = {"bad passed": 1.2816, "good refused": 1.5 - 1.2816}
    held = dict.fromkeys(truth, 0)
    for _ in range(100):
        good = np.repeat([0.0, 1.0], 100)
        scores = random.normal(1.5 * good, 1)
        for error in find_errors(scores, good, range(200)):
            held[error.kind] += error.low <= truth[error.kind] <= error.high

    assert all(0.88 <= count / 100 <= 0.99 for count in held.values()), held


def test_rows_of_one_group_are_drawn_together():
    random = np.random.default_rng(3)
    good = np.repeat([0.0, 1.0], 60)
    scores = random.normal(good, 1)
    scores, good, groups = np.repeat(scores, 5), np.repeat(good, 5), np.repeat(np.arange(120), 5)

    alone, together = find_errors(scores, good, range(600)), find_errors(scores, good, groups)

    def width(rows):
        return sum(row.other.high - row.other.low for row in rows)

    assert width(together) > 1.8 * width(alone)

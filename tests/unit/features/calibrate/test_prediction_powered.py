"""The rate from few labels and many judgements: against ppi-python, against theory, and by coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pytest_llmops.features.calibrate.estimates import choose_weight, estimate_rate

GOOD = np.repeat([1.0, 0.0], [30, 20])
JUDGED = np.repeat([1.0, 0.0, 1.0, 0.0], [27, 3, 5, 15])
OTHERS = np.repeat([1.0, 0.0], [110, 90])


def test_agrees_with_ppi_python():
    """Version 0.2.3 on the same numbers; it divides by n where this divides by n - 1."""
    found = estimate_rate(GOOD, JUDGED, OTHERS)

    assert (found.value, found.low, found.high) == pytest.approx((0.55441, 0.44460, 0.66422), abs=2e-3)


def test_without_others_it_is_the_mean_of_the_labels():
    found = estimate_rate(GOOD, JUDGED, np.empty(0))

    reach = norm.ppf(0.975) * GOOD.std(ddof=1) / np.sqrt(50)
    assert (found.value, found.high - found.value) == pytest.approx((0.6, reach))


def test_a_judge_that_knows_nothing_counts_nothing():
    same = np.ones(50)

    assert choose_weight(GOOD, same, np.ones(200)) == 0
    assert estimate_rate(GOOD, same, np.ones(200)) == estimate_rate(GOOD, JUDGED, np.empty(0))
    assert choose_weight(GOOD, 1 - GOOD, OTHERS) == 0


def test_a_perfect_judge_of_many_counts_nearly_whole():
    assert choose_weight(GOOD, GOOD, np.tile(OTHERS, 50)) == pytest.approx(1, abs=0.03)


def test_copies_of_a_group_do_not_narrow_the_interval():
    groups = np.repeat(range(50), 4)

    once = estimate_rate(GOOD, JUDGED, np.empty(0))
    copied = estimate_rate(np.repeat(GOOD, 4), np.repeat(JUDGED, 4), np.empty(0), groups=groups.tolist())

    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


def test_groups_that_are_alike_by_choice_do_not_make_the_rate_certain():
    good = np.tile([1.0, 0.0], 25)

    found = estimate_rate(good, good, np.empty(0), groups=np.repeat(range(25), 2).tolist())

    assert found.low == estimate_rate(good, good, np.empty(0)).low


def test_interval_covers_and_is_shorter_than_of_labels_alone():
    """400 draws of 60 labels and 600 judgements by a judge that errs in 1 of 10 and is lenient in 1 of 5."""
    rng = np.random.default_rng(6)
    covered, ratio = 0, []
    for _ in range(400):
        truth = (rng.random(660) < 0.6).astype(float)
        judged = np.where(rng.random(660) < 0.1, 0, truth)
        judged = np.where((rng.random(660) < 0.2) & (truth == 0), 1, judged)
        found = estimate_rate(truth[:60], judged[:60], judged[60:])
        alone = estimate_rate(truth[:60], judged[:60], np.empty(0))
        covered += found.low <= 0.6 <= found.high
        ratio.append((found.high - found.low) / (alone.high - alone.low))
    assert 0.92 <= covered / 400 <= 0.98
    assert np.mean(ratio) < 0.8

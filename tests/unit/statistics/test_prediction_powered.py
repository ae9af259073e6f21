"""The rate from few labels and many judgements: against ppi-python, against theory, and by coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pytest_llmops.statistics.prediction_powered import choose_weight, correct_mean, estimate_rate

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


LABELS = np.array([5, 4, 4, 2, 5, 3, 1, 5, 4, 2, 3, 5, 4, 4, 1, 5, 2, 3, 4, 5.0])
SCORES = np.array([5, 5, 4, 3, 5, 4, 2, 5, 5, 3, 4, 5, 4, 5, 3, 5, 2, 4, 5, 5.0])
SUITE = np.array([5, 4, 3, 5, 5, 4, 2, 5, 5, 3, 4, 5, 4, 4, 3, 5, 5, 5, 4, 2, 4, 5, 3, 4, 5, 5, 4, 4, 5, 3.0])


def test_a_mean_is_that_of_evalstats_and_its_interval_a_little_wider():
    """evalstats 0.3.3, `ppi.correct(np.mean, …, power_tune=False)`: 3.5333 (3.0788 to 3.9879)."""
    mean = correct_mean(LABELS, SCORES, SUITE, reach=(1.0, 5.0))

    assert mean.value == pytest.approx(3.53333, abs=1e-4)
    assert 3.0 <= mean.low <= 3.0788
    assert 3.9879 <= mean.high <= 4.06


def test_a_mean_stays_on_its_scale_and_of_one_case_nothing_is_known():
    best = correct_mean(np.array([5, 5, 5.0]), np.array([4, 4, 4.0]), np.array([5, 5, 5.0]), reach=(1.0, 5.0))
    alone = correct_mean(LABELS, SCORES, SUITE[:1], reach=(1.0, 5.0))

    assert best.value == best.high == 5.0
    assert best.low < 5.0  # a judge that errs alike three times may err otherwise
    assert (alone.low, alone.high) == (1.0, 5.0)


@pytest.mark.parametrize("labelled", [10, 30, 100])
@pytest.mark.parametrize(
    ("people", "drift", "noise"),
    [
        ((0.05, 0.1, 0.2, 0.35, 0.3), 0.5, 0.6),
        ((0.02, 0.03, 0.05, 0.2, 0.7), -0.7, 0.5),
        ((0.0, 0.0, 0.0, 0.1, 0.9), 0.0, 0.3),
    ],
    ids=["lenient", "strict", "nearly always right"],
)  # fmt: skip
def test_the_interval_of_a_mean_covers_the_truth(labelled, people, drift, noise):
    """800 draws of labels and of a suite of 60 cases, judged on a scale of 1 to 5."""
    rng = np.random.default_rng(24)

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.choice(5, rows, p=people) + 1.0
        return labels, np.clip(np.round(labels + drift + rng.normal(0, noise, rows)), 1, 5)

    truth = float(np.dot(np.arange(1, 6), people))
    covered = 0
    for _ in range(800):
        mean = correct_mean(*draw(labelled), draw(60)[1], reach=(1.0, 5.0))
        covered += mean.low <= truth <= mean.high

    assert covered / 800 >= 0.94

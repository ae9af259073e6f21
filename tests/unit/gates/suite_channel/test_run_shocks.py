from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from pytest_llmops.gates.paired_runs import Scale
from pytest_llmops.gates.suite_channel.paired_scores import (
    FEWEST_RUNS,
    SHIFT,
    SHIFT_RUNS,
    RunMeans,
    widen_p_value,
)

UNBOUNDED = Scale(higher_is_better=True, bounded=False)

Cases = list[tuple[tuple[int, ...], list[float]]]


def drawn(shock: float, *, runs: int = 5, cases: int = 60, repeats: int = 4, seed: int = 0) -> Cases:
    """Cases of runs whose means are all moved by a shock of that standard deviation."""
    generator = np.random.default_rng(seed)
    shocks = generator.normal(0, shock, runs) if shock else np.zeros(runs)
    return [
        (
            (repeats,) * runs,
            np.concatenate([rate + each + generator.normal(0, 0.3, repeats) for each in shocks]).tolist(),
        )
        for rate in generator.uniform(0.3, 0.9, cases)
    ]


def test_variance_between_runs_is_found_without_that_of_their_repeats():
    found = [RunMeans.of(drawn(0.2, seed=seed), UNBOUNDED) for seed in range(60)]

    assert {each.runs for each in found if each} == {5}
    assert np.mean([each.between for each in found if each]) == pytest.approx(0.04, rel=0.3)
    still = [RunMeans.of(drawn(0.0, seed=seed), UNBOUNDED) for seed in range(20)]
    assert max(each.between for each in still if each) < 0.002


def test_variance_is_that_of_run_means_less_what_repeats_explain():
    """Two cases, three runs of two repeats: means .5, .75 and 1; within .125 a repeat on average."""
    cases = [((2, 2, 2), [0.0, 1.0, 0.5, 1.0, 1.0, 1.0]), ((2, 2, 2), [0.5, 0.5, 0.5, 1.0, 1.0, 1.0])]
    within = [(0.5 + 0.125 + 0) / 3, (0 + 0.125 + 0) / 3]
    explained = sum(each / 2 / 4 for each in within)

    assert RunMeans.of(cases, UNBOUNDED) == RunMeans(
        runs=3, between=pytest.approx(np.var([0.5, 0.75, 1], ddof=1) - explained), freedom=2
    )


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param([((4,), [1.0] * 4)], id="one run"),
        pytest.param([((2, 2), [1.0] * 4)], id="two runs"),
        pytest.param([((), [1.0] * 4)], id="unknown"),
        pytest.param([((1, 1, 1), [1.0] * 3), ((1, 1), [1.0] * 2)], id="not the same runs"),
    ],
)
def test_fewer_than_three_shared_runs_say_nothing(cases):
    assert RunMeans.of(cases, UNBOUNDED) is None
    assert FEWEST_RUNS == 3


def test_variance_is_never_below_nought():
    assert RunMeans.of([((1, 1, 1), [0.5] * 3)], UNBOUNDED) == RunMeans(runs=3, between=0.0, freedom=2)
    wide = [((2, 2, 2), [0.0, 1.0] * 3)]
    assert RunMeans.of(wide, UNBOUNDED) == RunMeans(runs=3, between=0.0, freedom=2)


chances = st.floats(1e-9, 1)
differences = st.lists(st.floats(-1, 1), min_size=1, max_size=12)


@given(chances, differences)
def test_without_variance_between_runs_a_p_value_stays(p_value, moved):
    assert widen_p_value(p_value, moved, RunMeans(runs=3, between=0.0, freedom=2)) == p_value


@given(chances, differences, st.floats(0, 0.1), st.floats(0, 0.1))
def test_more_variance_between_runs_never_makes_more_evidence(p_value, moved, one, other):
    low, high = sorted((one, other))

    widened = [
        widen_p_value(p_value, moved, RunMeans(runs=4, between=between, freedom=3)) for between in (low, high)
    ]

    assert p_value <= widened[0] <= widened[1] * (1 + 1e-12)
    assert widened[1] <= max(0.5, p_value)


def test_widened_is_the_tail_of_student_with_the_shocks_in_the_error():
    moved = [-0.2] * 16
    error, shared = 0.2 / 2.5, 0.01 * (1 + 1 / 4)
    p_value = float(norm.cdf(-2.5))

    widened = widen_p_value(p_value, moved, RunMeans(runs=4, between=0.01, freedom=3))

    freedom = 3 * ((error**2 + shared) / shared) ** 2
    assert widened == pytest.approx(student.cdf(-0.2 / np.sqrt(error**2 + shared), freedom))


def test_runs_with_shocks_of_their_own_are_seldom_called():
    """A run of a day of its own, beside a baseline of four days; nothing but the days differs."""
    red = plain = 0
    for seed in range(300):
        generator = np.random.default_rng([7, seed])
        days = generator.normal(0, 0.1, 5)
        base = [np.concatenate([day + generator.normal(0, 0.3, 3) for day in days[:4]]) for _ in range(30)]
        now = [days[4] + generator.normal(0, 0.3, 3) for _ in range(30)]
        moved = [float(new.mean() - old.mean()) for old, new in zip(base, now, strict=True)]
        p_value = float(norm.cdf(np.mean(moved) / (np.std(moved, ddof=1) / np.sqrt(30))))
        shocks = RunMeans.of([((3,) * 4, old.tolist()) for old in base], UNBOUNDED)
        assert shocks is not None
        plain += p_value <= 0.05
        red += widen_p_value(p_value, moved, shocks) <= 0.05

    assert plain > 60  # a day is taken for a drop in more than a fifth of runs
    assert red < plain / 2


def test_shock_that_all_cases_share_is_not_taken_for_their_spread():
    """A drop of three hundredths that a shock of the size explains, of cases that agree to a hundredth."""
    generator = np.random.default_rng(0)
    shocks = RunMeans(runs=3, between=0.03**2, freedom=10_000)
    found = []
    for _ in range(2_000):
        shared = generator.normal(0, 0.03 * (1 + 1 / 3) ** 0.5)
        moved = shared + generator.normal(0, 0.01 * 30**0.5, 30)
        found.append(widen_p_value(float(norm.cdf(moved.mean() / 0.01)), moved.tolist(), shocks))

    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * (0.05 / 2_000) ** 0.5


@pytest.mark.parametrize("runs", [(4, 4, 4), (1, 0, 1)])
def test_runs_whose_repeats_are_not_all_there_say_nothing(runs):
    """As of half of a baseline, by which `selfcheck` tries the gate."""
    assert RunMeans.of([(runs, [1.0, 0.0])], UNBOUNDED) is None


def test_three_days_that_agree_do_not_show_that_days_do():
    """Three means that happen to be one leave a tenth of a point for tomorrow, and count as few."""
    agree = RunMeans.of(
        [((1, 1, 1), [0.5] * 3)], Scale(higher_is_better=True, bounded=True, range=(0.0, 1.0))
    )

    assert agree is not None
    assert agree.between == pytest.approx(SHIFT**2 * SHIFT_RUNS / 4)
    assert agree.freedom == 4
    low, high = agree.widen(0.0, -0.01, 0.01, 0.95)
    assert high == -low > 0.05

from __future__ import annotations

import math
from statistics import NormalDist, mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmops.statistics.paired import FEWEST, mean_p_value, sign_flip_p_value

Draw = np.ndarray

MONTE_CARLO = 20_000


def scipys_p_value(differences: Draw, resamples: float = math.inf) -> float:
    """Of sums of whole numbers, which no rounding can tell apart where they are equal."""
    return float(
        stats.permutation_test(
            (differences,),
            lambda sample, axis: sample.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            alternative="less",
            n_resamples=resamples,
            batch=2_000,
            rng=np.random.default_rng(1),
        ).pvalue
    )


def drawn_steps(generator: np.random.Generator, cases: int, steps: int) -> Draw:
    """Differences of two scores on a lattice, counted in its steps; some are zero and many are ties."""
    return (generator.integers(0, steps + 1, cases) - generator.integers(0, steps + 1, cases)).astype(float)


@pytest.mark.parametrize("cases", [2, 3, 5, 8, 12])
@pytest.mark.parametrize(
    ("steps", "step"),
    [
        pytest.param(1, 1.0, id="passed or missed"),
        pytest.param(3, 1 / 3, id="three repeats"),
        pytest.param(10, 0.1, id="ten repeats"),
        pytest.param(80, 1 / 80, id="ten against eight repeats"),
        pytest.param(300, 1 / 9_999, id="fine"),
        pytest.param(10, 1e-7, id="dollars"),
        pytest.param(10, 1e-200, id="tiny"),
        pytest.param(10, 1e98, id="huge"),
        pytest.param(7, 1e3, id="tokens"),
    ],
)
def test_lattice_has_scipys_exact_p_value_in_any_unit(cases, steps, step):
    for seed in range(10 if cases < 12 else 3):
        counted = drawn_steps(np.random.default_rng([cases, steps, seed]), cases, steps)

        assert sign_flip_p_value(counted * step) == pytest.approx(scipys_p_value(counted), abs=1e-12)


def test_means_of_repeats_are_a_lattice_however_they_were_rounded():
    """Ten repeats before and eight now: every difference is a multiple of 1/40, and none of them exactly."""
    generator = np.random.default_rng(3)
    for _ in range(30):
        before, after = (generator.integers(0, 2, (10, repeats)) for repeats in (10, 8))
        means = np.array([mean(map(float, row)) for row in after])
        means -= np.array([mean(map(float, row)) for row in before])

        assert sign_flip_p_value(means) == pytest.approx(scipys_p_value(np.rint(means * 40)), abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e100])
@pytest.mark.parametrize("cases", [2, 3, 5, 8, 12])
def test_continuous_differences_have_scipys_exact_p_value(cases, scale):
    """Rounded to 1/32,768 of their sum: a few of the 4,096 sums may change places with the observed one."""
    few = 3 / 2**12 if cases > 10 else 0.0
    for seed in range(10 if cases < 12 else 3):
        differences = np.random.default_rng([cases, seed]).normal(-0.05, 0.1, cases)

        p_value = sign_flip_p_value(differences * scale)

        assert p_value == pytest.approx(scipys_p_value(differences), abs=few + 1e-12)


@pytest.mark.parametrize("kind", ["continuous", "lattice"])
@pytest.mark.parametrize("seed", range(3))
def test_200_cases_are_near_scipys_draw_and_the_normal_curve(kind, seed):
    generator = np.random.default_rng([7, seed])
    counted = generator.normal(-1, 10, 200) if kind == "continuous" else drawn_steps(generator, 200, 10)

    p_value = sign_flip_p_value(counted / 10)

    scatter = 4 * math.sqrt(p_value * (1 - p_value) / MONTE_CARLO)
    assert p_value == pytest.approx(scipys_p_value(counted, MONTE_CARLO), abs=scatter)
    half_a_step = 0.0 if kind == "continuous" else 0.5
    curve = NormalDist().cdf((counted.sum() + half_a_step) / math.sqrt((counted**2).sum()))
    assert p_value == pytest.approx(curve, abs=0.005)


def test_ties_are_ties_however_sums_are_rounded():
    """0.1 + 0.2 - 0.3 is no zero in floats; of the 8 signed sums, 5 are at most the one observed."""
    assert sign_flip_p_value(np.array([0.1, 0.2, -0.3])) == 5 / 8


@pytest.mark.parametrize("cases", [1, 3, 12, 200, 1_000])
def test_constant_drop_has_the_least_p_value_there_is(cases):
    assert sign_flip_p_value(np.full(cases, -0.2)) == 2.0**-cases
    assert sign_flip_p_value(np.full(cases, 0.2)) == 1.0


def test_p_value_is_above_zero_even_where_a_float_ends():
    assert 0 < sign_flip_p_value(np.full(2_000, -0.2)) < 1e-300


@pytest.mark.parametrize("differences", [[], [0.0], [0.0, -0.0, 0.0]])
def test_nothing_that_differs_has_p_one(differences):
    assert sign_flip_p_value(np.array(differences)) == 1.0


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        pytest.param([-5e-324, 5e-324, -1e-323], 3 / 8, id="the smallest floats there are"),
        pytest.param([-2e100, 1e100, -1e-300], 1 / 2, id="one that rounding would lose says nothing"),
        pytest.param([-1.0, -1e-10], 1 / 2, id="so says one beyond a billionth of the largest"),
    ],
)
def test_extremes_are_counted_and_warn_of_nothing(differences, p_value):
    assert sign_flip_p_value(np.array(differences)) == p_value


values = st.one_of(
    st.floats(-1, 1), st.integers(-8, 8).map(lambda step: step / 8), st.floats(-1e100, 1e100), st.just(0.0)
)


@given(st.lists(values, max_size=40), st.randoms(use_true_random=False))
def test_p_is_in_0_1_and_order_and_equal_pairs_say_nothing(drawn, random):
    p_value = sign_flip_p_value(np.array(drawn))
    shuffled = [*drawn, 0.0, 0.0]
    random.shuffle(shuffled)

    assert 0 < p_value <= 1
    assert sign_flip_p_value(np.array(shuffled)) == p_value


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=25))
def test_both_directions_share_what_is_tied_with_the_observed_sum(counted):
    """P(sum <= observed) + P(sum >= observed) is one and what equals it, so it is at least one."""
    differences = np.array(counted) / 10

    less, greater = sign_flip_p_value(differences), sign_flip_p_value(-differences)

    assert less + greater > 1 - 1e-12
    assert (less <= greater) == (sum(counted) <= 0)


@pytest.mark.parametrize("units", range(2, 14))
def test_few_differences_are_held_against_students_t_and_more_against_sign_patterns(units):
    for seed in range(5):
        differences = np.random.default_rng([units, seed]).normal(-0.1, 0.2, units)
        student = stats.ttest_1samp(differences, 0.0, alternative="less").pvalue

        p_value = mean_p_value(differences)

        assert p_value == pytest.approx(student if units < FEWEST else sign_flip_p_value(differences))
    assert FEWEST == 10


@pytest.mark.parametrize("units", [2, 5, 9])
def test_alike_differences_leave_their_sign_alone(units):
    assert mean_p_value(np.full(units, -0.1)) < 1e-300
    assert mean_p_value(np.full(units, 0.1)) == 1.0
    assert mean_p_value(np.zeros(units)) == 1.0
    many = np.full(FEWEST, -0.1)
    assert mean_p_value(many) == sign_flip_p_value(many) == 2.0**-FEWEST


@pytest.mark.parametrize("difference", [-1.0, 1.0])
def test_one_difference_is_a_coin_toss_at_best(difference):
    assert mean_p_value(np.array([difference])) == (0.5 if difference < 0 else 1.0)


@given(st.lists(st.integers(-8, 8), min_size=2, max_size=12))
def test_order_unit_and_direction_of_a_mean(counted):
    differences = np.array(counted, float)

    p_value = mean_p_value(differences)

    assert 0 < p_value <= 1
    assert mean_p_value(differences[::-1] * 1e-7) == pytest.approx(p_value)
    if len(counted) < FEWEST and len(set(counted)) > 1:
        assert p_value + mean_p_value(-differences) == pytest.approx(1)


def test_few_cases_can_be_called_and_seldom_are_where_nothing_changed():
    """Four questions have sixteen sign patterns, of which none is below 5 %."""
    assert mean_p_value(np.array([-0.4, -0.35, -0.42, -0.38])) < 0.001
    drawn = np.random.default_rng(3).normal(0, 1, (2_000, 5))
    assert np.mean([mean_p_value(each) <= 0.05 for each in drawn]) == pytest.approx(0.05, abs=0.015)


def test_so_many_small_differences_are_not_rounded_to_none():
    assert sign_flip_p_value(np.array([-1.0] * 140_000)) < 1e-300
    assert sign_flip_p_value(np.array([-0.5] * 139_990 + [1.0] * 10)) < 1e-300

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_llmops.gates.resampling import (
    RESAMPLES,
    adjust_holm,
    paired_interval,
    paired_p_value,
    repeats_p_values,
    smallest_p_value,
)

scores = st.floats(0, 1)
pairs = st.lists(st.tuples(scores, scores), min_size=1, max_size=10)
STATISTICS = ["mean", "sum", "min", "max", "p50", "p95"]


def drawn(cases: int, seed: int, shift: float = 0.0) -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(seed)
    base = generator.normal(0.7, 0.2, cases)
    return base.tolist(), (base + generator.normal(-shift, 0.1, cases)).tolist()


def scipys_p_value(base: list[float], new: list[float], worse: str) -> float:
    return float(
        stats.permutation_test(
            (np.array(new) - np.array(base),),
            lambda sample, axis: sample.mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
            alternative=worse,
            n_resamples=RESAMPLES,
            random_state=np.random.default_rng(1),
        ).pvalue
    )


@pytest.mark.parametrize("worse", ["less", "greater"])
@pytest.mark.parametrize("cases", [2, 5, 12])
@pytest.mark.parametrize("seed", range(5))
def test_few_pairs_have_scipys_exact_p_value(cases, seed, worse):
    base, new = drawn(cases, seed, shift=0.05)

    assert paired_p_value("mean", base, new, worse=worse, seed=0) == pytest.approx(
        scipys_p_value(base, new, worse), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_many_pairs_have_scipys_p_value_but_for_the_draw(seed):
    base, new = drawn(60, seed, shift=0.02)
    expected = scipys_p_value(base, new, "less")
    scatter = 4 * math.sqrt(2 * expected * (1 - expected) / RESAMPLES)

    assert paired_p_value("mean", base, new, worse="less", seed=0) == pytest.approx(
        expected, abs=scatter + 2e-3
    )


def test_ties_are_ties_however_sums_are_rounded():
    """0.1 + 0.2 - 0.3 is no zero in floats; of the 8 signed sums, 5 are at most the one observed."""
    differences = [0.1, 0.2, -0.3]

    assert paired_p_value("mean", [0.0] * 3, differences, worse="less", seed=0) == 5 / 8


@pytest.mark.parametrize("cases", [1, 3, 5, 12])
def test_constant_drop_has_the_least_p_value_there_is(cases):
    base, new = [0.9] * cases, [0.7] * cases

    assert paired_p_value("mean", base, new, worse="less", seed=0) == 2.0**-cases
    assert paired_p_value("mean", base, new, worse="greater", seed=0) == 1.0


@pytest.mark.parametrize("statistic", STATISTICS)
def test_equal_runs_have_p_one_and_an_interval_of_zero(statistic):
    spread = paired_interval(statistic, [0.5, 0.7, 1.0], [0.5, 0.7, 1.0], level=0.95, seed=0)

    assert (spread.low, spread.high, spread.error) == (0.0, 0.0, 0.0)
    assert paired_p_value(statistic, [0.5, 0.7, 1.0], [0.5, 0.7, 1.0], worse="less", seed=0) == 1.0


@pytest.mark.parametrize("statistic", STATISTICS)
def test_one_pair_is_a_coin_toss_at_best(statistic):
    assert paired_p_value(statistic, [0.9], [0.1], worse="less", seed=0) == 0.5
    assert paired_p_value(statistic, [0.9], [0.1], worse="greater", seed=0) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_interval_of_a_mean_is_scipys(seed):
    base, new = drawn(40, seed, shift=0.05)
    expected = stats.bootstrap(
        (np.array(new) - np.array(base),),
        np.mean,
        method="BCa",
        confidence_level=0.9,
        n_resamples=20_000,
        random_state=np.random.default_rng(9),
    ).confidence_interval

    spread = paired_interval("mean", base, new, level=0.9, seed=0)
    total = paired_interval("sum", base, new, level=0.9, seed=0)

    assert (spread.low, spread.high) == pytest.approx((expected.low, expected.high), abs=3e-3)
    assert (total.low, total.high) == pytest.approx((spread.low * 40, spread.high * 40))


def test_interval_narrows_with_the_level():
    base, new = drawn(40, 1)
    wide = paired_interval("mean", base, new, level=0.99, seed=0)
    narrow = paired_interval("mean", base, new, level=0.5, seed=0)

    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("base", "new"),
    [([0.5], [0.2]), ([0.9, 0.8, 0.7], [0.7, 0.6, 0.5])],
    ids=["one pair", "constant drop"],
)
def test_no_spread_gives_the_point(base, new):
    spread = paired_interval("mean", base, new, level=0.95, seed=0)

    assert spread.low == spread.high == pytest.approx(np.mean(new) - np.mean(base))
    assert spread.error == 0.0


def test_one_outlier_among_equal_pairs_has_an_interval():
    spread = paired_interval("mean", [1.0] * 30, [1.0] * 29 + [0.0], level=0.95, seed=0)

    assert -0.2 < spread.low < -1 / 30 < 0.0 == spread.high + 0.0


def test_correction_that_is_not_defined_falls_back_to_percentiles():
    """The cubes of such small differences are zero, and BCa divides by them."""
    spread = paired_interval("mean", [0.0] * 30, [0.0] * 29 + [-1e-200], level=0.95, seed=0)

    assert -1e-200 < spread.low < 0.0 == spread.high


@pytest.mark.parametrize("worse", ["less", "greater"])
@pytest.mark.parametrize(("before", "after"), [(4, 4), (8, 2), (2, 5)])
def test_repeats_have_scipys_exact_p_value(before, after, worse):
    generator = np.random.default_rng(3)
    base = generator.integers(0, 3, (6, before)) / 2
    new = generator.integers(0, 3, (6, after)) / 2
    expected = stats.permutation_test(
        (new, base),
        lambda one, two, axis: one.mean(axis=axis) - two.mean(axis=axis),
        permutation_type="independent",
        vectorized=True,
        alternative=worse,
        axis=1,
        n_resamples=np.inf,
    ).pvalue

    assert repeats_p_values(base, new, worse=worse) == pytest.approx(expected.tolist(), abs=1e-12)


def test_too_many_splits_are_drawn_and_never_give_zero():
    base, new = np.ones((1, 12)), np.zeros((1, 12))

    (p_value,) = repeats_p_values(base, new, worse="less")

    assert p_value == 1 / 20_000
    assert smallest_p_value(12, 12) < p_value


def test_repeats_collapse_is_the_least_p_value():
    assert (
        repeats_p_values(np.ones((1, 4)), np.zeros((1, 4)), worse="less")
        == [smallest_p_value(4, 4)]
        == [1 / 70]
    )


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
    ],
)
def test_holm(p_values, adjusted):
    """The third row is the example of R's `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`."""
    assert adjust_holm(p_values) == pytest.approx(adjusted)


@given(st.lists(st.floats(1e-9, 1), max_size=12))
def test_holm_keeps_order_and_never_strengthens(p_values):
    adjusted = adjust_holm(p_values)

    assert all(raw <= each <= 1 for raw, each in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda each: p_values[each])
    assert [adjusted[each] for each in order] == sorted(adjusted)


@settings(max_examples=40, deadline=None)
@given(pairs, st.sampled_from(STATISTICS), st.sampled_from(["less", "greater"]))
def test_no_nan_and_p_above_zero(values, statistic, worse):
    base, new = [list(side) for side in zip(*values, strict=True)]

    spread = paired_interval(statistic, base, new, level=0.95, seed=0)

    assert 0 < paired_p_value(statistic, base, new, worse=worse, seed=0) <= 1
    assert spread.low <= spread.high
    assert all(map(math.isfinite, (spread.low, spread.high, spread.error)))


@settings(deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_order_of_pairs_is_irrelevant(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)

    p_values = [
        paired_p_value("mean", *map(list, zip(*each, strict=True)), worse="less", seed=0)
        for each in (values, shuffled)
    ]

    assert p_values[0] == p_values[1]


@settings(deadline=None)
@given(st.one_of(pairs, st.lists(st.tuples(scores, scores), min_size=14, max_size=30)))
def test_flipping_the_direction_flips_the_test(values):
    base, new = [list(side) for side in zip(*values, strict=True)]

    forth = paired_p_value("mean", base, new, worse="less", seed=0)
    back = paired_p_value("mean", [-each for each in base], [-each for each in new], worse="greater", seed=0)

    assert forth == back


@settings(deadline=None)
@given(pairs, st.lists(scores, max_size=8))
def test_equal_pairs_never_strengthen(values, equal):
    base, new = [list(side) for side in zip(*values, strict=True)]

    alone = paired_p_value("mean", base, new, worse="less", seed=0)

    assert paired_p_value("mean", base + equal, new + equal, worse="less", seed=0) == alone


def test_seed_fixes_every_resample():
    base, new = drawn(60, 1, shift=0.01)

    def measured(seed: int) -> tuple[object, ...]:
        return (
            paired_p_value("mean", base, new, worse="less", seed=seed),
            paired_p_value("p95", base, new, worse="less", seed=seed),
            paired_interval("mean", base, new, level=0.95, seed=seed),
            paired_interval("p95", base, new, level=0.95, seed=seed),
        )

    assert measured(1) == measured(1)
    assert all(one != two for one, two in zip(measured(1), measured(2), strict=True))

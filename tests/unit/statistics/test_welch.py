from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from pytest_llmops.statistics.p_values import drop_p_value

scores = st.integers(0, 20).map(lambda step: step / 20)
sides = st.lists(scores, min_size=1, max_size=8)


@pytest.mark.parametrize("size", [0.0, 0.1, 0.3])
@pytest.mark.parametrize(("before", "now"), [(10, 8), (3, 3), (2, 9)])
def test_p_value_is_welchs_of_the_shifted_scores_where_repeats_have_enough_exchanges(before, now, size):
    for seed in range(5):
        generator = np.random.default_rng([before, now, seed])
        old, new = generator.normal(0.8, 0.1, before), generator.normal(0.5, 0.05, now)
        welch = ttest_ind(old - size, new, equal_var=False, alternative="greater").pvalue

        p_value = drop_p_value(old.tolist(), new.tolist(), size)

        fell = old.mean() - size > new.mean()
        assert p_value == pytest.approx(max(welch, 1 / comb(before + now, now)) if fell else 1.0, rel=1e-9)


@given(sides, sides, st.sampled_from([0.0, 0.05, 0.2]))
def test_p_is_in_0_1_and_no_lower_than_one_of_the_exchanges(before, now, size):
    p_value = drop_p_value(before, now, size)

    assert 1 / comb(len(before) + len(now), len(now)) <= p_value * (1 + 1e-9)
    assert p_value <= 1
    dropped = np.mean(before) - size - np.mean(now)
    assert p_value == 1.0 or dropped > -1e-9


@pytest.mark.parametrize(
    ("before", "now", "p_value"),
    [
        ([0.9] * 8, [0.1] * 8, 1 / comb(16, 8)),
        ([0.9] * 2, [0.1], 1 / 3),
        ([0.9, 0.8], [0.1], 1 / 3),
        ([0.9, 0.1], [0.1], 1.0),  # one repeat as low as one of the baseline's
        ([0.9], [0.1], 0.5),
        ([0.5] * 8, [0.5] * 8, 1.0),
        ([0.1] * 8, [0.9] * 8, 1.0),
    ],
)
def test_alike_scores_have_the_share_of_exchanges(before, now, p_value):
    assert drop_p_value(before, now, 0.0) == pytest.approx(p_value)


@pytest.mark.parametrize("before", [3, 5])
def test_floor_is_the_exact_exchange_test_of_scores_that_are_all_lower(before):
    old, new = [0.9 + step / 100 for step in range(before)], [0.1, 0.11, 0.12]
    pooled = [*old, *new]
    lower = sum(
        sum(pooled[at] for at in chosen) <= sum(new) + 1e-12 for chosen in combinations(range(len(pooled)), 3)
    )

    assert drop_p_value(old, new, 0.0) == pytest.approx(lower / comb(len(pooled), 3))


@given(
    st.lists(scores, min_size=2, max_size=6), st.lists(scores, min_size=2, max_size=6), st.floats(0.01, 0.5)
)
def test_lower_scores_and_a_smaller_size_are_never_less_evidence(before, now, by):
    p_value = drop_p_value(before, now, 0.1)

    assert drop_p_value(before, [value - by for value in now], 0.1) <= p_value * (1 + 1e-9)
    assert drop_p_value(before, now, 0.1 + by) >= p_value * (1 - 1e-9)


@pytest.mark.parametrize("unit", [1e-100, 1.0, 1e100])
def test_unit_decides_nothing_and_nothing_is_warned_of(unit):
    before, now = [0.9, 0.9, 0.9, 0.9], [0.1, 0.3, 0.2, 0.4]

    p_value = drop_p_value([unit * each for each in before], [unit * each for each in now], 0.1 * unit)

    assert p_value == pytest.approx(drop_p_value(before, now, 0.1))


def test_nothing_changed_is_called_no_oftener_than_it_says():
    generator = np.random.default_rng(4)

    red = np.mean(
        [
            drop_p_value(generator.beta(8, 2, 10).tolist(), generator.beta(8, 2, 6).tolist(), 0.0) <= 0.05
            for _ in range(1_000)
        ]
    )

    assert red <= 0.075

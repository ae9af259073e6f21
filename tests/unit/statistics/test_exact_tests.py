from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from pytest_llmops.statistics.p_values import binomial_p_value, fisher_p_value, poisson_binomial_p_value


@pytest.mark.parametrize("repeats_before", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("repeats", [1, 2, 4, 8, 16])
def test_every_table_has_scipys_p_value(repeats_before, repeats):
    for held_before, held in product(range(repeats_before + 1), range(repeats + 1)):
        table = [[held, repeats - held], [held_before, repeats_before - held_before]]

        p_value = fisher_p_value(held_before, repeats_before, held, repeats)

        assert p_value == pytest.approx(fisher_exact(table, alternative="less").pvalue, rel=1e-9)
        assert 0 < p_value <= 1


@pytest.mark.parametrize(
    ("counts", "p_value"),
    [
        ((2, 2, 0, 2), 1 / 6),
        ((8, 8, 0, 8), 1 / 12_870),
        ((10, 10, 0, 4), 1 / 1_001),
        ((0, 10, 0, 10), 1.0),
        ((10, 10, 10, 10), 1.0),
        ((3, 3, 0, 0), 1.0),
        ((0, 0, 0, 3), 1.0),
        ((0, 0, 0, 0), 1.0),
    ],
)
def test_p_value_by_hand(counts, p_value):
    """One over the ways to choose which repeats are the new ones; nothing to compare is no evidence."""
    assert fisher_p_value(*counts) == pytest.approx(p_value)


def test_p_value_is_above_zero_even_where_a_float_ends():
    assert 0 < fisher_p_value(1_000, 1_000, 0, 1_000) < 1e-300


@given(st.integers(0, 8), st.integers(0, 8))
def test_fewer_that_hold_are_never_less_evidence(held_before, held):
    p_value = fisher_p_value(held_before, 8, held, 8)

    assert held == 0 or fisher_p_value(held_before, 8, held - 1, 8) <= p_value
    assert held_before == 8 or fisher_p_value(held_before + 1, 8, held, 8) <= p_value


@given(st.integers(1, 30), st.data(), st.floats(0.01, 0.99))
def test_binomial_is_scipys(repeats, data, rate):
    held = data.draw(st.integers(0, repeats))

    expected = binomtest(held, repeats, rate, alternative="less").pvalue
    assert binomial_p_value(held, repeats, rate) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), max_size=6), st.integers(0, 6))
def test_poisson_binomial_counts_all_that_may_happen(chances, count):
    count = min(count, len(chances))
    expected = sum(
        prod(chance if happens else 1 - chance for chance, happens in zip(chances, world, strict=True))
        for world in product([False, True], repeat=len(chances))
        if sum(world) >= count
    )

    assert poisson_binomial_p_value(chances, count) == pytest.approx(expected, abs=1e-15)


def test_many_rare_events_have_the_p_value_that_one_less_the_rest_would_round_away():
    assert poisson_binomial_p_value([1e-3] * 8, 8) == pytest.approx(1e-24, rel=1e-9)

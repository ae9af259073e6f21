from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from pytest_llmops.gates.case_channel.pass_rates import (
    PassRates,
    deviation_p_value,
    outlier_p_value,
)


def rates(held_before: int, repeats_before: int, held: int, repeats: int) -> PassRates:
    return PassRates(held_before=held_before, repeats_before=repeats_before, held=held, repeats=repeats)


@pytest.mark.parametrize(
    ("counts", "collapsed"),
    [
        ((10, 10, 0, 8), True),
        ((5, 10, 0, 8), True),
        ((4, 10, 0, 8), False),
        ((10, 10, 2, 10), True),
        ((10, 10, 3, 10), False),
        ((1, 2, 1, 5), True),
        ((10, 10, 1, 4), False),
    ],
)
def test_collapse_is_from_half_at_least_to_a_fifth_at_most(counts, collapsed):
    assert rates(*counts).collapsed == collapsed


@pytest.mark.parametrize(
    ("counts", "varies"),
    [
        ((10, 10, 0, 8), False),
        ((0, 10, 8, 8), False),
        ((9, 10, 8, 8), True),
        ((1, 10, 0, 8), True),
        ((10, 10, 1, 8), True),
        ((10, 10, 7, 8), True),
    ],
)
def test_rates_vary_where_repeats_of_one_side_disagree(counts, varies):
    assert rates(*counts).varies == varies


def test_rates_that_go_on_as_they_are():
    ahead = rates(9, 10, 1, 4).at(48)

    assert (ahead.held, ahead.repeats) == (12, 48)
    assert (ahead.held_before, ahead.repeats_before) == (9, 10)
    assert rates(9, 10, 0, 6).at(48).held == 0
    assert rates(9, 10, 2, 3).at(8).held == 5  # not rounded up
    assert rates(9, 10, 1, 1).at(8).held == 8
    assert rates(9, 10, 0, 0).at(8).held == 0


NO_PRIOR = (0.0, 0.0)


def test_outlier_is_as_far_off_as_its_rates_and_the_movement_of_others_let_it():
    """Of 9 of 10 and 0 of 8, of which one more that holds and one that does not tell the spread."""
    variance = 0.9 * 0.1 / 11 + 1 / 10 * 9 / 10 / 8 + 0.04

    assert outlier_p_value(rates(9, 10, 0, 8), 0.04, NO_PRIOR) == pytest.approx(norm.sf(0.9 / variance**0.5))


def test_rate_of_the_baseline_is_drawn_to_those_of_other_cases():
    """All of four held it, where others hold half: six of eight, had it four more repeats like theirs."""
    variance = 0.75 * 0.25 / 9 + 1 / 10 * 9 / 10 / 8 + 0.04

    drawn = outlier_p_value(rates(4, 4, 0, 8), 0.04, (2.0, 2.0))

    assert drawn == pytest.approx(norm.sf(0.75 / variance**0.5))
    assert drawn > outlier_p_value(rates(4, 4, 0, 8), 0.04, NO_PRIOR)


@given(st.integers(0, 10), st.integers(0, 8), st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_the_farther_others_moved_the_less_a_drop_is_an_outlier(held_before, held, one, other):
    each, (low, high) = rates(held_before, 10, held, 8), sorted((one, other))

    narrow, wide = outlier_p_value(each, low, NO_PRIOR), outlier_p_value(each, high, NO_PRIOR)

    assert 0 < narrow <= 1
    if held_before / 10 > held / 8:
        assert narrow <= wide + 1e-12 <= 0.5 + 1e-12
    else:
        assert narrow >= 0.5 - 1e-12


@pytest.mark.parametrize(
    ("held", "repeats", "alike", "p_value"),
    [
        (0, 3, 400, 0.05**3),
        (8, 8, 400, 1.0),
        (19, 20, 100, binom.sf(0, 20, 0.05)),
        (1, 3, 20, binom.sf(1, 3, 1 - 0.05 ** (1 / 20))),  # so few alike repeats leave room for one in seven
    ],
)
def test_app_that_hardly_deviates_misses_as_many_by_chance(held, repeats, alike, p_value):
    assert deviation_p_value(rates(10, 10, held, repeats), alike) == pytest.approx(p_value)

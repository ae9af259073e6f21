from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pytest_llmops.gates.inference.spending import (
    CASE_SHARE,
    SUITE_SHARE,
    conditional_power,
    sequential_p_value,
    spend,
)

BUDGET = 0.05
EIGHTHS = [1 / 8, 2 / 8, 4 / 8, 1.0]

times = st.lists(st.floats(0.01, 1, exclude_max=True), unique=True, max_size=6).map(sorted)
chances = st.floats(1e-12, 1)


def test_both_channels_keep_one_budget():
    assert SUITE_SHARE + CASE_SHARE <= 1


@given(times)
def test_parts_are_shares_that_sum_to_one_at_the_end_and_to_less_before(drawn):
    parts, whole = spend(drawn), spend([*drawn, 1.0])

    assert all(0 <= part <= 1 for part in whole)
    assert whole[:-1] == parts
    assert sum(whole) == pytest.approx(1)
    assert sum(parts) == pytest.approx(drawn[-1] ** 3 if drawn else 0)
    assert sum(whole) <= 1 + 1e-12


def test_little_is_spent_early():
    """An eighth of the data may use 1/512 of the budget, and the last look most of it."""
    assert spend(EIGHTHS) == pytest.approx([1 / 512, 7 / 512, 56 / 512, 448 / 512])


@given(chances)
def test_one_full_look_has_its_own_p_value(p_value):
    assert sequential_p_value([p_value], [1.0]) == p_value


@given(st.lists(chances, min_size=4, max_size=4))
def test_looks_cost_something_and_p_stays_a_p_value(drawn):
    over_looks = sequential_p_value(drawn, EIGHTHS)

    assert 0 < over_looks <= 1
    assert over_looks >= min(drawn)
    assert over_looks <= sequential_p_value([1.0, 1.0, 1.0, drawn[-1]], EIGHTHS)
    assert (over_looks <= BUDGET) == any(
        p_value <= BUDGET * part for p_value, part in zip(drawn, spend(EIGHTHS), strict=True)
    )


def test_looks_and_p_values_belong_together():
    with pytest.raises(ValueError, match="zip"):
        sequential_p_value([0.5], EIGHTHS)


def drawn_looks(runs: int, drift: float = 0.0) -> np.ndarray:
    """One-sided p-values at the four looks of runs whose data grow; shape (runs, 4)."""
    generator = np.random.default_rng(11)
    added = generator.normal(0, 1, (runs, 4)) * np.sqrt(np.diff([0.0, *EIGHTHS]))
    walk = added.cumsum(axis=1) + drift * np.array(EIGHTHS)
    return norm.sf(walk / np.sqrt(EIGHTHS))


@pytest.mark.parametrize("looks", [1, 2, 3, 4])
def test_looks_keep_the_budget_where_nothing_changed(looks):
    """Of 20,000 runs; where the data end early a part of the budget is left."""
    runs = drawn_looks(20_000)

    red = np.mean([sequential_p_value(run[:looks], EIGHTHS[:looks]) <= BUDGET for run in runs])

    scatter = 3 * math.sqrt(BUDGET / 20_000)
    assert red <= BUDGET * EIGHTHS[looks - 1] ** 3 + scatter
    assert red >= BUDGET * EIGHTHS[looks - 1] ** 3 * 0.7 - scatter


def test_looks_see_nearly_as_much_as_one_at_the_end():
    runs = drawn_looks(2_000, drift=3.0)

    looked = np.mean([sequential_p_value(run, EIGHTHS) <= BUDGET for run in runs])

    assert looked > np.mean(runs[:, -1] <= BUDGET) - 0.05 > 0.8


@given(chances, chances, st.floats(0.05, 0.95), st.floats(1e-6, 0.2))
def test_chance_to_call_it_falls_with_the_p_value(one, other, time, final):
    low, high = sorted((one, other))

    assert 0 <= conditional_power(high, time, final) <= conditional_power(low, time, final) <= 1


@pytest.mark.parametrize("time", [0.1, 0.5, 0.9])
def test_chance_to_call_it_is_none_and_certain_at_the_ends(time):
    assert conditional_power(1.0, time, 0.01) == 0.0
    assert conditional_power(5e-324, time, 0.01) == 1.0
    assert conditional_power(1e-15, time, 0.01) == 1.0
    assert conditional_power(1 - 1e-16, time, 0.01) < 0.01


@pytest.mark.parametrize(("p_value", "time"), [(0.2, 0.5), (0.02, 0.25), (0.6, 0.5), (0.05, 0.9)])
def test_chance_to_call_it_is_what_the_rest_of_the_walk_does(p_value, time):
    """The walk goes on with the drift that it had so far."""
    here = norm.isf(p_value) * math.sqrt(time)
    generator = np.random.default_rng(5)
    ends = here + here / time * (1 - time) + generator.normal(0, math.sqrt(1 - time), 40_000)

    called = np.mean(norm.sf(ends) <= 0.02)

    assert conditional_power(p_value, time, 0.02) == pytest.approx(called, abs=0.01)

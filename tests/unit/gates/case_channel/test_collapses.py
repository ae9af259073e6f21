from __future__ import annotations

from itertools import product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pytest_llmops.gates.case_channel.pass_rates import EACH, PassRates, count_p_value, has_collapsed


def rates(held_before: int, repeats_before: int, held: int, repeats: int) -> PassRates:
    return PassRates(held_before=held_before, repeats_before=repeats_before, held=held, repeats=repeats)


def divisions(each: PassRates) -> list[tuple[float, PassRates]]:
    """Every way to divide what a case held between both sides, with its chance."""
    held, asked = each.held_before + each.held, each.repeats_before + each.repeats
    found = []
    for now in range(each.repeats + 1):
        before = held - now
        if 0 <= before <= each.repeats_before:
            ways = comb(each.repeats, now) * comb(each.repeats_before, before)
            found.append((ways / comb(asked, held), rates(before, each.repeats_before, now, each.repeats)))
    return found


def enumerated(cases: list[PassRates]) -> float:
    """The chance that as many cases count, over every division of every case."""
    observed = sum(map(has_collapsed, cases))
    total = 0.0
    for drawn in product(*map(divisions, cases)):
        if sum(has_collapsed(each) for _, each in drawn) >= observed:
            chance = 1.0
            for part, _ in drawn:
                chance *= part
            total += chance
    return total


@st.composite
def tables(draw: st.DrawFn) -> PassRates:
    before, now = draw(st.integers(2, 10)), draw(st.integers(1, 8))
    return rates(draw(st.integers(before // 2, before)), before, draw(st.integers(0, now)), now)


@given(st.lists(st.one_of(tables(), st.just(rates(10, 10, 0, 8))), min_size=1, max_size=4))
def test_p_value_is_that_of_every_division_of_every_case(cases):
    p_value = count_p_value(cases)

    assert p_value == pytest.approx(enumerated(cases), rel=1e-9, abs=1e-15)
    assert 0 < p_value <= 1


@pytest.mark.parametrize(
    ("counts", "counted"),
    [
        ((10, 10, 0, 8), True),
        ((9, 10, 0, 4), True),  # 5 of 1,001
        ((10, 10, 0, 2), True),  # 1 of 66, below EACH
        ((9, 10, 0, 2), False),  # 3 of 66
        ((10, 10, 3, 8), False),  # no collapse, however seldom chance does it
        ((4, 10, 0, 30), False),  # it did not hold mostly
    ],
)
def test_what_counts_is_a_collapse_that_chance_seldom_makes(counts, counted):
    assert has_collapsed(rates(*counts)) == counted


def test_cases_alike_are_counted_as_a_binomial():
    """One counts with one new repeat that holds, too: 9 of 10 and 1 of 8 are as likely as it says."""
    fell, held = rates(10, 10, 0, 8), rates(10, 10, 8, 8)
    one = (1 * comb(10, 10) + 8 * comb(10, 9)) / comb(18, 10)

    assert count_p_value([fell]) == pytest.approx(one)
    assert count_p_value([held] * 29 + [fell]) == pytest.approx(one)  # who held all can count in no division
    assert count_p_value([fell] * 3) == pytest.approx(binom.sf(2, 3, one))


def test_the_more_cases_collapse_the_less_it_is_chance_and_none_is_no_evidence():
    fell, held = rates(8, 10, 0, 4), rates(6, 10, 2, 4)

    p_values = [count_p_value([fell] * count + [held] * (12 - count)) for count in range(6)]

    assert p_values[0] == 1.0
    assert p_values == sorted(p_values, reverse=True)
    assert 0 < count_p_value([rates(10, 10, 0, 8)] * 200) < 1e-300  # a float ends, a p-value does not


@settings(max_examples=5)
@given(st.integers(2, 8))
def test_nothing_changed_counts_no_oftener_than_it_says(seed):
    """Of 2,000 runs of thirty cases that pass nine times in ten, ten repeats and two."""
    import numpy as np

    generator = np.random.default_rng(seed)
    before, now = generator.binomial(10, 0.9, (2_000, 30)), generator.binomial(2, 0.9, (2_000, 30))
    red = [
        count_p_value([rates(int(b), 10, int(n), 2) for b, n in zip(*run, strict=True)]) <= 0.01
        for run in zip(before[:400], now[:400], strict=True)
    ]

    assert sum(red) <= 14  # four are expected at the most; one time in ten thousand it would be more
    assert EACH == 0.02

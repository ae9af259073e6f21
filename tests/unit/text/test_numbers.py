"""Numbers of any country are written alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.text.numbers import join_no_break_groups, unify_numbers, write_in_english


@pytest.mark.parametrize(
    ("text", "unified"),
    [
        ("1,000 1.000 1'000 1 000", "1000 1000 1000 1000"),
        ("1.234,50 1,234.50 1'234.50", "1234.50 1234.50 1234.50"),
        ("1,00,000 and 12,34,567.5", "100000 and 1234567.5"),
        ("3,5 3.5 0,125 0.125", "3.5 3.5 0.125 0.125"),
        ("1 250 000 people", "1250000 people"),
        ("12 500 euros, 12 500 people", "12500 euros, 12 500 people"),
        ("1 299,00 \u20ac", "1299.00\u20ac"),
        ("in 2024 100 people", "in 2024 100 people"),
        ("10.0.0.1 and 1.2.3 and 1,2,3", "10.0.0.1 and 1.2.3 and 1,2,3"),
        ("500mg 2.5kg 60days 5th 10427b", "500 mg 2.5 kg 60days 5th 10427b"),
        ("60 % and 20 \u20ac", "60% and 20\u20ac"),
        ("v1.000 and FW-1000", "v1.000 and FW-1000"),
        ("\u517160.000\u5143", "\u517160000\u5143"),
    ],
)
def test_numbers_are_unified(text, unified):
    assert unify_numbers(text) == unified


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1,000.50 and 3.5 and 1.000", "1,000.50 and 3.5 and 1.000"),
        ("1.000,50 1.000.000 1\u2019000", "1000.50 1000000 1000"),
        ("60\u5929\u5185, 30\uc77c", "60 \u5929\u5185, 30 \uc77c"),
        ("\u0e43\u0e19\u0e56\u0e50\u0e27\u0e31\u0e19", "\u0e43\u0e19 \u0e56\u0e50 \u0e27\u0e31\u0e19"),
        ("500mg", "500 mg"),
    ],
)  # fmt: skip
def test_numbers_of_other_countries_are_written_in_english(text, written):
    assert write_in_english(text) == written


@given(st.integers(1, 10**12), st.sampled_from(["{:,}", "{:_}"]), st.sampled_from(",.'\u202f\u00a0"))
def test_a_number_with_groups_is_the_number(number, form, mark):
    grouped = form.format(number).replace("_", ",").replace(",", mark)

    assert unify_numbers(join_no_break_groups(grouped)) == str(number)

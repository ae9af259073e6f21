"""Which calls are equal, and how many of them can be matched at once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.tools import align, equal_json, match
from pytest_llmops.records import Bound
from pytest_llmops.registry import create_metric


def test_denied_calls_asks_for_none():
    metric = create_metric("denied_calls")

    assert metric.bound == Bound(comparison="<=", threshold=0.0)
    assert not metric.higher_is_better


@pytest.mark.parametrize(
    ("wanted", "made", "exact", "partial"),
    [
        (1, 1.0, True, True),
        (1, True, False, False),
        (True, 1, False, False),
        (0, False, False, False),
        (True, True, True, True),
        (1, "1", False, False),
        (None, None, True, True),
        (None, 0, False, False),
        ([1, 2], (1, 2), True, True),
        ([1, 2], [2, 1], False, False),
        ([1], [1, 2], False, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, True),
        ({"a": 1}, {"a": 1, "b": 2}, False, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, False, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, False, True),
        ({"a": 1}, {}, False, False),
        ({}, [], False, False),
        ([], {}, False, False),
        ({"a": 1}, {"a": True}, False, False),
        (2**53 + 1, float(2**53), False, False),
    ],
)
def test_json_values_are_equal_as_json_says(wanted, made, exact, partial):
    assert equal_json(wanted, made) is exact
    assert equal_json(wanted, made, partial=partial) is partial or exact


GRIDS = st.integers(0, 4).flatmap(
    lambda columns: st.lists(st.lists(st.booleans(), min_size=columns, max_size=columns), max_size=4)
)


def _most(fits: list[list[bool]], *, rising: bool) -> int:
    """The most pairs there can be, by trying all."""
    rows, columns = range(len(fits)), range(len(fits[0]) if fits else 0)
    for size in range(min(len(rows), len(columns)), 0, -1):
        for chosen in itertools.combinations(rows, size):
            orders = itertools.combinations if rising else itertools.permutations
            for taken in orders(columns, size):
                if all(fits[row][column] for row, column in zip(chosen, taken, strict=True)):
                    return size
    return 0


@given(GRIDS, st.booleans())
def test_no_larger_matching_exists(fits, rising):
    pairs = (align if rising else match)(fits)

    assert all(fits[row][column] for row, column in pairs.items())
    assert len(set(pairs.values())) == len(pairs) == _most(fits, rising=rising)
    if rising:
        assert list(pairs.values()) == sorted(pairs.values())

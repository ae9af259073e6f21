from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.statistics.summaries import NAMES, calculate

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("mean", [1.0] * 9 + [0.0], 0.9),
        ("mean", [0.7, 0.8, 0.9], 0.8),
        ("mean", [0.1], 0.1),
        ("sum", [0.1] * 10, 1.0),
        ("min", [3.0, 1.0, 2.0], 1.0),
        ("max", [3.0, 1.0, 2.0], 3.0),
        ("p50", [1.0, 2.0], 1.5),
        ("p95", [7.0], 7.0),
    ],
)
def test_statistic_is_exact(name, values, expected):
    assert calculate(name, values) == expected


@given(st.lists(finite, min_size=1, max_size=40), st.integers(1, 99))
def test_percentiles_are_numpys_linear_ones(values, percent):
    expected = float(np.percentile(values, percent))

    assert calculate(f"p{percent}", values) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(finite, st.integers(1, 20))
def test_mean_of_equal_repeats_is_their_value(value, repeats):
    assert calculate("mean", [value] * repeats) == value


@given(st.permutations([0.1, 0.2, 0.3, 1e9, 1e-9, -7.3]))
def test_order_of_values_is_irrelevant(values):
    for name in NAMES:
        assert calculate(name, values) == calculate(name, sorted(values))


@pytest.mark.parametrize("name", ["p0", "p100", "median", "p05", ""])
def test_other_statistics_are_refused(name):
    assert name not in NAMES
    with pytest.raises(ValueError, match="no statistic"):
        calculate(name, [1.0])


def test_every_name_gives_a_finite_number():
    assert {"mean", "sum", "min", "max", "p1", "p50", "p99"} < set(NAMES)
    assert all(math.isfinite(calculate(name, [1.0, 2.0])) for name in NAMES)

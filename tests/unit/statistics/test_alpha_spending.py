from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pytest_llmops.statistics.multiplicity import conditional_power, spend_linearly

chances = st.floats(1e-12, 1)


def test_looks_spend_their_share_of_the_data_and_together_all():
    looks = (4, 8, 20)

    spent = [spend_linearly(look, looks) for look in looks]

    assert spent == pytest.approx([0.2, 0.2, 0.6])


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

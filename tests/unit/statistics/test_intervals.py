"""Intervals of shares, which statsmodels has as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from pytest_llmops.statistics.intervals import (
    Measure,
    bound_kappa,
    bound_share,
    exact_interval,
    lower_bound,
    upper_bound,
    wilson_interval,
)

LEVELS = st.sampled_from([0.8, 0.95, 0.99])


@given(st.integers(1, 200), st.data(), LEVELS)
def test_exact_interval_is_that_of_scipy_and_statsmodels(of, data, level):
    count = data.draw(st.integers(0, of))

    found = exact_interval(count, of, level)

    assert found == pytest.approx(tuple(binomtest(count, of).proportion_ci(level, method="exact")))
    assert found == pytest.approx(proportion_confint(count, of, alpha=1 - level, method="beta"))


@given(st.integers(1, 200), st.data(), LEVELS)
def test_wilsons_interval_of_whole_looks_is_that_of_statsmodels(of, data, level):
    count = data.draw(st.integers(0, of))

    found = wilson_interval(count / of, of, level)

    assert found == pytest.approx(proportion_confint(count, of, alpha=1 - level, method="wilson"))


@given(st.integers(1, 200), st.data())
def test_upper_bound_is_clopper_pearsons(of, data):
    count = data.draw(st.integers(0, of))

    expected = proportion_confint(count, of, alpha=0.1, method="beta")[1]  # two-sided at 0.1, so 0.05 above
    assert upper_bound(count, of, 0.95) == pytest.approx(1.0 if count == of else expected)


@given(st.integers(1, 200), st.data(), LEVELS)
def test_lower_bound_of_what_was_seen_is_the_upper_one_of_what_was_not(of, data, level):
    count = data.draw(st.integers(0, of))

    assert lower_bound(count, of, level) == pytest.approx(1 - upper_bound(of - count, of, level))


@given(st.integers(1, 500), st.sampled_from([0.8, 0.95, 0.99]))
def test_bound_of_the_perfect_is_clopper_pearsons(count, level):
    assert exact_interval(count, count, level)[0] == pytest.approx(
        proportion_confint(count, count, alpha=1 - level, method="beta")[0]
    )


def test_whole_agreement_of_few_rows_is_not_certain():
    """Five of five: the share may be 0.478; kappa, with halves by chance, below 0."""
    perfect = Measure(value=1.0)

    assert bound_share(perfect, 5).low == pytest.approx(0.478, abs=1e-3)
    assert bound_share(Measure(value=0.0), 5).high == pytest.approx(0.522, abs=1e-3)
    assert bound_kappa(perfect, 0.5, 1, 5).low == pytest.approx(1 - 0.522 / 0.5, abs=2e-3)
    assert bound_kappa(perfect, 4.0, 16, 200).low == pytest.approx(1 - 4 * 0.01828, abs=1e-3)  # five levels
    assert bound_kappa(perfect, 0.5, 1, 200).low == pytest.approx(0.963, abs=1e-3)


@pytest.mark.parametrize(
    "bound", [lambda each: bound_share(each, 9), lambda each: bound_kappa(each, 0.5, 1, 9)]
)
def test_an_interval_that_is_there_stays(bound):
    measured = Measure(value=1.0, low=0.5, high=1.0, method="BCa")

    assert bound(measured) is measured
    assert bound(Measure(value=0.7)) == Measure(value=0.7)

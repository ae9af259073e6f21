"""Tails of distributions, against those of scipy.stats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmops.statistics.p_values import (
    binomial_cdf,
    hypergeometric_cdf,
    pearson3_cdf,
    student_quantile,
    student_tail,
)

VALUES = st.floats(-40, 40)
FREEDOM = st.floats(0.5, 500)


@given(VALUES, FREEDOM)
def test_students_tail_is_that_of_scipy(value, freedom):
    assert student_tail(value, freedom) == pytest.approx(stats.t.sf(value, freedom), rel=1e-9, abs=1e-300)


@given(st.floats(1e-6, 0.5), FREEDOM)
def test_students_quantile_is_that_of_scipy(share, freedom):
    assert student_quantile(share, freedom) == pytest.approx(stats.t.isf(share, freedom), rel=1e-7, abs=1e-9)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.001, 0.999))
def test_a_binomial_is_that_of_scipy(count, further, rate):
    expected = stats.binom.cdf(count, count + further, rate)
    assert binomial_cdf(count, count + further, rate) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@given(st.data())
def test_a_hypergeometric_is_that_of_scipy(data):
    of = data.draw(st.integers(1, 120))
    marked, drawn = data.draw(st.integers(0, of)), data.draw(st.integers(0, of))
    count = data.draw(st.integers(max(0, drawn - (of - marked)), min(drawn, marked)))
    expected = stats.hypergeom.cdf(count, of, marked, drawn)
    assert hypergeometric_cdf(count, drawn, marked, of) == pytest.approx(expected, rel=1e-9)


@given(st.floats(-12, 12), st.one_of(st.just(0.0), st.floats(-3, 3)))
def test_a_pearson_type_iii_is_that_of_scipy(value, skew):
    # a distribution that is hardly askew is a gamma of a huge shape, whose last digits scipy loses as well
    expected = stats.pearson3.cdf(value, skew)
    assert pearson3_cdf(value, skew) == pytest.approx(expected, rel=1e-6, abs=1e-9)

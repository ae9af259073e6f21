"""Intervals: scipy's BCa where rows are their own groups, wider where groups hang together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

from pytest_llmops.statistics.bootstrap import BUNDLES, MOST_DRAWN, RESAMPLES, measure_with_intervals
from pytest_llmops.statistics.intervals import Measure


def mean_of(values):
    return lambda weights: [float((weights * values).sum() / weights.sum())]


def test_rows_alone_give_scipys_interval_of_a_mean():
    values = np.random.default_rng(3).exponential(size=40)
    expected = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, random_state=np.random.default_rng(0), method="BCa"
    ).confidence_interval

    (found,) = measure_with_intervals(mean_of(values), range(40))

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (found.method, found.value) == ("BCa", pytest.approx(values.mean()))


def test_rows_that_repeat_within_groups_tell_no_more_than_their_groups():
    """Ten copies of each of 20 values: by group as wide as the 20, by row about a third of that."""
    values = np.random.default_rng(4).normal(size=20)
    copies = np.repeat(values, 10)

    (few,) = measure_with_intervals(mean_of(values), range(20))
    (grouped,) = measure_with_intervals(mean_of(copies), np.repeat(range(20), 10).tolist())
    (rows,) = measure_with_intervals(mean_of(copies), range(200))

    assert (grouped.low, grouped.high) == pytest.approx((few.low, few.high))
    assert rows.high - rows.low < 0.4 * (grouped.high - grouped.low)


def test_equal_calls_give_equal_intervals():
    values = np.arange(12.0) ** 2

    assert measure_with_intervals(mean_of(values), range(12)) == measure_with_intervals(
        mean_of(values), range(12)
    )


@pytest.mark.parametrize(
    ("measure", "groups", "expected"),
    [
        pytest.param(lambda _: [0.5], range(9), Measure(value=0.5), id="no spread"),
        pytest.param(lambda _: [float("nan")], range(9), Measure(value=None), id="not defined"),
        pytest.param(lambda weights: [weights[0]], [1, 1, 1], Measure(value=1.0), id="one group"),
    ],
)
def test_no_interval_is_made_up(measure, groups, expected):
    assert measure_with_intervals(measure, groups) == [expected]


def test_a_measure_that_most_resamples_do_not_define_has_no_interval():
    """It needs both of two rows, which a third of the resamples lack at least."""

    def measure(weights):
        return [weights[0] if weights[0] and weights[1] else float("nan")]

    (found,) = measure_with_intervals(measure, range(3))

    assert (found.value, found.low) == (1.0, None)


def test_some_undefined_resamples_leave_percentiles_of_the_others():
    values = np.arange(6.0)

    def measure(weights):
        return [float("nan") if weights[0] >= 4 else float((weights * values).sum())]

    (found,) = measure_with_intervals(measure, range(6))

    assert found.method == "percentile"
    assert found.low < found.value < found.high


def test_the_measure_of_many_groups_is_not_taken_once_for_each():
    """One call for each row, of all rows, is what made 100,000 rows take ten minutes."""
    calls = {}
    for rows in (MOST_DRAWN, MOST_DRAWN + 1, 4 * MOST_DRAWN):
        values = np.random.default_rng(1).normal(size=rows)
        taken = []

        def measure(weights, values=values, taken=taken):
            taken.append(len(weights))
            return mean_of(values)(weights)

        measure_with_intervals(measure, range(rows))
        calls[rows] = len(taken)

    assert calls[MOST_DRAWN] > MOST_DRAWN + RESAMPLES
    assert calls[MOST_DRAWN + 1] == calls[4 * MOST_DRAWN] < 2 * BUNDLES + 10


@pytest.mark.parametrize("seed", range(4))
def test_many_groups_have_the_interval_of_their_mean(seed):
    """Of 8,000 rows each alone, and of 8,000 groups of three alike, the interval that theory gives."""
    values = np.random.default_rng(seed).exponential(size=8_000)
    reach = 1.96 * values.std() / np.sqrt(8_000)

    for copies in (1, 3):
        rows = np.repeat(values, copies)
        groups = np.repeat(np.arange(8_000), copies).tolist()
        (found,) = measure_with_intervals(mean_of(rows), groups, seed=seed)

        assert found.value == pytest.approx(values.mean())
        assert found.high - found.low == pytest.approx(2 * reach, rel=0.2)
        assert (found.low + found.high) / 2 == pytest.approx(values.mean(), abs=0.2 * reach)


def test_rare_rows_of_many_keep_an_interval_on_the_right_side_of_zero():
    """Five bad rows of 20,000: no half of a normal curve, but about the exact interval of a rare count."""
    values = np.zeros(20_000)
    values[::4_000] = 1

    (found,) = measure_with_intervals(mean_of(values), range(20_000))

    low, high = proportion_confint(5, 20_000, method="beta")
    assert found.low == pytest.approx(low, rel=0.6)
    assert found.high == pytest.approx(high, rel=0.3)

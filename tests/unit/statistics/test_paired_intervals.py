from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pytest_llmops.statistics.bootstrap import DRAWS, MANY, paired_interval
from pytest_llmops.statistics.summaries import calculate
from tests.unit.statistics.pairs import BY_NUMPY, STATISTICS, drawn


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("seed", [0, 7])
def test_interval_of_a_mean_is_scipys_with_that_seed(seed, level):
    base, new = drawn(40, seed, shift=0.05)
    expected = stats.bootstrap(
        (np.array(new) - np.array(base),),
        np.mean,
        method="BCa",
        confidence_level=level,
        n_resamples=DRAWS,
        rng=np.random.default_rng(seed),
    )

    spread = paired_interval("mean", base, new, level=level, seed=seed)
    total = paired_interval("sum", base, new, level=level, seed=seed)

    ends = (*expected.confidence_interval, expected.standard_error)
    assert (spread.low, spread.high, spread.error) == pytest.approx(ends, rel=1e-9)
    assert (total.low, total.high, total.error) == pytest.approx([end * 40 for end in ends], rel=1e-9)


@pytest.mark.parametrize("statistic", sorted(BY_NUMPY))
def test_interval_of_another_statistic_is_scipys_with_that_seed(statistic):
    by_numpy = BY_NUMPY[statistic]
    base, new = drawn(40, 2, shift=0.05)
    expected = stats.bootstrap(
        (np.array(new), np.array(base)),
        lambda one, two, axis: by_numpy(one, axis=axis) - by_numpy(two, axis=axis),
        paired=True,
        method="percentile",
        confidence_level=0.9,
        n_resamples=DRAWS,
        rng=np.random.default_rng(4),
    )

    spread = paired_interval(statistic, base, new, level=0.9, seed=4)

    ends = (*expected.confidence_interval, expected.standard_error)
    assert (spread.low, spread.high, spread.error) == pytest.approx(ends, rel=1e-9)


@pytest.mark.parametrize("statistic", ["mean", "sum", "p50"])
def test_duplicated_cases_of_one_unit_make_no_interval_narrower(statistic):
    """Four copies of twelve questions know as much as the twelve, and say they know more without units."""
    base, new = drawn(12, 9, shift=0.05)
    copied, units = (base * 4, new * 4), [str(at) for at in range(12)] * 4

    once = paired_interval(statistic, base, new, level=0.9, seed=1)
    grouped = paired_interval(statistic, *copied, level=0.9, seed=1, units=units)
    plain = paired_interval(statistic, *copied, level=0.9, seed=1)

    times = 4 if statistic == "sum" else 1
    assert grouped.error == pytest.approx(times * once.error, rel=0.2)
    if statistic != "p50":  # a median of so few values moves by whole gaps
        assert grouped.error > 1.5 * plain.error
        assert grouped.low < plain.low < plain.high < grouped.high


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize(
    ("base", "new"),
    [([0.5], [0.2]), ([0.9, 0.8, 0.7], [0.7, 0.6, 0.5])],
    ids=["one pair", "constant drop"],
)
def test_no_spread_gives_the_point(base, new, statistic):
    point = calculate(statistic, new) - calculate(statistic, base)

    spread = paired_interval(statistic, base, new, level=0.95, seed=0)

    assert spread.low == spread.high == pytest.approx(point)
    assert spread.error == 0.0


def test_one_outlier_among_equal_pairs_has_an_interval():
    spread = paired_interval("mean", [1.0] * 30, [1.0] * 29 + [0.0], level=0.95, seed=0)

    assert -0.2 < spread.low < -1 / 30 < 0.0 == spread.high + 0.0


def test_correction_that_is_not_defined_falls_back_to_percentiles():
    """The cubes of such small differences are zero, and BCa divides by them."""
    spread = paired_interval("mean", [0.0] * 30, [0.0] * 29 + [-1e-200], level=0.95, seed=0)

    assert -1e-200 < spread.low < 0.0 == spread.high


def test_interval_of_many_cases_is_the_bootstrap_s_without_its_draws():
    generator = np.random.default_rng(0)
    base, new = generator.beta(8, 2, MANY), generator.beta(7, 2, MANY)

    normal = paired_interval("mean", base, new, level=0.95, seed=0)
    drawn = paired_interval("mean", base[1:], new[1:], level=0.95, seed=0, draws=4_999)

    width = normal.high - normal.low
    assert (normal.low, normal.high) == pytest.approx((drawn.low, drawn.high), abs=0.05 * width)
    assert normal.error == pytest.approx(drawn.error, rel=0.05)
    summed = paired_interval("sum", base, new, level=0.95, seed=0)
    assert summed.low == pytest.approx(normal.low * MANY)

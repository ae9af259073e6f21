from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmops.statistics.bootstrap import paired_interval
from pytest_llmops.statistics.paired import FEWEST, RESAMPLES, mean_p_value, paired_p_value, sign_flip_p_value
from pytest_llmops.statistics.summaries import NOISE
from tests.unit.statistics.pairs import BY_NUMPY, STATISTICS, drawn

CALLED = 0.05
scores = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))
pairs = st.lists(st.tuples(scores, scores), min_size=1, max_size=20)


def sides(values: list[tuple[float, float]]) -> list[list[float]]:
    return [list(side) for side in zip(*values, strict=True)]


@pytest.mark.parametrize("worse", ["less", "greater"])
@pytest.mark.parametrize("statistic", ["mean", "sum"])
def test_mean_and_sum_flip_the_signs_of_what_got_worse(statistic, worse):
    base, new = drawn(30, 1, shift=0.02)
    differences = np.array(new) - np.array(base)

    assert paired_p_value(statistic, base, new, worse=worse, seed=0) == sign_flip_p_value(
        differences if worse == "less" else -differences
    )


@pytest.mark.parametrize("worse", ["less", "greater"])
@pytest.mark.parametrize("cases", [2, 5, 12, 40])
@pytest.mark.parametrize("statistic", sorted(BY_NUMPY))
def test_other_statistics_have_scipys_p_value(statistic, cases, worse):
    """Exact for 12 pairs; for 40 the draws are others, and their scatter is allowed for."""
    calculate = BY_NUMPY[statistic]
    base, new = drawn(cases, 3, shift=0.05)
    expected = stats.permutation_test(
        (np.array(new), np.array(base)),
        lambda one, two, axis: calculate(one, axis=axis) - calculate(two, axis=axis),
        permutation_type="samples",
        vectorized=True,
        alternative=worse,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(99),
    ).pvalue
    scatter = 5 * math.sqrt(2 * expected * (1 - expected) / RESAMPLES) if cases > 12 else 0.0

    p_value = paired_p_value(statistic, base, new, worse=worse, seed=0)

    assert p_value == pytest.approx(expected, abs=scatter + 1e-12)


GROUPED = ["a", "a", "b", "c", "c", "c", "d", "e", "e", "f"]


def members_of(units: list[str]) -> list[list[int]]:
    return [[row for row, unit in enumerate(units) if unit == fromkey] for fromkey in dict.fromkeys(units)]


@pytest.mark.parametrize("statistic", ["mean", "sum"])
@pytest.mark.parametrize("worse", ["less", "greater"])
@pytest.mark.parametrize("exact", [True, False])
def test_cases_of_one_unit_turn_together(statistic, worse, exact):
    """The sums of the units are what is tested."""
    base, new = drawn(10, 5, shift=0.05)
    summed = np.array([sum(new[row] - base[row] for row in rows) for rows in members_of(GROUPED)])
    turned = summed if worse == "less" else -summed

    p_value = paired_p_value(statistic, base, new, worse=worse, seed=0, units=GROUPED, exact=exact)

    assert p_value == pytest.approx((sign_flip_p_value if exact else mean_p_value)(turned))


@pytest.mark.parametrize("statistic", ["mean", "p50"])
def test_a_unit_a_case_is_no_unit_and_names_do_not_matter(statistic):
    base, new = drawn(12, 5, shift=0.05)
    alone = paired_p_value(statistic, base, new, worse="less", seed=0)

    assert paired_p_value(statistic, base, new, worse="less", seed=0, units=list("abcdefghijkl")) == alone
    grouped = paired_p_value(statistic, base, new, worse="less", seed=0, units=list("aabbccddeeff"))
    assert grouped == paired_p_value(statistic, base, new, worse="less", seed=0, units=list("zzyyxxwwvvuu"))
    assert grouped != alone


@pytest.mark.parametrize("statistic", ["min", "p50", "max"])
@pytest.mark.parametrize("worse", ["less", "greater"])
def test_few_units_have_every_arrangement_of_another_statistic(statistic, worse):
    base, new = drawn(10, 6, shift=0.02)
    measure, members = BY_NUMPY[statistic], members_of(GROUPED)
    found = []
    for turned in product([False, True], repeat=len(members)):
        old, now = np.array(base), np.array(new)
        for rows in (rows for rows, turn in zip(members, turned, strict=True) if turn):
            old[rows], now[rows] = now[rows], old[rows].copy()
        found.append(measure(now, axis=0) - measure(old, axis=0))
    observed = found[0]
    as_bad = [each <= observed + 1e-12 if worse == "less" else each >= observed - 1e-12 for each in found]

    p_value = paired_p_value(statistic, base, new, worse=worse, seed=0, units=GROUPED)

    assert p_value == np.mean(as_bad)


def test_many_units_are_drawn_and_near_every_arrangement():
    base, new = drawn(28, 8, shift=0.03)
    units = [str(at // 2) for at in range(28)]

    p_values = {paired_p_value("p50", base, new, worse="less", seed=seed, units=units) for seed in range(3)}

    assert len(p_values) > 1
    assert max(p_values) - min(p_values) < 0.03
    assert all(0 < value <= 1 for value in p_values)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_equal_runs_have_p_one_and_an_interval_of_zero(statistic):
    spread = paired_interval(statistic, [0.5, 0.7, 1.0], [0.5, 0.7, 1.0], level=0.95, seed=0)

    assert (spread.low, spread.high, spread.error) == (0.0, 0.0, 0.0)
    assert paired_p_value(statistic, [0.5, 0.7, 1.0], [0.5, 0.7, 1.0], worse="less", seed=0) == 1.0


@pytest.mark.parametrize("statistic", STATISTICS)
def test_one_pair_is_a_coin_toss_at_best(statistic):
    assert paired_p_value(statistic, [0.9], [0.1], worse="less", seed=0) == 0.5
    assert paired_p_value(statistic, [0.9], [0.1], worse="greater", seed=0) == 1.0


@given(pairs, st.sampled_from(STATISTICS), st.sampled_from([1.0, 1e-200, 1e100]))
def test_nothing_is_nan_and_p_is_in_0_1(values, statistic, scale):
    base, new = sides([(one * scale, other * scale) for one, other in values])

    spread = paired_interval(statistic, base, new, level=0.95, seed=0)

    assert all(
        0 < paired_p_value(statistic, base, new, worse=each, seed=0) <= 1 for each in ("less", "greater")
    )
    assert spread.low <= spread.high
    assert all(map(math.isfinite, (spread.low, spread.high, spread.error)))


@given(pairs, st.sampled_from(["mean", "sum", "p50"]))
def test_flipping_the_direction_flips_the_test(values, statistic):
    base, new = sides(values)

    forth = paired_p_value(statistic, base, new, worse="less", seed=0)
    back = paired_p_value(
        statistic, [-each for each in base], [-each for each in new], worse="greater", seed=0
    )

    assert forth == pytest.approx(back, rel=1e-12)


@given(pairs, st.lists(scores, max_size=8))
def test_equal_pairs_never_strengthen(values, equal):
    """Sign patterns do not know them; of few cases a drop that may be called is weaker beside them."""
    base, new = sides(values)
    alone, among = (
        paired_p_value("mean", base + more, new + more, worse="less", seed=0, exact=True)
        for more in ([], equal)
    )
    assert among >= alone
    if all(one == other or abs(one - other) > NOISE for one, other in values):  # larger values, more noise
        assert among == alone
    few = paired_p_value("mean", base, new, worse="less", seed=0)
    if len(values) + len(equal) < FEWEST and few <= CALLED:
        assert paired_p_value("mean", base + equal, new + equal, worse="less", seed=0) >= few


@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
@pytest.mark.parametrize("statistic", ["mean", "p50"])
def test_noise_of_another_processor_is_no_difference(statistic, unit):
    base = [0.5 * unit] * 12

    def p_value(share: float) -> float:
        return paired_p_value(statistic, base, [value * (1 - share) for value in base], worse="less", seed=0)

    assert p_value(NOISE / 2) == 1.0
    assert p_value(NOISE * 2) < 0.5


def test_seed_fixes_every_resample_and_a_mean_needs_none():
    base, new = drawn(60, 1, shift=0.01)

    def measured(seed: int) -> tuple[object, ...]:
        return (
            paired_p_value("p95", base, new, worse="less", seed=seed),
            paired_interval("mean", base, new, level=0.95, seed=seed),
            paired_interval("p95", base, new, level=0.95, seed=seed),
        )

    assert measured(1) == measured(1)
    assert all(one != two for one, two in zip(measured(1), measured(2), strict=True))
    means = {paired_p_value("mean", base, new, worse="less", seed=seed) for seed in range(3)}
    assert len(means) == 1

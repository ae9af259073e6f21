from __future__ import annotations

import math
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmops.statistics.paired import exchange_p_value

Sides = tuple[list[list[float]], list[list[float]]]


def drawn(counts: tuple[int, int, int], seed: int, *, rate: float | None = 0.8, shift: float = 0.0) -> Sides:
    """Repeats of an app that passes so often, or with continuous scores; the new ones worse by the shift."""
    cases, old, asked = counts
    generator = np.random.default_rng([*counts, seed])
    if rate is None:
        draw = [generator.beta(8, 2, (cases, count)) for count in (old, asked)]
        return draw[0].tolist(), (draw[1] - shift).tolist()
    rates = generator.beta(8 * rate / 0.8, 2, cases)
    sides = [
        generator.binomial(1, np.clip(rates - less, 0, 1)[:, None], (cases, count))
        for less, count in ((0.0, old), (shift, asked))
    ]
    return sides[0].astype(float).tolist(), sides[1].astype(float).tolist()


def shuffled_p_value(base: list[list[float]], new: list[list[float]], draws: int = 20_000) -> float:
    """The share of shuffles within the cases that leave a mean difference as low: what is approximated."""
    generator = np.random.default_rng(3)
    total = np.zeros(draws)
    observed = 0.0
    for before, after in zip(base, new, strict=True):
        pooled = generator.permuted(np.tile([*before, *after], (draws, 1)), axis=1)
        total += pooled[:, len(before) :].mean(axis=1) - pooled[:, : len(before)].mean(axis=1)
        observed += np.mean(after) - np.mean(before)
    return float(np.mean(total <= observed + 1e-9))


def exact_p_value(base: list[list[float]], new: list[list[float]]) -> float:
    """Of scores that are 0 or 1 and cases of as many repeats: every split of every case, counted."""
    chances = np.ones(1)
    for before, after in zip(base, new, strict=True):
        splits = splits_of(len(before) + len(after), int(sum(before) + sum(after)), len(after))
        chances = np.convolve(chances, splits)
    return float(chances[: int(sum(map(sum, new))) + 1].sum())


@cache
def splits_of(repeats: int, held: int, asked: int) -> np.ndarray:
    return stats.hypergeom.pmf(range(asked + 1), repeats, held, asked)


@pytest.mark.parametrize(("old", "asked"), [(10, 1), (10, 2), (10, 4), (10, 8), (2, 8), (5, 1), (3, 10)])
@pytest.mark.parametrize(("cases", "above"), [(12, 1.4), (30, 1.15), (100, 1.06)])
@pytest.mark.parametrize("rate", [0.9, 0.5])
def test_p_value_is_that_of_every_split(rate, cases, above, old, asked):
    """As much too large as few cases make it, and never too small by more than the last digits."""
    compared = 0
    for seed in range(10):
        for shift in (0.0, 0.05, 0.1, 0.2):
            base, new = drawn((cases, old, asked), seed, rate=rate, shift=shift)
            ratio = exchange_p_value(base, new) / (exact := exact_p_value(base, new))
            assert ratio >= 0.97, exact
            if 0.005 <= exact <= 0.5:
                compared += 1
                assert ratio <= above, exact
    assert compared >= 8


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("old", "asked"), [(10, 1), (10, 4), (2, 8)])
def test_p_value_is_that_of_shuffled_repeats(old, asked, seed):
    base, new = drawn((30, old, asked), seed, rate=None, shift=0.05)

    assert exchange_p_value(base, new) == pytest.approx(shuffled_p_value(base, new), abs=0.012)


@pytest.mark.parametrize("seed", range(7))
@pytest.mark.parametrize("rate", [0.9, None])
def test_p_value_of_cases_with_unlike_numbers_of_repeats(rate, seed):
    """Some cases were asked on: sums have no common step, and the test is a little less careful."""
    sides = [drawn((15, old, asked), seed, rate=rate, shift=0.02) for old, asked in ((10, 1), (7, 2))]
    base, new = ([*one, *two] for one, two in zip(*sides, strict=True))

    shuffled = shuffled_p_value(base, new)

    assert shuffled > 0.005
    assert 0.5 * shuffled <= exchange_p_value(base, new) <= 1.15 * shuffled + 0.01


@pytest.mark.parametrize(("old", "asked"), [(3, 1), (2, 2), (4, 2), (1, 3), (2, 1)])
def test_moments_are_those_of_every_split(old, asked):
    """Of two cases with any scores, all splits of each; moments of independent parts add up."""
    generator = np.random.default_rng([old, asked])
    base, new = (generator.normal(0, 1, (2, count)).tolist() for count in (old, asked))
    differences, variance, third = 0.0, 0.0, 0.0
    for before, after in zip(base, new, strict=True):
        pooled = np.array([*before, *after])
        every = [
            pooled[list(chosen)].mean() - np.delete(pooled, list(chosen)).mean()
            for chosen in combinations(range(len(pooled)), asked)
        ]
        variance += np.mean(np.square(every))
        third += np.mean(np.power(every, 3))
        differences += np.mean(after) - np.mean(before)

    expected = stats.pearson3.cdf(differences / math.sqrt(variance), third / variance**1.5)

    assert exchange_p_value(base, new) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("cases", [1, 2, 5, 12])
def test_single_repeats_on_both_sides_are_turned_round_exactly(cases):
    generator = np.random.default_rng(cases)
    base, new = generator.normal(0, 1, cases), generator.normal(-0.5, 1, cases)
    sums = [np.dot(signs, new - base) for signs in product((-1, 1), repeat=cases)]

    p_value = exchange_p_value([[value] for value in base], [[value] for value in new])

    # Sums are counted in steps of a fifteenth bit, so that the nearest patterns may change sides.
    assert p_value == pytest.approx(np.mean(np.array(sums) <= np.sum(new - base) + 1e-12), abs=2.0 / 2**cases)
    assert exchange_p_value([[1.0]] * cases, [[0.8]] * cases) == 0.5**cases


def test_nothing_changed_is_seldom_called_a_drop():
    """Of a skewed app, ten old repeats against a new one: at 5 % as often as that, at 0.5 % too."""
    p_values = np.array([exchange_p_value(*drawn((30, 10, 1), seed, rate=0.9)) for seed in range(1_500)])

    assert np.mean(p_values <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 / 1_500)
    assert np.mean(p_values <= 0.005) <= 0.005 + 3 * math.sqrt(0.005 / 1_500)
    assert np.mean(p_values <= 0.05) >= 0.02


def test_drop_is_seen():
    assert all(exchange_p_value(*drawn((30, 10, 4), seed, shift=0.4)) < 1e-6 for seed in range(5))


@pytest.mark.parametrize(
    ("base", "new", "p_value"),
    [
        ([[1.0] * 3] * 4, [[1.0]] * 4, 1.0),
        ([[0.1] * 3, [0.7] * 3], [[0.1] * 2, [0.7] * 2], 1.0),
        ([[0.0, 0.0]], [[0.0]], 1.0),
    ],
)
def test_repeats_that_are_all_alike_say_nothing(base, new, p_value):
    assert exchange_p_value(base, new) == p_value


def test_half_a_step_is_for_two_values_in_any_unit_and_direction():
    """Of lattice sums; without it the test would call drops too early."""
    base, new = drawn((30, 10, 2), seed=1, shift=0.05)
    shifted = [[[value - 1 for value in values] for values in side] for side in (base, new)]
    scaled = [[[value * 1e-120 for value in values] for values in side] for side in (base, new)]

    p_value = exchange_p_value(base, new)

    assert exchange_p_value(*shifted) == pytest.approx(p_value, rel=1e-9)
    assert exchange_p_value(*scaled) == pytest.approx(p_value, rel=1e-9)
    assert (
        exchange_p_value([*base, [0.4, *[0.6] * 9]], [*new, [0.4, 0.6]]) < p_value
    )  # three values: no common step


repeats = st.lists(
    st.integers(-1_000, 1_000).map(lambda value: value / 1_000) | st.sampled_from([0.0, 1.0]),
    min_size=1,
    max_size=8,
)
cases = st.lists(st.tuples(repeats, repeats), min_size=1, max_size=10)


@given(cases, st.sampled_from([1e-250, 1e-110, 1e99]), st.randoms(use_true_random=False))
def test_p_is_in_0_1_and_neither_unit_nor_order_matters(sides, unit, random):
    scaled = [
        tuple([value * unit for value in random.sample(side, len(side))] for side in case) for case in sides
    ]
    random.shuffle(scaled)

    p_value = exchange_p_value(*map(list, zip(*sides, strict=True)))

    assert 0 < p_value <= 1
    assert exchange_p_value(*map(list, zip(*scaled, strict=True))) == pytest.approx(p_value, rel=1e-6)


@given(cases, st.floats(-1, 1), st.integers(1, 8), st.integers(1, 8))
def test_case_of_equal_repeats_says_nothing(sides, value, old, asked):
    base, new = map(list, zip(*sides, strict=True))

    p_value = exchange_p_value([*base, [value] * old], [*new, [value] * asked])

    assert p_value == pytest.approx(exchange_p_value(base, new), rel=1e-9)

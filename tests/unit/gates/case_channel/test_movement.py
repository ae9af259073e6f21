from __future__ import annotations

import numpy as np
import pytest

from pytest_llmops.gates.case_channel.pass_rates import Movement, PassRates, estimate_movement

LEAST = 0.012
Readings = list[tuple[str, PassRates]]


def rates_of(
    moved: float,
    *,
    cases: int = 1_500,
    shared: float = 0.0,
    seed: int = 0,
    ab: tuple[float, float] = (40, 27),
) -> Readings:
    """Cases whose true rates move apart by that standard deviation, and all together by what is shared."""
    generator = np.random.default_rng(seed)
    before = generator.beta(*ab, cases)
    after = np.clip(before + shared + (generator.normal(0, moved, cases) if moved else 0), 0, 1)
    held = generator.binomial(10, before), generator.binomial(8, after)
    return [
        ("keywords", PassRates(held_before=int(old), repeats_before=10, held=int(new), repeats=8))
        for old, new in zip(*held, strict=True)
    ]


def test_variance_of_what_moves_cases_apart_is_found_without_that_of_repeats():
    found = [estimate_movement(rates_of(0.2, seed=seed)).variance for seed in range(4)]

    assert np.mean(found) == pytest.approx(0.2**2, rel=0.2)


@pytest.mark.parametrize("shared", [0.0, -0.2])
def test_nothing_or_what_all_share_is_the_least_movement(shared):
    assert estimate_movement(rates_of(0.0, shared=shared)).variance == LEAST
    assert estimate_movement([]) == Movement(variance=LEAST) == Movement()


def test_what_each_metric_shares_is_taken_out_by_metric():
    both = [*rates_of(0.0, shared=0.25), *(("semantic", each) for _, each in rates_of(0.0, shared=-0.25))]

    assert estimate_movement(both).variance == LEAST


def test_cases_that_broke_are_what_is_looked_for_and_no_movement():
    held, broken = rates_of(0.2), PassRates(held_before=10, repeats_before=10, held=0, repeats=8)

    with_them = estimate_movement([*held, *[("keywords", broken)] * 500])

    assert with_them.variance == pytest.approx(estimate_movement(held).variance)


@pytest.mark.parametrize(("ab", "strength"), [((4, 1), 5.0), ((2, 2), 4.0), ((400, 100), 10.0)])
def test_prior_is_where_the_baselines_rates_lie_and_counts_for_ten_repeats_at_most(ab, strength):
    good, bad = estimate_movement(rates_of(0.0, ab=ab)).priors["keywords"]

    assert good / (good + bad) == pytest.approx(ab[0] / sum(ab), abs=0.02)
    assert good + bad == pytest.approx(strength, rel=0.2)


@pytest.mark.parametrize(("cases", "known"), [(7, False), (8, True)])
def test_few_cases_have_no_prior(cases, known):
    good, bad = estimate_movement(rates_of(0.0, cases=cases)).priors["keywords"]

    assert (good + bad > 0) == known

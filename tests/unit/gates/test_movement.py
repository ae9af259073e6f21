from __future__ import annotations

import numpy as np
import pytest

from pytest_llmops.gates.movement import estimate_movement
from pytest_llmops.gates.pairing import Scale
from pytest_llmops.gates.readings import Reading
from pytest_llmops.records import Check


def readings(moved: float, *, cases: int = 200, shared: float = 0.0, seed: int = 0) -> list[Reading]:
    """Cases whose true rates move apart by that standard deviation, and all together by what is shared."""
    generator = np.random.default_rng(seed)
    before = generator.uniform(0.4, 0.8, cases)
    after = np.clip(before + shared + (generator.normal(0, moved, cases) if moved else 0), 0, 1)
    return [
        Reading(
            case=str(at),
            check=Check(metric="keywords", comparison=">=", threshold=1.0),
            scale=Scale(higher_is_better=True, bounded=True, range=(0.0, 1.0)),
            before=generator.binomial(1, before[at], 10).astype(float).tolist(),
            after=generator.binomial(1, after[at], 8).astype(float).tolist(),
            fact=False,
        )
        for at in range(cases)
    ]


def test_variance_of_what_moves_cases_apart_is_found_without_that_of_repeats():
    found = [estimate_movement(readings(0.15, cases=1_500, seed=seed)) for seed in range(4)]

    assert np.mean(found) == pytest.approx(0.15**2, rel=0.35)


@pytest.mark.parametrize("shared", [0.0, -0.2])
def test_nothing_or_what_all_share_is_no_movement(shared):
    found = [estimate_movement(readings(0.0, shared=shared, seed=seed)) for seed in range(10)]

    assert sum(each > 0 for each in found) <= 2
    assert max(found) < 0.01


def test_few_readings_say_nothing():
    assert estimate_movement(readings(0.5, cases=19)) == 0.0
    assert estimate_movement([]) == 0.0


def test_collapses_are_what_is_looked_for_and_no_movement():
    held = readings(0.0)
    fallen = [each for each in readings(0.0, shared=-1.0, cases=60, seed=1) if each.rates.collapsed]

    assert len(fallen) > 30
    assert estimate_movement([*held, *fallen]) == estimate_movement(held)

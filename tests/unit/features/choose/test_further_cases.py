"""How many further cases could decide, against the exact test on drawn cases."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from pytest_llmops.features.choose.further_cases import count_further_cases


def units(count: int) -> list[str]:
    return [f"u{at}" for at in range(count)]


def power(shares: tuple[float, float], cases: int, alpha: float) -> float:
    """By drawing."""
    random = np.random.default_rng(5)
    found = 0
    for ahead, behind, _ in random.multinomial(cases, [*shares, 1 - sum(shares)], size=1_000).tolist():
        found += ahead > behind and p_value(ahead, ahead + behind) <= alpha
    return found / 1_000


@cache
def p_value(ahead: int, decided: int) -> float:
    return stats.binomtest(ahead, decided).pvalue


@pytest.mark.parametrize(
    ("ahead", "behind", "level", "alpha"),
    [(9, 3, 10, 0.05), (4, 0, 16, 0.05), (9, 3, 10, 0.01), (7, 2, 1, 0.02)],
)
def test_so_many_are_called_by_four_in_five(ahead, behind, level, alpha):
    differences = [1.0] * ahead + [-1.0] * behind + [0.0] * level
    cases = len(differences)
    further = count_further_cases(differences, units(cases), alpha=alpha)
    shares = ahead / cases, behind / cases
    assert power(shares, cases + further, alpha) == pytest.approx(0.8, abs=0.05)
    assert power(shares, int((cases + further) * 0.8), alpha) < 0.78


@pytest.mark.parametrize(
    ("differences", "further"),
    [
        ([0.0] * 9, None),
        ([1.0, -1.0], None),
        ([0.3, -0.1, -0.2], None),
        ([1.0] * 501 + [-1.0] * 500, None),  # a million of them would not do
        ([1.0] * 5, 1),  # six in a row are the fewest that can be called
        ([1.0], 5),
        ([0.3, 0.2, 0.25], 3),  # the same of graded scores
        ([1.0] * 30, 1),
    ],
)
def test_edges(differences, further):
    assert count_further_cases(differences, units(len(differences)), alpha=0.05) == further


def test_graded_scores_are_held_against_the_mean():
    random = np.random.default_rng(1)
    differences = random.normal(0.1, 0.5, 40)
    mean, spread = differences.mean(), differences.std(ddof=1)
    cases = 40 + count_further_cases(list(differences), units(40), alpha=0.05)
    expected = ((stats.norm.isf(0.025) + stats.norm.isf(0.2)) * spread / mean) ** 2
    assert cases == pytest.approx(expected, abs=2)


def test_units_of_several_cases():
    alone = count_further_cases([1.0] * 4, units(4), alpha=0.05)
    paired = count_further_cases([1.0] * 8, [f"u{at // 2}" for at in range(8)], alpha=0.05)
    assert paired == 2 * alone

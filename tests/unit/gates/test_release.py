"""Repeats are made until the verdicts against the last baseline and against the release are both closed."""

from __future__ import annotations

from statistics import fmean

import numpy as np

from pytest_llmops import compare
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.release import Release, ReleasePlanner
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.records import CaseResult, Comparison
from tests.unit.gates.gate_records import FILE, result_of, run_of, suite_check

SUITE = {FILE: (suite_check(max_drop=0.05),)}
CASES = 40


def draw(rate: float, seed: int, repeats: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.random((CASES, repeats)) < rate).astype(float)


def results_of(passed: np.ndarray, repeats: dict[int, int] | None = None) -> list[CaseResult]:
    return [
        result_of(f"c{case:02}", auto=64, exact_match=values[: (repeats or {}).get(case, 64)].tolist())
        for case, values in enumerate(passed)
    ]


def run_against(release: float, last: float, now: float, seed: int) -> tuple[Comparison, float]:
    """A run by the planner, and the mean of its repeats."""
    base, anchor = results_of(draw(last, seed, 10)), results_of(draw(release, seed + 1, 10))
    kept = Release(name="1.4", run=run_of(anchor))
    planner = ReleasePlanner(
        last=RepeatPlanner(
            base={result.case: result for result in base},
            suite=SUITE,
            most=64,
            budget=CaseBudget(tests=CASES),
        ),
        release=kept,
        share=0.7,
    )
    passed, repeats = draw(now, seed + 2, 64), dict.fromkeys(range(CASES), 1)
    while wanted := planner.next_repeats(results := results_of(passed, repeats)):
        repeats |= {int(case[-2:]): step for case, step in wanted.items()}
    comparison = compare(run_of(base), run_of(results), suite=SUITE, release=kept)
    return comparison, fmean(map(count_repeats, results))


def test_a_run_as_good_as_the_last_one_is_repeated_until_the_release_is_decided():
    comparison, repeats = run_against(0.92, 0.72, 0.72, seed=0)
    assert comparison.outcome == "regressed"
    (verdict,) = [verdict for verdict in comparison.verdicts if verdict.outcome == "regressed"]
    assert "since release 1.4" in verdict.check
    assert repeats >= 8


def test_an_unchanged_app_pays_little_more_for_a_release():
    runs = [run_against(0.9, 0.9, 0.9, seed=seed) for seed in range(0, 30, 3)]
    assert "regressed" not in {comparison.outcome for comparison, _ in runs}
    assert fmean(repeats for _, repeats in runs) <= 4

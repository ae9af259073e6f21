"""Regimes in which the gate was blind, or reported a wrong number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_llmops import compare, load_golden, run_golden
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.gates.suite_channel.detectable_drops import find_detectable_drops
from pytest_llmops.records import Case, CaseResult, Check, Comparison, Golden, SuiteCheck
from pytest_llmops.settings import Settings
from tests.unit.gates.gate_records import FILE, check_of, result_of, run_of, steady, suite_check

WATCHED = suite_check(max_drop=0.05)
RUBRIC = Check(metric="judge", comparison=">=", threshold=4.0)


def run_until_closed(
    base: list[CaseResult], scores: np.ndarray, check: SuiteCheck, own: Check, metric: str
) -> tuple[Comparison, list[CaseResult]]:
    """
    The comparison of a run, whose repeats the planner decided on.

    Args:
        scores: Of the new run, shape (repeats, cases).
    """
    planner = RepeatPlanner(
        base={result.case: result for result in base},
        suite={FILE: (check,)},
        most=64,
        budget=CaseBudget(tests=len(base)),
    )
    counts = [1] * len(base)
    while True:
        results = [
            result_of(
                f"c{at:02}",
                auto=64,
                checks=[own],
                texts=[f"{score}" for score in scores[:count, at]],
                **{metric: [float(score) for score in scores[:count, at]]},
            )
            for at, count in enumerate(counts)
        ]
        wanted = planner.next_repeats(results)
        if not wanted:
            return compare(run_of(base), run_of(results, check)), results
        counts = [wanted.get(result.case, count) for result, count in zip(results, counts, strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_a_loss_of_a_steady_app_is_reported_as_large_as_it_is(seed: int):
    """One answer in five is lost everywhere. Cases that were lucky are run as often as the others."""
    base = [steady(f"c{at:02}", 10, exact_match=1.0) for at in range(30)]
    scores = np.random.default_rng(seed).random((64, 30)) < 0.8

    compared, results = run_until_closed(base, scores, WATCHED, check_of(), "exact_match")

    (mean,) = [verdict for verdict in compared.verdicts if verdict.check.startswith("exact_match mean")]
    repeats = min(len(result.outputs) for result in results)
    assert compared.outcome == mean.outcome == "regressed"
    assert mean.difference == pytest.approx(scores[:repeats].mean() - 1)


@pytest.mark.parametrize("seed", range(3))
def test_cases_that_a_judge_scores_far_lower_are_seen_together_whatever_the_suite_tolerates(seed: int):
    """Six of thirty went from good to bad, by a judge from 1 to 5 that errs in one answer in ten."""
    random = np.random.default_rng(seed)

    def draw(repeats: int, bad: int) -> np.ndarray:
        good = (np.arange(30) >= bad) ^ (random.random((repeats, 30)) < 0.1)
        return random.integers(0, 2, good.shape) + np.where(good, 4, 1)

    base = [
        result_of(f"c{at:02}", checks=[RUBRIC], judge=[float(score) for score in of_case])
        for at, of_case in enumerate(draw(10, 0).T)
    ]

    compared, _ = run_until_closed(base, draw(64, 6), suite_check("judge", max_drop=0.5), RUBRIC, "judge")

    assert compared.outcome == "regressed"


def test_three_steady_cases_that_become_coin_flips_are_seen():
    """Twelve of thirty vary anyway. Each of the three passes its first answer half of the time."""
    outcomes = {"broke": 0, "same": 0}
    for seed in range(20):
        random = np.random.default_rng(seed)
        rates = np.r_[np.ones(18), random.beta(8, 2, 12)]
        drawn = (random.random((10, 30)) < rates).T
        base = [
            result_of(f"c{at:02}", exact_match=of_case.astype(float).tolist())
            for at, of_case in enumerate(drawn)
        ]
        for name, now in (("broke", np.r_[[0.5] * 3, rates[3:]]), ("same", rates)):
            scores = random.random((64, 30)) < now
            compared, _ = run_until_closed(base, scores, WATCHED, check_of(), "exact_match")
            outcomes[name] += compared.outcome == "regressed"

    assert outcomes["broke"] >= 10
    assert outcomes["same"] == 0


def test_a_p_value_is_that_of_the_test_which_decided():
    """All cases dropped, beyond doubt, and by hardly more than `max_drop`: that leaves it open."""
    base = [result_of(f"c{at:02}", exact_match=[1.0] * 9 + [0.0]) for at in range(30)]
    new = [
        result_of(f"c{at:02}", exact_match=[1.0] * (16 + at % 2) + [0.0] * (4 - at % 2)) for at in range(30)
    ]

    (verdict,) = (
        verdict
        for verdict in compare(run_of(base), run_of(new, suite_check(max_drop=0.07))).verdicts
        if verdict.check.startswith("exact_match mean")
    )

    assert verdict.outcome == "undecided"
    assert verdict.p_adjusted is not None
    assert verdict.p_adjusted > 0.05


@pytest.mark.parametrize("before", [[1.0] * 10, [1.0] * 9 + [0.0]])
def test_a_failure_is_known_only_where_the_baseline_missed_as_much(before: list[float]):
    varying = [result_of(f"v{at}", checks=[check_of()], exact_match=[1.0, 0.0] * 5) for at in range(20)]
    base = [result_of("a", checks=[check_of()], exact_match=before), *varying]
    now = result_of("a", auto=64, checks=[check_of()], exact_match=[1.0, 0.0, 0.0, 1.0, 0.0] * 4)
    case = Case(id="a", input="?", checks=(check_of(),))

    (verdict,) = Judge([Golden(path=FILE, cases=(case,) * 30)], run_of(base)).judge_case(case, now)

    assert (verdict.outcome, verdict.known) == ("undecided", False)
    assert "8 of 20 repeats hold it" in verdict.reason


def test_a_run_that_stops_early_claims_no_more_than_it_sees():
    """With twenty repeats a drop of .08 would be seen; but a run is cleared long before by such a drop."""
    base = [result_of(f"c{at:02}", exact_match=[1.0] * 8 + [0.0] * 2) for at in range(30)]

    fixed, planned = (
        find_detectable_drops({FILE: (WATCHED,)}, base, repeats=20, steady=False, most=most)[0].smallest_drop
        for most in (0, 64)
    )

    assert fixed is not None
    assert planned is not None
    assert fixed < planned
    assert 0.1 < planned < 0.2


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("gpt-x", {}, 2.0),
        ("gpt-x", {"cost_usd": 0.5}, 0.5),
        ("gpt-y", {}, "the price of 'gpt-y' is not known"),
        ("gpt-y", {"cost_usd": 0}, 0.0),
    ],
)
def test_tokens_that_an_app_counts_have_a_price(tmp_path: Path, model: str, usage: dict[str, float], cost):
    path = tmp_path / "shop.yaml"
    path.write_text('cases: [{id: a, input: hi, checks: {cost_usd: "<= 0.01"}}]', encoding="utf-8")
    answer = {
        "text": "ho",
        "model": model,
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 0, **usage},
    }

    run = run_golden(load_golden(path), lambda _: answer, settings=Settings(prices={"gpt-x": (2.0, 3.0)}))

    (result,) = run.results
    if isinstance(cost, str):
        assert cost in result.failures[0].error
    else:
        assert [score.value for score in result.scores] == [cost]


def test_a_comparison_corrects_for_as_many_checks_as_the_run_did():
    """A case that is new, and one without repeats to compare, count in both."""
    check = check_of()
    base = [result_of(f"c{at}", checks=[check], exact_match=[1.0] * 9 + [0.0]) for at in range(5)]
    now = [
        result_of(f"c{at}", checks=[check], exact_match=[0.0] * 10 if at == 0 else [1.0] * 9 + [0.0])
        for at in range(9)
    ]
    cases = tuple(Case(id=f"c{at}", input="?", checks=(check,)) for at in range(9))

    golden = Golden(path=FILE, cases=cases)
    judge = Judge([golden], run_of(base))
    judge.note_movement(golden, now)

    (own,) = judge.judge_case(cases[0], now[0])
    (compared,) = [
        verdict for verdict in compare(run_of(base), run_of(now)).verdicts if "case by case" in verdict.check
    ]

    assert own.outcome == compared.outcome == "regressed"
    assert (own.p_value, own.p_adjusted) == (compared.p_value, compared.p_adjusted)

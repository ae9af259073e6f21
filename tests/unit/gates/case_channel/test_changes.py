from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.gates.case_channel.verdicts import judge_against
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.paired_runs import Chance
from pytest_llmops.records import Case, CaseResult, Failure
from tests.unit.gates.gate_records import VARYING, check_of, result_of, steady

CASE = Case(id="a", input="How?", checks=(check_of(bound=">= 0.8"),))
FAILURE = Failure(metric="exact_match", stage="score", error="boom")


def repeats(*values: float) -> CaseResult:
    """Of one case; every repeat with a text of its own."""
    return result_of("a", exact_match=list(values))


def still(value: float, count: int = 2) -> CaseResult:
    return steady("a", count, exact_match=value)


@pytest.mark.parametrize(
    ("base", "now", "outcome", "known", "advice"),
    [
        pytest.param(still(1), still(1), "passed", False, "", id="holds still"),
        pytest.param(still(0), still(1), "passed", False, "fixed", id="fixed"),
        pytest.param(still(0), still(0), "failed", True, "failed in the baseline too", id="known"),
        pytest.param(still(1), still(0, 3), "regressed", False, "no repeat differs", id="a fact"),
        pytest.param(still(1), still(0, 2), "failed", False, "seen once", id="two alike are too few"),
        pytest.param(still(1), still(0, 1), "failed", False, "seen once, --llm-repeats auto", id="seen once"),
        pytest.param(still(0.9), still(0.4, 3), "regressed", False, "no repeat differs", id="by its size"),
        pytest.param(still(0.9), still(0.7, 3), "regressed", False, "no repeat", id="below the bound"),
        pytest.param(still(1, 1), still(0), "failed", False, "held in the", id="one repeat is no fact"),
        pytest.param(still(1), repeats(0, 0), "failed", False, "held in the", id="unequal texts now"),
        pytest.param(repeats(1, 1), still(0), "undecided", False, "chance may", id="unequal texts before"),
        pytest.param(
            repeats(1, 1), repeats(0, 0), "undecided", False, "chance may", id="equal scores by chance"
        ),
        pytest.param(
            repeats(*[1] * 8), repeats(*[0] * 8), "regressed", False, "rule out chance", id="collapse"
        ),
        pytest.param(repeats(*VARYING), repeats(*[0] * 4), "regressed", False, "rule out", id="and of most"),
        pytest.param(
            repeats(*VARYING), repeats(0, 0), "undecided", False, "chance may", id="too few new ones"
        ),
        pytest.param(
            repeats(*[1] * 8), repeats(*[1] * 5, *[0] * 3), "undecided", False, "run it again", id="flaky now"
        ),
        pytest.param(
            repeats(*[1] * 8),
            replace(repeats(*[1] * 5, *[0] * 3), auto=64),
            "passed",
            False,
            "flaky: 5 of 8",
            id="flaky, and run again for long enough",
        ),
        pytest.param(
            repeats(*VARYING),
            replace(repeats(*[1] * 5, *[0] * 4), auto=64),
            "failed",
            True,
            "not worse than the baseline beyond chance",
            id="both sides together hold it too seldom",
        ),
        pytest.param(
            repeats(*[1] * 40),
            repeats(*[1] * 10, *[0] * 30),
            "undecided",
            False,
            "holds less often, beyond chance",
            id="no collapse, however sure",
        ),
        pytest.param(
            repeats(*[0] * 6, *[1] * 4),
            repeats(*[0] * 8),
            "failed",
            True,
            "too",
            id="failed and varied before",
        ),
        pytest.param(None, still(0), "failed", False, "no such case", id="new and failing"),
        pytest.param(None, still(1), "passed", False, "no such case", id="new and good"),
        pytest.param(
            replace(still(1), input_hash="asks b"),
            still(0),
            "failed",
            False,
            "no such case",
            id="other input",
        ),
        pytest.param(
            replace(still(1), input_hash=""), still(0, 3), "regressed", False, "differs", id="unknown input"
        ),
        pytest.param(
            result_of("a", failures=[FAILURE]), still(0), "failed", False, "no score: boom", id="broke then"
        ),
        pytest.param(still(1), result_of("a", failures=[FAILURE]), "error", False, "", id="broke now"),
        pytest.param(None, result_of("a", failures=[FAILURE]), "error", False, "", id="broke now and is new"),
    ],
)
def test_case_against_its_baseline(base, now, outcome, known, advice):
    (verdict,) = judge_against(CASE, now, base)

    assert (verdict.outcome, verdict.known) == (outcome, known)
    assert advice in verdict.advice
    assert bool(advice) == bool(verdict.advice)


def test_flaky_case_tells_both_rates():
    (verdict,) = judge_against(CASE, repeats(1, 0, 0, 1), repeats(*VARYING))

    assert verdict.reason == "flaky: 2 of 4 repeats hold it, 9 of 10 in the baseline"
    assert (verdict.observed, verdict.baseline) == (0.5, 0.9)
    assert verdict.difference == pytest.approx(-0.4)
    assert (verdict.p_value, verdict.p_adjusted) == (1.0, 1.0)  # nothing collapsed


def test_fact_has_no_p_value():
    (verdict,) = judge_against(CASE, still(0), still(1))

    assert (verdict.observed, verdict.baseline, verdict.difference) == (0.0, 1.0, -1.0)
    assert verdict.p_value is verdict.p_adjusted is None


def test_more_checks_ask_for_more_evidence():
    """Five against five have p = 1/252; a fifth of the budget of 5 % is that of single cases."""
    base, now = repeats(*[1] * 5), repeats(*[0] * 5)

    (alone,) = judge_against(CASE, now, base)
    (among,) = judge_against(CASE, now, base, budget=CaseBudget(tests=3))

    assert (alone.outcome, alone.p_value) == ("regressed", pytest.approx(1 / 252))
    assert (alone.p_adjusted, among.p_adjusted) == pytest.approx((5 / 252, 15 / 252))
    assert (among.outcome, among.reason) == (
        "undecided",
        "may be chance: 0 of 5 repeats hold it, 5 of 5 in the baseline",
    )
    assert judge_against(CASE, now, base, budget=CaseBudget(tests=3, level=0.9))[0].outcome == "regressed"
    fact = judge_against(CASE, still(0, 3), still(1), budget=CaseBudget(tests=10_000))[0]
    assert fact.outcome == "regressed"  # a fact is no test


def test_unlike_signatures_are_told_and_not_compared():
    base = still(1)
    base = replace(base, scores=tuple(replace(score, signature="exact_match|v0") for score in base.scores))

    (verdict,) = judge_against(CASE, still(0), base)

    assert (verdict.outcome, verdict.baseline) == ("error", None)
    assert "exact_match|v1" in verdict.reason
    assert "exact_match|v0" in verdict.reason


def test_a_case_is_no_fact_in_an_app_that_varies_elsewhere():
    """Two alike answers of a varying app come by chance, too."""
    chance = Chance([still(1), result_of("b", exact_match=[1.0, 0.0])])

    (verdict,) = judge_against(CASE, still(0), still(1), chance=chance)

    assert (verdict.outcome, verdict.known) == ("undecided", False)
    assert verdict.reason == "may be chance: 0 of 2 repeats hold it, 2 of 2 in the baseline"
    assert judge_against(CASE, still(0, 3), still(1), chance=Chance([still(1)]))[0].outcome == "regressed"


def test_one_repeat_on_each_side_has_no_rate_to_tell():
    chance = Chance([result_of("b", exact_match=[1.0, 0.0])])
    now = result_of("a", exact_match=0.0)
    now = replace(now, scores=(replace(now.scores[0], reason="nothing matched", evidence=("60 days",)),))

    (verdict,) = judge_against(CASE, now, repeats(1), chance=chance)

    assert (verdict.outcome, verdict.reason) == ("undecided", "may be chance: nothing matched")
    assert verdict.evidence == ("60 days",)


@pytest.mark.parametrize(
    ("auto", "advice"),
    [
        (0, "chance may explain it; run it again while it may: --llm-repeats auto"),
        (64, "chance may explain it"),
    ],
)
def test_who_runs_it_again_while_chance_may_explain_is_not_told_to(auto, advice):
    (verdict,) = judge_against(CASE, replace(repeats(0, 0), auto=auto), repeats(*VARYING))

    assert (verdict.outcome, verdict.advice) == ("undecided", advice)


def test_seconds_are_never_a_fact():
    case = Case(id="a", input="How?", checks=(check_of("latency_s", "<= 1"),))

    (verdict,) = judge_against(case, steady("a", latency_s=3.0), steady("a", latency_s=0.5))

    assert verdict.outcome == "failed"
    assert (verdict.p_value, verdict.p_adjusted) == pytest.approx((1 / 6, 5 / 6))


@pytest.mark.parametrize(
    ("before", "now", "outcome", "known"),
    [
        pytest.param([1.0] * 10, [20.0] * 4, "failed", False, id="held before"),
        pytest.param([1.0] * 10, [9.0] * 6 + [1.5] * 6, "failed", False, id="half of the repeats hold it"),
        pytest.param([1.0] * 10, [1.5] * 11 + [2.5], "passed", False, id="the mean holds it"),
        pytest.param([3.0] * 10, [20.0] * 4, "failed", True, id="missed before"),
    ],
)
@pytest.mark.parametrize("auto", [0, 64])
def test_missed_seconds_of_a_varying_app_are_a_failure(before, now, outcome, known, auto):
    """No more repeats are asked for them, so that nothing may be left to chance."""
    case = Case(id="a", input="How?", checks=(check_of("latency_s", "<= 2"),))
    chance = Chance([result_of("b", exact_match=VARYING)])

    (verdict,) = judge_against(
        case,
        result_of("a", latency_s=now, auto=auto),
        result_of("a", latency_s=before),
        budget=CaseBudget(tests=30),
        chance=chance,
    )

    assert (verdict.outcome, verdict.known) == (outcome, known)


@pytest.mark.parametrize(("repeats", "outcome"), [(1, "undecided"), (2, "undecided"), (3, "regressed")])
def test_known_failure_of_a_steady_app_that_gets_worse_is_never_known(repeats, outcome):
    case = Case(id="a", input="How?", checks=(check_of("semantic", ">= 0.8"),))

    (verdict,) = judge_against(case, steady("a", repeats, semantic=0.0), steady("a", 10, semantic=0.67))

    assert (verdict.outcome, verdict.known) == (outcome, False)


LEAK = Case(id="a", input="How?", checks=(check_of("pii_leak", "<= 0"),))


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        pytest.param([1.0] * 5, [1.0] * 5, "failed", id="old"),
        pytest.param([0.0] * 8, [0.0] * 7 + [1.0], "failed", id="now and then"),
        pytest.param([0.0] * 7 + [1.0], [0.0] * 7 + [1.0], "failed", id="now and then as before"),
        pytest.param([0.0] * 5, [1.0] * 5, "regressed", id="new"),
        pytest.param([1.0] * 5, [0.0] * 5, "passed", id="gone"),
        pytest.param([0.0], [1.0], "failed", id="once, which in other checks may be chance"),
    ],
)
def test_a_leak_is_never_excused(before, now, outcome):
    chance = Chance([result_of("b", exact_match=VARYING)])

    (verdict,) = judge_against(
        LEAK, result_of("a", pii_leak=now), result_of("a", pii_leak=before), chance=chance
    )

    assert (verdict.outcome, verdict.known) == (outcome, False)


def test_each_of_two_bounds_has_its_own_verdict():
    case = Case(
        id="a", input="How?", checks=(check_of(bound=">= 0.5"), check_of(bound="<= 0.6"), check_of("bleu"))
    )
    base = steady("a", exact_match=0.6, bleu=30.0)

    verdicts = judge_against(case, steady("a", 3, exact_match=0.9, bleu=30.0), base)

    assert [(verdict.check, verdict.outcome) for verdict in verdicts] == [
        ("exact_match >= 0.5", "passed"),
        ("exact_match <= 0.6", "regressed"),
        ("bleu >= 1", "passed"),
    ]


def test_case_without_checks_is_judged_by_its_answer():
    case = Case(id="a", input="How?")

    assert [each.outcome for each in judge_against(case, still(0), still(1))] == ["passed"]
    broke = Failure(metric="", stage="app", error="boom")
    assert [each.outcome for each in judge_against(case, result_of("a", failures=[broke]), still(1))] == [
        "error"
    ]

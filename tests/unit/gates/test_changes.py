from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.gates.changes import judge_against, list_changes
from pytest_llmops.gates.pairing import pair_cases
from pytest_llmops.records import Case, CaseResult, Check, Failure
from tests.unit.gates.gate_records import result_of

CASE = Case(id="a", input="How?", checks=(Check(metric="exact_match", comparison=">=", threshold=0.8),))
FAILURE = Failure(metric="exact_match", stage="score", error="boom")
SAME = ["60 days", "60 days"]


def repeats(*values: float, texts: list[str] | None = None) -> CaseResult:
    """Of one case; every repeat with a text of its own, unless told."""
    return result_of("a", exact_match=list(values), texts=texts or ())


def steady(value: float, count: int = 2) -> CaseResult:
    return repeats(*[value] * count, texts=["60 days"] * count)


@pytest.mark.parametrize(
    ("base", "now", "outcome", "known", "advice"),
    [
        pytest.param(steady(1), steady(1), "passed", False, "", id="holds still"),
        pytest.param(steady(0), steady(1), "passed", False, "fixed", id="fixed"),
        pytest.param(steady(0), steady(0), "failed", True, "failed in the baseline too", id="known"),
        pytest.param(steady(1), steady(0), "regressed", False, "no repeat differs", id="a fact"),
        pytest.param(
            steady(1), steady(0, 1), "regressed", False, "no repeat differs", id="a fact, one new repeat"
        ),
        pytest.param(steady(1), repeats(0, 0), "failed", False, "do not rule out", id="unequal texts now"),
        pytest.param(repeats(1, 1), steady(0), "failed", False, "do not rule out", id="unequal texts before"),
        pytest.param(steady(1, 1), steady(0), "failed", False, "do not rule out", id="one repeat is no fact"),
        pytest.param(
            repeats(1, 1),
            repeats(0, 0),
            "failed",
            False,
            "do not rule out",
            id="equal scores of unequal texts",
        ),
        pytest.param(
            repeats(*[1] * 8), repeats(*[0] * 8), "regressed", False, "rule out chance", id="repeats show it"
        ),
        pytest.param(
            repeats(*[1] * 8),
            repeats(*[1] * 5, *[0] * 3),
            "failed",
            False,
            "do not rule out",
            id="may be chance",
        ),
        pytest.param(None, steady(0), "failed", False, "no such case", id="new and failing"),
        pytest.param(None, steady(1), "passed", False, "no such case", id="new and good"),
        pytest.param(
            replace(steady(1), input_hash="asks b"),
            steady(0),
            "failed",
            False,
            "no such case",
            id="asked otherwise",
        ),
        pytest.param(
            result_of("a", failures=[FAILURE]),
            steady(0),
            "failed",
            False,
            "has no score: boom",
            id="baseline broke",
        ),
        pytest.param(steady(1), result_of("a", failures=[FAILURE]), "error", False, "", id="broke now"),
    ],
)
def test_case_against_its_baseline(base, now, outcome, known, advice):
    (verdict,) = judge_against(CASE, now, base)

    assert (verdict.outcome, verdict.known) == (outcome, known)
    assert advice in verdict.advice
    assert bool(advice) == bool(verdict.advice)


def test_unlike_signatures_are_told_and_not_compared():
    base = steady(1)
    base = replace(base, scores=tuple(replace(score, signature="exact_match|v0") for score in base.scores))

    (verdict,) = judge_against(CASE, steady(0), base)

    assert (verdict.outcome, verdict.baseline) == ("error", None)
    assert "exact_match|v1" in verdict.reason
    assert "exact_match|v0" in verdict.reason


def test_numbers_of_both_sides_are_shown():
    (verdict,) = judge_against(CASE, repeats(1, 0), repeats(1, 1))

    assert (verdict.observed, verdict.baseline, verdict.difference) == (0.5, 1.0, -0.5)
    assert verdict.p_value == verdict.p_adjusted == 0.5


def test_more_checks_ask_for_more_evidence():
    base, now = repeats(1, 1, 1, 1), repeats(0, 0, 0, 0)

    assert judge_against(CASE, now, base)[0].outcome == "regressed"
    assert judge_against(CASE, now, base, tests=3)[0].outcome == "regressed"
    (verdict,) = judge_against(CASE, now, base, tests=4)
    assert (verdict.outcome, verdict.p_adjusted) == ("failed", pytest.approx(4 / 70))


def test_lower_is_better_reads_the_other_way():
    case = Case(id="a", input="How?", checks=(Check(metric="pii_leak", comparison="<=", threshold=0.0),))
    clean, leaking = (result_of("a", pii_leak=[value] * 5) for value in (0.0, 1.0))

    assert judge_against(case, leaking, clean)[0].outcome == "regressed"
    assert judge_against(case, clean, leaking)[0].advice.startswith("fixed")


def test_case_without_checks_is_judged_by_its_answer():
    case = Case(id="a", input="How?")

    assert [each.outcome for each in judge_against(case, steady(0), steady(1))] == ["passed"]


def changes_of(base: list[CaseResult], new: list[CaseResult]) -> list[tuple[str, str, bool]]:
    return [
        (change.case.rpartition("::")[2], change.metric, change.confirmed)
        for change in list_changes(pair_cases(base, new))
    ]


def test_facts_are_confirmed_both_ways_and_single_repeats_never():
    base = [steady(1), result_of("b", exact_match=[0.0, 0.0], texts=SAME), result_of("c", exact_match=1.0)]
    new = [steady(0), result_of("b", exact_match=1.0, texts=["60"]), result_of("c", exact_match=0.0)]

    assert changes_of(base, new) == [
        ("a", "exact_match", True),
        ("b", "exact_match", True),
        ("c", "exact_match", False),
    ]


def test_what_reads_alike_is_not_listed():
    assert changes_of([repeats(1, 0)], [repeats(0, 1)]) == []


@pytest.mark.parametrize("cases", [1, 30, 300])
def test_collapse_of_one_case_is_confirmed_among_many(cases):
    """Eight repeats against eight give 1/12,870 at the least, enough for 643 readings at 5 %."""
    base = [result_of(f"c{index:03}", exact_match=[1.0] * 8) for index in range(cases)]
    new = [*base[:-1], result_of(f"c{cases - 1:03}", exact_match=[0.0] * 8)]

    assert changes_of(base, new) == [(f"c{cases - 1:03}", "exact_match", True)]


def test_correction_counts_every_reading_that_could_have_fallen():
    base = [result_of(f"c{index:03}", exact_match=[1.0] * 8) for index in range(700)]
    new = [*base[:-1], result_of("c699", exact_match=[0.0] * 8)]

    assert changes_of(base, new) == [("c699", "exact_match", False)]


def test_rise_is_listed_and_not_tested():
    assert changes_of([repeats(*[0] * 8)], [repeats(*[1] * 8)]) == [("a", "exact_match", False)]


def test_time_and_unlike_scores_are_left_out():
    base = [result_of("a", latency_s=[1.0] * 8, exact_match=[1.0] * 8)]
    new = [result_of("a", latency_s=[9.0] * 8, exact_match=[0.0] * 8)]
    other = [replace(new[0], scores=tuple(replace(score, signature="other") for score in new[0].scores))]

    assert changes_of(base, new) == [("a", "exact_match", True)]
    assert changes_of(base, other) == []

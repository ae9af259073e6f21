from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.bounds import describe_check
from pytest_llmops.gates.absolute import judge_case, judge_suite
from pytest_llmops.gates.case_results import describe_unscored
from pytest_llmops.records import Case, Check, Failure, Output, Run, Score
from tests.unit.gates.gate_records import result_of, results_of, suite_check

BOOM = Failure(metric="keywords", stage="score", error="boom")
KEYWORDS = Check(metric="keywords", comparison=">=", threshold=0.5)


def case_of(*checks: Check) -> Case:
    return Case(id="returns", input="How?", checks=checks)


@pytest.mark.parametrize(
    ("comparison", "value", "outcome"),
    [
        (">=", 0.5, "passed"),
        (">=", math.nextafter(0.5, 0), "failed"),
        (">", 0.5, "failed"),
        (">", 0.6, "passed"),
        ("<=", 0.5, "passed"),
        ("<=", 0.6, "failed"),
        ("<", 0.5, "failed"),
        ("<", 0.4, "passed"),
    ],
)
def test_bound_is_held_exactly(comparison, value, outcome):
    check = Check(metric="keywords", comparison=comparison, threshold=0.5)

    (verdict,) = judge_case(case_of(check), result_of("returns", keywords=value))

    assert (verdict.outcome, verdict.observed, verdict.case) == (outcome, value, "golden/shop.yaml::returns")
    assert verdict.check == f"keywords {comparison} 0.5"


def test_mean_of_the_repeats_decides_and_each_is_evidence():
    result = result_of("returns", keywords=[1.0, 0.5, 1.0])
    result = replace(
        result,
        scores=(result.scores[2], replace(result.scores[1], reason="missing: 60 days"), result.scores[0]),
    )

    verdict, held = (
        judge_case(case_of(Check(metric="keywords", comparison=">=", threshold=bound)), result)[0]
        for bound in (0.9, 0.8)
    )

    assert (verdict.outcome, held.outcome, held.evidence) == ("failed", "passed", ())
    assert verdict.observed == held.observed == pytest.approx(2.5 / 3)
    assert [each["repeat"] for each in verdict.evidence] == [0, 1, 2]
    assert verdict.evidence[:2] == (
        {"repeat": 0, "value": 1.0},
        {"repeat": 1, "value": 0.5, "reason": "missing: 60 days"},
    )
    assert verdict.reason == "missing: 60 days"


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (
            result_of(
                "returns", keywords=1.0, failures=[Failure(metric="keywords", stage="score", error="boom")]
            ),
            "boom",
        ),
        (
            result_of(
                "returns",
                keywords=[1.0, 1.0],
                failures=[Failure(metric="", stage="app", error="timed out", repeat=2)],
            ),
            "repeat 2: timed out",
        ),
        (result_of("returns"), "keywords gave no score"),
        (
            result_of("returns", keywords=math.nan),
            "keywords gave nan, which is no finite number that can be judged",
        ),
        (
            result_of("returns", keywords=[1.0, math.inf]),
            "keywords gave inf, which is no finite number that can be judged",
        ),
        (result_of("returns", keywords=1.0, texts=["a", "b"]), "keywords gave no score for repeat 1"),
        (result_of("returns", keywords=1.0, texts=["a", "b", "c"]), "keywords gave no score for repeat 1"),
        (
            result_of(
                "returns",
                keywords=[1.0, 1.0],
                failures=[Failure(metric="keywords", stage="score", error="boom")],
            ),
            "repeat 0: boom",
        ),
        (
            result_of("returns", keywords=-1.1e100),
            "keywords gave -1.1e+100, which is no finite number that can be judged",
        ),
        (replace(result_of("returns"), outputs=()), "the app gave no output"),
    ],
)
def test_what_could_not_be_scored_is_an_error(result, reason):
    (verdict,) = judge_case(case_of(KEYWORDS), result)

    assert (verdict.outcome, verdict.reason, verdict.observed) == ("error", reason, None)


def test_scores_of_a_baseline_stand_without_the_outputs_that_it_does_not_keep():
    kept = replace(result_of("returns", keywords=[1.0, 0.0]), outputs=())

    assert judge_case(case_of(KEYWORDS), kept)[0].observed == 0.5
    assert judge_suite(suite_check("keywords"), [kept]).observed == 0.5


def test_failure_of_another_metric_leaves_a_check_alone():
    result = result_of(
        "returns", keywords=1.0, failures=[Failure(metric="semantic", stage="score", error="no weights")]
    )
    semantic = Check(metric="semantic", comparison=">=", threshold=0.8)

    assert [each.outcome for each in judge_case(case_of(KEYWORDS, semantic), result)] == ["passed", "error"]


def test_app_that_broke_makes_every_check_an_error_of_one_reason():
    result = replace(
        result_of("returns"),
        outputs=(),
        failures=(Failure(metric="", stage="app", error="KeyError: 'city'"),),
    )
    semantic = Check(metric="semantic", comparison=">=", threshold=0.8)

    verdicts = judge_case(case_of(KEYWORDS, semantic), result)

    assert [(verdict.outcome, verdict.reason) for verdict in verdicts] == [("error", "KeyError: 'city'")] * 2
    assert [each.outcome for each in judge_case(case_of(), result)] == ["error"]


def test_case_without_checks_asks_only_for_an_answer():
    (verdict,) = judge_case(case_of(), result_of("returns"))

    assert (verdict.check, verdict.outcome) == ("answered", "passed")


def test_two_bounds_of_one_metric_are_two_verdicts():
    checks = (KEYWORDS, Check(metric="keywords", comparison="<=", threshold=0.6))

    verdicts = judge_case(case_of(*checks), result_of("returns", keywords=0.7))

    assert [(verdict.check, verdict.outcome) for verdict in verdicts] == [
        ("keywords >= 0.5", "passed"),
        ("keywords <= 0.6", "failed"),
    ]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (suite_check("recall@5", bound=">= 0.9"), "recall@5 mean >= 0.9"),
        (suite_check("latency_s", "p95", "<= 2"), "latency_s p95 <= 2"),
        (suite_check("semantic", max_drop=0.03), "semantic mean, max_drop 0.03"),
        (suite_check("semantic"), "semantic mean"),
        (Check(metric="keywords", comparison=">=", threshold=1.0), "keywords >= 1"),
    ],
)
def test_check_is_described(check, text):
    assert describe_check(check) == text


@pytest.mark.parametrize(
    ("check", "values", "outcome", "observed"),
    [
        (suite_check(bound=">= 0.9"), [1.0] * 9 + [0.0], "passed", 0.9),
        (suite_check(bound="> 0.9"), [1.0] * 9 + [0.0], "failed", 0.9),
        (suite_check(statistic="sum", bound="<= 0.3"), [0.1, 0.1, 0.1], "failed", pytest.approx(0.3)),
        (suite_check(statistic="sum", bound="<= 0.31"), [0.1, 0.1, 0.1], "passed", pytest.approx(0.3)),
        (suite_check(statistic="p95", bound="<= 2"), [1.0] * 19 + [9.0], "passed", pytest.approx(1.4)),
        (suite_check(statistic="min", bound=">= 0.5"), [0.4, 1.0], "failed", 0.4),
        (suite_check(max_drop=0.1), [0.0, 0.5], "passed", 0.25),
        (suite_check(statistic="median", bound=">= 0"), [1.0], "error", None),
    ],
)
def test_statistic_of_the_suite_is_judged(check, values, outcome, observed):
    verdict = judge_suite(check, results_of(values))

    assert (verdict.outcome, verdict.observed, verdict.cases) == (outcome, observed, len(values))
    assert verdict.case is None


def test_repeats_are_averaged_within_a_case_first():
    results = [result_of("a", exact_match=[0.0] * 9), result_of("b", exact_match=1.0)]

    assert judge_suite(suite_check(), results).observed == 0.5


def test_case_that_has_no_use_for_a_metric_is_left_out():
    verdict = judge_suite(
        suite_check(bound=">= 1"), [result_of("a", exact_match=1.0), result_of("b", keywords=0.0)]
    )

    assert (verdict.outcome, verdict.cases) == ("passed", 1)


@pytest.mark.parametrize("metric", ["exact_match", ""])
def test_error_is_never_hidden_by_a_mean(metric):
    broken = result_of("b", failures=[Failure(metric=metric, stage="app", error="boom")])

    verdict = judge_suite(suite_check(bound=">= 0.1"), [result_of("a", exact_match=1.0), broken])

    assert verdict.outcome == "error"
    assert verdict.evidence == ("golden/shop.yaml::b",)
    assert "golden/shop.yaml::b" in verdict.reason
    assert "boom" in verdict.reason


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (1, "1 case (golden/shop.yaml::b0) could not"),
        (2, "2 cases (golden/shop.yaml::b0, golden/shop.yaml::b1) could not"),
        (5, "b4) could not"),
        (7, "b4 and 2 more) could not"),
    ],
)
def test_cases_that_could_not_be_scored_are_counted_and_five_of_them_named(broken, told):
    failure = Failure(metric="exact_match", stage="score", error="boom")
    results = [result_of(f"b{index}", failures=[failure]) for index in reversed(range(broken))]

    verdict = judge_suite(suite_check(), [*results, result_of("a", exact_match=1.0)])

    assert told in verdict.reason
    assert verdict.reason.startswith(f"{broken} case")
    assert (verdict.cases, len(verdict.evidence)) == (broken, broken)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([], "nothing was scored: give the golden file checks"),
        ([result_of("a")], "nothing was scored: give the golden file checks"),
        ([result_of("a"), result_of("b", failures=[BOOM])], "nothing was scored"),
        ([result_of("a"), result_of("b", keywords=0.0)], ""),
    ],
)
def test_run_in_which_nothing_was_scored_says_so(results, told):
    assert describe_unscored(Run(signature={}, results=tuple(results))) == told


def test_nothing_scored_is_an_error():
    for results in ([], [result_of("a", keywords=1.0)]):
        assert judge_suite(suite_check(), results).outcome == "error"


@given(st.permutations(results_of([0.1, 0.7, 0.2, 1.0, 0.3])), st.sampled_from(["mean", "sum", "min", "p90"]))
def test_order_of_cases_is_irrelevant_to_a_suite(results, name):
    check = suite_check(statistic=name, bound=">= 0.4")

    assert judge_suite(check, results) == judge_suite(check, sorted(results, key=lambda each: each.case))


@given(st.lists(st.one_of(st.floats(), st.none()), min_size=1, max_size=4))
def test_no_score_whatever_it_is_becomes_a_nan(values):
    result = replace(
        result_of("returns"),
        outputs=tuple(Output(text="", repeat=repeat) for repeat in range(len(values))),
        scores=tuple(
            Score(metric="keywords", value=value, repeat=repeat)
            for repeat, value in enumerate(values)
            if value is not None
        ),
    )
    whole = all(value is not None and abs(value) <= 1e100 for value in values)

    for verdict in (judge_case(case_of(KEYWORDS), result)[0], judge_suite(suite_check("keywords"), [result])):
        assert verdict.observed is None or math.isfinite(verdict.observed)
        assert (verdict.outcome == "error") == (not whole)


def test_a_recorded_check_fails_in_no_repeat():
    check = Check(metric="keywords", comparison=">=", threshold=1.0, record_only=True)

    (verdict,) = judge_case(case_of(check), result_of("returns", keywords=[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]))

    assert (verdict.outcome, verdict.observed) == ("passed", pytest.approx(1 / 6))

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmops.gates.drops import judge_suites_against
from pytest_llmops.records import CaseResult, Failure, Score
from pytest_llmops.registry import register_metric
from tests.unit.gates.gate_records import FILE, judge_suite_against, result_of, results_of, suite_check

ONES, HALF = [1.0] * 20, [1.0] * 10 + [0.0] * 10
WATCHED = suite_check(max_drop=0.05)


@pytest.mark.parametrize(
    ("check", "before", "after", "outcome"),
    [
        pytest.param(WATCHED, ONES, ONES, "passed", id="nothing changed"),
        pytest.param(WATCHED, ONES, HALF, "regressed", id="half fell"),
        pytest.param(WATCHED, HALF, ONES, "passed", id="half rose"),
        pytest.param(
            WATCHED, ONES, [1.0] * 17 + [0.0] * 3, "undecided", id="more than max_drop, may be chance"
        ),
        pytest.param(WATCHED, [0.9] * 20, [0.88] * 20, "passed", id="beyond chance, within max_drop"),
        pytest.param(WATCHED, [0.9] * 20, [0.85] * 20, "passed", id="max_drop itself, however it rounds"),
        pytest.param(WATCHED, [0.9] * 20, [0.8] * 20, "regressed", id="constant drop"),
        pytest.param(WATCHED, [0.9] * 4, [0.8] * 4, "undecided", id="constant drop of too few"),
        pytest.param(WATCHED, [0.9], [0.1], "undecided", id="one case"),
        pytest.param(WATCHED, [0.9], [0.9], "passed", id="one case, equal"),
        pytest.param(suite_check(), [0.9] * 20, [0.89] * 20, "regressed", id="no max_drop tolerates nothing"),
        pytest.param(suite_check(), ONES, [1.0] * 17 + [0.0] * 3, "passed", id="no max_drop, may be chance"),
        pytest.param(suite_check(max_drop=0.0), ONES, [1.0] * 17 + [0.0] * 3, "undecided", id="max_drop 0"),
        pytest.param(
            suite_check("latency_s", max_drop=0.5), [1.0] * 20, [2.0] * 20, "regressed", id="slower"
        ),
        pytest.param(suite_check("latency_s", max_drop=0.5), [2.0] * 20, [1.0] * 20, "passed", id="faster"),
        pytest.param(
            suite_check("latency_s"), [1.0] * 20, [2.0] * 20, "passed", id="time is not watched unasked"
        ),
        pytest.param(
            suite_check("latency_s", "p95", "<= 9", 0.5),
            [1.0] * 20,
            [2.0] * 20,
            "regressed",
            id="slower tail",
        ),
        pytest.param(
            suite_check("tokens", "sum", max_drop=10), [5.0] * 20, [6.0] * 20, "regressed", id="sum rose"
        ),
        pytest.param(
            suite_check("tokens", "sum", max_drop=20), [5.0] * 20, [6.0] * 20, "passed", id="sum within"
        ),
        pytest.param(
            suite_check(bound=">= 0.9", max_drop=0.2), ONES, [1.0] * 17 + [0.0] * 3, "failed", id="missed"
        ),
        pytest.param(
            suite_check(bound=">= 0.9", max_drop=0.1), ONES, HALF, "regressed", id="missed and regressed"
        ),
        pytest.param(
            suite_check("keywords", max_drop=0.05), ONES, HALF, "regressed", id="direction without options"
        ),
    ],
)
def test_outcome(check, before, after, outcome):
    verdict = judge_suite_against(check, results_of(after, check.metric), results_of(before, check.metric))

    assert verdict.outcome == outcome
    assert verdict.difference == pytest.approx(verdict.observed - verdict.baseline)
    assert verdict.interval[0] - 1e-9 <= verdict.difference <= verdict.interval[1] + 1e-9
    assert 0 < verdict.p_value <= 1
    assert not verdict.known


def test_regression_says_how_much_and_which_cases_fell():
    verdict = judge_suite_against(WATCHED, results_of(HALF), results_of(ONES))

    assert verdict.reason == "worse than the baseline by 0.5, more than max_drop 0.05"
    assert verdict.evidence[0] == {"case": f"{FILE}::case-0010", "before": 1.0, "after": 0.0}
    assert verdict.p_value < 0.01
    assert verdict.p_adjusted == verdict.p_value
    assert verdict.cases == 20


def test_threshold_that_the_baseline_missed_too_is_known():
    check = suite_check(bound=">= 0.9")

    verdict = judge_suite_against(check, results_of(HALF), results_of(HALF))
    fixed = judge_suite_against(check, results_of(ONES), results_of(HALF))

    assert (verdict.outcome, verdict.known) == ("failed", True)
    assert fixed.outcome == "passed"
    assert fixed.advice.startswith("fixed: failed in the baseline; this run could see")


def test_undecided_tells_what_would_decide():
    after = [1.0] * 17 + [0.0] * 3

    verdict = judge_suite_against(WATCHED, results_of(after), results_of(ONES))

    assert verdict.reason.startswith("a drop of 0.3")
    assert "this run could see a drop of 0.2" in verdict.advice
    assert "cases would see one of 0.05" in verdict.advice


def test_smallest_drop_seen_shrinks_with_the_cases():
    generator = np.random.default_rng(0)

    def seen(cases: int) -> float:
        before = generator.normal(0.7, 0.05, cases).tolist()
        after = (np.array(before) + generator.normal(0, 0.05, cases)).tolist()
        verdict = judge_suite_against(
            suite_check("rouge_l", max_drop=0.2), results_of(after, "rouge_l"), results_of(before, "rouge_l")
        )
        return float(verdict.advice.removeprefix("this run could see a drop of "))

    assert seen(40) > 2 * seen(400)


def one_signed(result: CaseResult, signature: str) -> CaseResult:
    return replace(result, scores=tuple(replace(score, signature=signature) for score in result.scores))


BROKEN = result_of("case-0003", failures=[Failure(metric="exact_match", stage="score", error="boom")])


@pytest.mark.parametrize(
    ("check", "results", "base", "words"),
    [
        pytest.param(
            WATCHED, [*results_of(ONES[:3]), BROKEN], results_of(ONES), ("boom", "case-0003"), id="unscored"
        ),
        pytest.param(
            WATCHED, results_of(ONES, start=50), results_of(ONES), ("nothing can be",), id="none shared"
        ),
        pytest.param(WATCHED, results_of(ONES), [], ("nothing can be compared",), id="empty baseline"),
        pytest.param(WATCHED, [], results_of(ONES), ("nothing was scored",), id="empty run"),
        pytest.param(
            WATCHED,
            [one_signed(each, "exact_match|v2") for each in results_of(ONES)],
            results_of(ONES),
            ("exact_match|v2", "exact_match|v1", "case-0000"),
            id="unlike signatures",
        ),
        pytest.param(
            suite_check("exact_mach"),
            results_of(ONES, "exact_mach"),
            results_of(ONES, "exact_mach"),
            ("Did you mean 'exact_match'?",),
            id="unknown metric",
        ),
        pytest.param(WATCHED, results_of([*ONES, math.nan]), results_of([*ONES, 1.0]), ("nan",), id="NaN"),
        pytest.param(
            WATCHED, results_of([*ONES, 1e300]), results_of([*ONES, 1.0]), ("1e+300",), id="enormous"
        ),
    ],
)
def test_what_cannot_be_compared_is_an_error_with_its_reason(check, results, base, words):
    verdict = judge_suite_against(check, results, base)

    assert verdict.outcome == "error"
    assert all(word in verdict.reason for word in words), verdict.reason
    assert verdict.p_value is None


@pytest.mark.parametrize(
    "base",
    [
        pytest.param(results_of([*ONES, 1.0]), id="gone"),
        pytest.param(
            [*results_of(ONES), result_of("x", failures=BROKEN.failures)], id="not scored in the baseline"
        ),
        pytest.param(
            [*results_of(ONES), result_of("x", exact_match=math.inf)], id="not finite in the baseline"
        ),
    ],
)
def test_case_of_the_baseline_that_is_lost_leaves_the_check_undecided(base):
    verdict = judge_suite_against(WATCHED, results_of(ONES), base)

    assert verdict.outcome == "undecided"
    assert base[-1].case in verdict.reason
    assert verdict.cases == 20


def test_edited_case_is_another_case():
    base = results_of(ONES)
    edited = [replace(base[0], input_hash="asks otherwise"), *base[1:]]

    verdict = judge_suite_against(WATCHED, edited, base)

    assert (verdict.outcome, verdict.cases) == ("undecided", 19)


def test_new_case_is_no_reason_to_doubt():
    verdict = judge_suite_against(WATCHED, results_of([*ONES, 0.0]), results_of(ONES))

    assert (verdict.outcome, verdict.cases, verdict.difference) == ("passed", 20, 0.0)
    assert verdict.observed == 20 / 21


def test_holm_runs_over_the_checks_of_all_files():
    """A drop with p = 1/32 is regressed alone and undecided beside three that say nothing."""
    before, after = [1.0] * 5, [0.8] * 5
    many = {
        "a.yaml": (WATCHED,),
        "b.yaml": (suite_check("rouge_l", max_drop=0.05), suite_check("bleu", max_drop=1)),
    }

    def results(value: list[float]) -> list[CaseResult]:
        named = [replace(each, case=each.case.replace(FILE, "a.yaml")) for each in results_of(value)]
        more = [result_of(f"c{index}", rouge_l=0.5, bleu=50.0) for index in range(5)]
        return [*named, *(replace(each, case=each.case.replace(FILE, "b.yaml")) for each in more)]

    alone = judge_suites_against({"a.yaml": (WATCHED,)}, results(after), results(before))
    together = judge_suites_against(many, results(after), results(before))

    assert alone["a.yaml"][0].outcome == "regressed"
    assert together["a.yaml"][0].outcome == "undecided"
    assert together["a.yaml"][0].p_adjusted == pytest.approx(3 / 32)
    assert [each.cases for each in together["b.yaml"]] == [5, 5]


def test_metric_of_a_user_tells_its_direction(monkeypatch):
    class Rudeness:
        name = "rudeness"
        version = 1
        needs: frozenset[str] = frozenset()
        range = (0.0, 1.0)
        higher_is_better = False
        bound = None

        def score(self, batch: list[object]) -> list[Score]:
            return [Score(metric=self.name, value=0.0) for _ in batch]

    monkeypatch.setattr("pytest_llmops.registry._registered", {})
    register_metric("rudeness", Rudeness)

    worse = judge_suite_against(
        suite_check("rudeness"), results_of(ONES, "rudeness"), results_of(HALF, "rudeness")
    )
    better = judge_suite_against(
        suite_check("rudeness"), results_of(HALF, "rudeness"), results_of(ONES, "rudeness")
    )

    assert (worse.outcome, better.outcome) == ("regressed", "passed")


values = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(values, st.sampled_from([None, 0.0, 0.05]), st.randoms(use_true_random=False))
def test_order_of_cases_is_irrelevant_and_nothing_is_nan(drawn, max_drop, random):
    base, new = (results_of(list(side), "rouge_l") for side in zip(*drawn, strict=True))
    check = suite_check("rouge_l", bound=">= 0.5", max_drop=max_drop)
    verdict = judge_suite_against(check, new, base)
    random.shuffle(base)
    random.shuffle(new)

    assert judge_suite_against(check, new, base) == verdict
    numbers = (verdict.observed, verdict.baseline, verdict.difference, *verdict.interval, verdict.p_value)
    assert all(math.isfinite(number) for number in numbers)
    assert 0 < verdict.p_value <= verdict.p_adjusted <= 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 0.5), min_size=6, max_size=20))
def test_worse_one_way_is_better_the_other_way(drops):
    """The same numbers of a metric where more is better, and, turned round, of one where less is."""
    high = [0.9] * len(drops)
    low = [0.9 - drop for drop in drops]

    fell = judge_suite_against(WATCHED, results_of(low), results_of(high))
    rose = judge_suite_against(WATCHED, results_of(high), results_of(low))
    slower = judge_suite_against(
        suite_check("latency_s", max_drop=0.05),
        results_of([-each for each in low], "latency_s"),
        results_of([-each for each in high], "latency_s"),
    )

    assert rose.outcome == "passed"
    assert slower.outcome == fell.outcome
    assert slower.p_value == fell.p_value
    assert slower.difference == pytest.approx(-fell.difference)

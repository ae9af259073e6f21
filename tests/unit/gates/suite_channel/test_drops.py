from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_llmops import Score, compare
from tests.unit.gates.gate_records import (
    FILE,
    failure_of,
    judge_suite_against,
    metric_of,
    registered,
    result_of,
    results_of,
    run_of,
    suite_check,
)

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
    watched = check.metric != "latency_s" or check.max_drop is not None
    assert 0 < verdict.p_value <= 1 if watched else verdict.p_value is None
    assert not verdict.known


def test_regression_says_how_much_and_which_cases_fell():
    verdict = judge_suite_against(WATCHED, results_of(HALF), results_of(ONES))

    assert verdict.reason == "worse than the baseline by 0.5, more than max_drop 0.05"
    assert verdict.evidence[0] == {"case": f"{FILE}::case-0010", "before": 1.0, "after": 0.0}
    assert verdict.p_value == 2.0**-10
    assert verdict.p_adjusted == pytest.approx(verdict.p_value * 0.05 / 0.02)  # a drop beyond max_drop: 2 %
    assert verdict.cases == 20
    assert len(verdict.evidence) == 5


def test_threshold_that_the_baseline_missed_too_is_known():
    check = suite_check(bound=">= 0.9")

    verdict = judge_suite_against(check, results_of(HALF), results_of(HALF))
    fixed = judge_suite_against(check, results_of(ONES), results_of(HALF))

    assert (verdict.outcome, verdict.known) == ("failed", True)
    assert fixed.outcome == "passed"
    assert fixed.advice.startswith("fixed: failed in the baseline; this run could see")


def one_signed(result, signature: str):
    return replace(result, scores=tuple(replace(score, signature=signature) for score in result.scores))


BROKEN = result_of("case-0003", failures=[failure_of("boom", "exact_match", "score")])


@pytest.mark.parametrize(
    ("check", "results", "base", "words"),
    [
        pytest.param(
            WATCHED, [*results_of(ONES[:3]), BROKEN], results_of(ONES), ("boom", "case-0003"), id="unscored"
        ),
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


def test_what_the_baseline_missed_is_told_by_the_cases_that_it_scored():
    base = [*results_of(HALF), result_of("x", failures=BROKEN.failures)]

    now = [*results_of(HALF), result_of("x", exact_match=0.0)]
    verdict = judge_suite_against(suite_check(bound=">= 0.9"), now, base)

    assert (verdict.outcome, verdict.cases) == ("undecided", 20)
    assert f"{FILE}::x" in verdict.reason


@pytest.mark.parametrize(("lost", "told"), [(5, "case-0024"), (7, "case-0024 and 2 more")])
def test_five_lost_cases_are_named(lost, told):
    verdict = judge_suite_against(WATCHED, results_of(ONES), results_of([1.0] * (20 + lost)))

    assert verdict.reason.startswith(
        f"{lost} of the baseline's cases cannot be compared: {FILE}::case-0020, "
    )
    assert verdict.reason.endswith(told)


def test_known_miss_with_a_drop_that_chance_may_explain_says_both():
    check = suite_check(bound=">= 0.9", max_drop=0.04)
    lower = [*HALF[1:], 0.0]

    verdict = judge_suite_against(check, results_of(lower), results_of(HALF))

    assert (verdict.outcome, verdict.known) == ("undecided", False)
    told = "dropped by 0.05; 20 cases are too few to prove it"
    assert verdict.reason == f"{told}; the threshold is missed, as in the baseline"
    assert judge_suite_against(suite_check(max_drop=0.04), results_of(lower), results_of(HALF)).reason == told


def test_what_merely_cannot_be_ruled_out_is_advice():
    """The interval reaches beyond `max_drop`, the observed drop does not."""
    check = suite_check(bound=">= 0.9", max_drop=0.05)

    known, passed = (
        judge_suite_against(each, results_of([*HALF[1:], 0.0]), results_of(HALF))
        for each in (check, suite_check(max_drop=0.05))
    )

    assert known.interval[0] < -0.05
    assert (known.outcome, known.known, passed.outcome) == ("failed", True, "passed")
    assert passed.advice.startswith("this run could see a drop of 0.1")


def test_edited_case_is_another_case():
    base = results_of(ONES)
    edited = [replace(base[0], input_hash="asks otherwise"), *base[1:]]

    verdict = judge_suite_against(WATCHED, edited, base)

    assert (verdict.outcome, verdict.cases) == ("undecided", 19)


def test_new_case_is_no_reason_to_doubt():
    verdict = judge_suite_against(WATCHED, results_of([*ONES, 0.0]), results_of(ONES))

    assert (verdict.outcome, verdict.cases, verdict.difference) == ("passed", 20, 0.0)
    assert verdict.observed == 20 / 21


@pytest.mark.parametrize(
    ("check", "after", "outcome", "told"),
    [
        (suite_check(max_drop=0.05), 0.0, "undecided", True),
        (suite_check(), 0.0, "passed", True),
        (suite_check(bound=">= 0.5"), 1.0, "passed", True),
        (suite_check(bound=">= 0.5", max_drop=0.1), 0.0, "failed", True),
        (suite_check("latency_s", bound="<= 1"), 2.0, "failed", False),  # nothing is watched, nothing lacks
    ],
)
def test_metric_that_the_baseline_never_scored_is_held_to_its_threshold(check, after, outcome, told):
    base = results_of(ONES, "rouge_l")
    verdict = judge_suite_against(check, results_of([after] * 20, check.metric), base)

    assert (verdict.outcome, verdict.p_value, verdict.known) == (outcome, None, False)
    assert ("the baseline has no score of it yet" in verdict.advice) == told


@pytest.mark.parametrize(
    ("check", "value", "outcome"),
    [
        (WATCHED, 1.0, "undecided"),
        (suite_check(), 1.0, "undecided"),
        (suite_check(bound=">= 0.5"), 1.0, "undecided"),
        (suite_check(bound=">= 0.5", max_drop=0.05), 0.0, "failed"),
    ],
)
def test_metric_that_the_baseline_scored_for_other_cases_alone_has_nothing_to_compare_with(
    check, value, outcome
):
    base = [*results_of(ONES, "rouge_l"), result_of("gone", exact_match=1.0)]

    verdict = judge_suite_against(check, results_of([value] * 20), base)

    assert (verdict.outcome, verdict.known) == (outcome, False)
    assert verdict.reason == "nothing to compare with: no case has a score on both sides"
    assert "llmops accept --prune" in verdict.advice
    timed = judge_suite_against(suite_check("latency_s", bound="<= 9"), results_of(ONES, "latency_s"), base)
    assert (timed.outcome, timed.reason) == ("passed", "")  # nothing is watched


def test_check_that_watches_for_no_drop_costs_the_others_nothing():
    results, base = results_of([0.8] * 6), results_of([1.0] * 6)
    slower = [replace(result, scores=(*result.scores, latency(9.0))) for result in results]
    before = [replace(each, scores=(*each.scores, latency(1.0))) for each in base]

    watched, timed = compare(run_of(before), run_of(slower, WATCHED, suite_check("latency_s"))).verdicts[:2]

    alone = judge_suite_against(WATCHED, results, base)
    assert (watched.outcome, watched.p_adjusted) == ("regressed", alone.p_value / 0.7)
    assert (timed.outcome, timed.p_value, timed.p_adjusted) == ("passed", None, None)
    unpaired = judge_suite_against(suite_check("latency_s", bound="<= 10"), slower, base)
    assert (unpaired.outcome, unpaired.difference) == ("passed", None)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_unit_of_a_metric_decides_nothing(unit):
    """Dollars of a case can be millionths, and their doubling is no noise."""
    check = suite_check("cost_usd", max_drop=0.1 * unit)
    once = results_of([0.5 * unit] * 20, "cost_usd")

    for times, outcome in ((2.0, "regressed"), (1.1, "passed"), (1.0, "passed")):
        now = results_of([0.5 * times * unit] * 20, "cost_usd")
        assert judge_suite_against(check, now, once).outcome == outcome
    below = [results_of([-0.5 * (1 + more)] * 20, "semantic") for more in (0.0, 1e-7)]
    assert judge_suite_against(suite_check("semantic", max_drop=0.0), *below[::-1]).outcome == "passed"
    noisy = results_of([0.5 * unit * (1 + 1e-7)] * 20, "cost_usd")
    assert judge_suite_against(suite_check("cost_usd", max_drop=0.0), noisy, once).outcome == "passed"


def latency(seconds: float) -> Score:
    return Score(metric="latency_s", value=seconds, signature="latency_s|v1")


def test_known_leak_of_a_suite_is_failed_and_not_excused():
    check = suite_check("pii_leak", "sum", "<= 0")
    leaking = results_of([1.0, 0.0], "pii_leak")

    verdict = judge_suite_against(check, leaking, leaking)

    assert (verdict.outcome, verdict.known) == ("failed", False)
    assert "excuses no leak" in verdict.reason
    assert judge_suite_against(check, leaking, results_of([0.0, 0.0], "pii_leak")).reason.endswith("held it")


def test_metric_of_a_user_tells_its_direction():
    with registered(metric_of("rudeness", "<= 0", higher_is_better=False)):
        worse, better = (
            judge_suite_against(
                suite_check("rudeness"), results_of(new, "rudeness"), results_of(base, "rudeness")
            )
            for base, new in ((HALF, ONES), (ONES, HALF))
        )

    assert (worse.outcome, better.outcome) == ("regressed", "passed")

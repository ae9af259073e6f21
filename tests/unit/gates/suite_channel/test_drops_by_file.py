"""Golden files side by side: each with its part of the error budget, its own looks and its own watch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.gates.error_budget import SUITE_SHARE
from pytest_llmops.gates.paired_runs import Chance, first_repeats
from pytest_llmops.gates.suite_channel.verdicts import (
    judge_and_track,
    tolerated_drops,
    track_suites,
    watch_means,
)
from pytest_llmops.records import Case, CaseResult, Golden, SuiteCheck
from tests.unit.gates.gate_records import (
    FILE,
    VARYING,
    check_of,
    judge_suite_against,
    result_of,
    results_of,
    run_of,
    suite_check,
)

OTHER = "golden/other.yaml"
WATCHED = suite_check(max_drop=0.05)


def verdicts_on(*arguments, **further):
    judged = judge_and_track(*arguments, **further)
    return {path: tuple(verdict for verdict, _ in of_file) for path, of_file in judged.items()}


def test_files_share_the_budget_and_holm_runs_within_each():
    """Five equal drops: enough for the suite's part of the budget, too little for half of that."""
    many = {
        "a.yaml": (WATCHED,),
        "b.yaml": (suite_check(max_drop=0.05), suite_check("rouge_l", max_drop=0.05)),
        "empty.yaml": (),
    }

    def results(value: float) -> list[CaseResult]:
        named = [replace(each, case=each.case.replace(FILE, "a.yaml")) for each in results_of([value] * 5)]
        more = [result_of(f"c{index}", exact_match=value, rouge_l=0.5) for index in range(5)]
        return [*named, *(replace(each, case=each.case.replace(FILE, "b.yaml")) for each in more)]

    alone = verdicts_on({"a.yaml": (WATCHED,)}, results(0.8), results(1.0))
    together = verdicts_on(many, results(0.8), results(1.0))

    (one,) = alone["a.yaml"]
    assert (one.outcome, one.p_adjusted) == ("regressed", pytest.approx(one.p_value / SUITE_SHARE))
    (half,) = together["a.yaml"]
    assert (half.outcome, half.p_adjusted) == ("undecided", pytest.approx(2 * one.p_adjusted))
    assert [(each.cases, each.p_adjusted) for each in together["b.yaml"]] == [
        (5, pytest.approx(4 * one.p_adjusted)),
        (5, 1.0),
    ]
    assert together["empty.yaml"] == ()


def test_share_of_the_budget_weighs_each_p_value():
    results, base = results_of([0.8] * 5), results_of([1.0] * 5)

    (halved,) = verdicts_on({"": (WATCHED,)}, results, base, share=SUITE_SHARE / 2)[""]

    whole = judge_suite_against(WATCHED, results, base)
    assert (halved.outcome, halved.p_adjusted) == ("undecided", pytest.approx(2 * whole.p_adjusted))
    assert whole.outcome == "regressed"


def test_courses_are_those_of_the_verdict():
    """What decides on further repeats follows the same numbers that the verdict will be made of."""
    base = [result_of(f"c{index:02}", exact_match=VARYING, rouge_l=VARYING) for index in range(12)]
    results = [
        result_of(f"c{index:02}", exact_match=[0.0] * 10, rouge_l=[0.0] * 3 + [1.0] * 7, auto=64)
        for index in range(12)
    ]
    suite = {"": (suite_check(), suite_check("rouge_l"), suite_check("bleu"))}
    chance = Chance(base)

    called, refuted = track_suites(suite, results, base, share=0.25, chance=chance)

    judged = verdicts_on(suite, results, base, share=0.25, chance=chance)[""]
    assert [each.scores.check for each in (called, refuted)] == list(suite[""][:2])
    assert (called.state, refuted.state) == ("regressed", "refuted")
    assert [each.outcome for each in judged] == ["regressed", "passed", "error"]
    assert [each.p_adjusted for each in judged[:2]] == [called.p_adjusted, refuted.p_adjusted]
    assert [each.p_value for each in judged[:2]] == [called.p_value, refuted.p_value]
    assert called.last == 2.0**-12  # of the test at four repeats, which has a fifth of the budget
    assert called.p_value == pytest.approx(5 * called.last)
    assert called.p_adjusted == pytest.approx(2 * called.p_value / 0.25)


def test_looks_are_taken_by_golden_file():
    """A file whose cases are behind holds up no other one."""
    base = [result_of(f"c{index:02}", exact_match=VARYING) for index in range(12)]
    behind = [replace(each, case=each.case.replace(FILE, OTHER)) for each in base]
    ten = [result_of(f"c{index:02}", exact_match=[0.0] * 10, auto=64) for index in range(12)]
    two = [replace(first_repeats(each, 2), case=each.case.replace(FILE, OTHER)) for each in ten]
    suite = {FILE: (suite_check(),), OTHER: (suite_check(),)}

    judged = verdicts_on(suite, [*ten, *two], [*base, *behind])

    assert judged[FILE][0].p_value == pytest.approx(5 * 2.0**-12)
    assert judged[FILE][0].outcome == "regressed"
    assert judged[OTHER][0].p_value == 1.0  # no test before the fourth repeat


def test_tolerated_drop_of_single_cases_is_that_of_the_mean():
    suite = {
        "a.yaml": (
            suite_check(max_drop=0.2),
            suite_check(statistic="p50", max_drop=0.01),
            suite_check("bleu"),
        ),
        "b.yaml": (suite_check(max_drop=0.1), suite_check("rouge_l", max_drop=0.0)),
    }

    assert tolerated_drops(suite) == {"exact_match": 0.1, "rouge_l": 0.0}


def golden_of(*metrics: str, suite: tuple[SuiteCheck, ...] = ()) -> Golden:
    cases = tuple(
        Case(id=f"c{at}", input="How?", checks=(check_of(each),)) for at, each in enumerate(metrics)
    )
    return Golden(path=FILE, cases=cases, suite=suite)


def test_golden_file_without_a_suite_has_the_mean_of_each_bounded_metric_watched():
    golden = golden_of("keywords", "latency_s", "bleu", "pii_leak", "nosuch", "keywords", "cost_usd")

    watched = watch_means(golden, run_of([result_of("c0", keywords=1.0)]))

    assert watched.suite == (suite_check("keywords"), suite_check("bleu"))
    assert replace(watched, suite=()) == golden


@pytest.mark.parametrize(
    ("golden", "base"),
    [
        pytest.param(golden_of("bleu"), None, id="no baseline"),
        pytest.param(golden_of("bleu"), run_of([]), id="an empty one"),
        pytest.param(
            golden_of("bleu"),
            run_of([replace(each, case=f"{OTHER}::{at}") for at, each in enumerate(results_of([1.0, 1.0]))]),
            id="one of other files",
        ),
        pytest.param(
            golden_of("bleu", suite=(suite_check("bleu", "sum"),)),
            run_of(results_of([1.0])),
            id="watched by the suite",
        ),
        pytest.param(
            golden_of("bleu", suite=(replace(suite_check("bleu"), watch=False),)),
            run_of(results_of([1.0])),
            id="watch: false",
        ),
        pytest.param(golden_of("latency_s", "pii_leak"), run_of(results_of([1.0])), id="nothing to watch"),
    ],
)
def test_nothing_is_watched_where_there_is_nothing_to_hold_it_against_or_somebody_said_what(golden, base):
    assert watch_means(golden, base) == golden

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pytest_llmops import compare
from tests.unit.gates.gate_records import (
    FILE,
    VARYING,
    failure_of,
    result_of,
    results_of,
    run_of,
    steady,
    suite_check,
)

ONES, HALF = [1.0] * 20, [1.0] * 10 + [0.0] * 10
WATCHED = suite_check(max_drop=0.05)
FAILURE = failure_of("boom", "keywords", "score")


@pytest.mark.parametrize(
    ("base", "run", "outcome"),
    [
        pytest.param(
            run_of(results_of(ONES), WATCHED), run_of(results_of(ONES), WATCHED), "passed", id="same"
        ),
        pytest.param(
            run_of(results_of(ONES), WATCHED), run_of(results_of(HALF), WATCHED), "regressed", id="fell"
        ),
        pytest.param(
            run_of(results_of(ONES)),
            run_of(results_of([*ONES[2:], 0.0, 0.0]), WATCHED),
            "undecided",
            id="may be",
        ),
        pytest.param(
            run_of(results_of([*ONES, 1.0])),
            run_of(results_of(ONES), WATCHED),
            "undecided",
            id="a case is gone",
        ),
        pytest.param(
            run_of([*results_of(ONES), result_of("x", keywords=1.0)]),
            run_of(results_of(ONES), WATCHED),
            "undecided",
            id="a case is gone that no check looks at",
        ),
        pytest.param(
            run_of(results_of(ONES)), run_of(results_of([*ONES, 0.0]), WATCHED), "passed", id="a case is new"
        ),
        pytest.param(
            run_of(results_of(HALF)),
            run_of(results_of(HALF), suite_check(bound=">= 0.9")),
            "passed",
            id="known",
        ),
        pytest.param(
            run_of(results_of(ONES)),
            run_of(results_of([*ONES[3:], 0, 0, 0]), suite_check(bound=">= 0.9")),
            "failed",
            id="newly missed",
        ),
        pytest.param(
            run_of(results_of(ONES)),
            run_of([*results_of(ONES), result_of("x", failures=[FAILURE])], WATCHED),
            "error",
            id="a metric outside the suite broke",
        ),
        pytest.param(
            run_of(results_of(ONES)),
            run_of(results_of(ONES, start=30), WATCHED),
            "undecided",
            id="none shared",
        ),
        pytest.param(run_of([]), run_of([]), "error", id="both empty"),
        pytest.param(run_of([result_of("a")]), run_of([result_of("a")]), "error", id="no scores"),
    ],
)
def test_outcome_of_two_runs(base, run, outcome):
    assert compare(base, run).outcome == outcome


def test_regression_weighs_more_than_all_but_errors():
    results = [result_of(f"c{index}", exact_match=0.0, rouge_l=0.5) for index in range(20)]
    before = [result_of(f"c{index}", exact_match=1.0, rouge_l=0.5) for index in range(20)]
    missed = suite_check("rouge_l", bound=">= 0.4", max_drop=0.1)

    comparison = compare(run_of(before), run_of(results, WATCHED, missed))

    assert [verdict.outcome for verdict in comparison.verdicts] == ["regressed", "passed"]
    assert comparison.outcome == "regressed"
    unknown = compare(run_of(before), run_of(results, WATCHED, suite_check("nosuch")))
    assert unknown.outcome == "error"


def test_run_without_suite_checks_is_judged_by_its_means():
    base = run_of([result_of(f"c{index}", exact_match=1.0, latency_s=1.0) for index in range(20)])
    run = run_of([result_of(f"c{index}", exact_match=0.0, latency_s=9.0) for index in range(20)])

    comparison = compare(base, run)

    assert [(verdict.check, verdict.outcome) for verdict in comparison.verdicts] == [
        ("exact_match mean", "regressed"),
        ("latency_s mean", "passed"),
    ]


def test_suite_can_be_given():
    suite = {FILE: [suite_check(max_drop=0.6)]}

    assert compare(run_of(results_of(ONES)), run_of(results_of(HALF), WATCHED)).outcome == "regressed"
    assert (
        compare(run_of(results_of(ONES)), run_of(results_of(HALF), WATCHED), suite=suite).outcome == "passed"
    )


def test_baseline_cannot_loosen_what_the_run_asks():
    base = run_of(results_of(ONES), suite_check(max_drop=1.0))

    assert compare(base, run_of(results_of(HALF), WATCHED)).outcome == "regressed"


def test_new_missing_and_changed_cases_are_listed():
    base = run_of([*results_of([1.0, 1.0]), result_of("gone", exact_match=1.0)])
    run = run_of([*results_of([1.0, 0.0]), result_of("come", exact_match=1.0)])

    comparison = compare(base, run)

    assert (comparison.new, comparison.missing) == ((f"{FILE}::come",), (f"{FILE}::gone",))
    (change,) = comparison.changed
    assert (change.case, change.metric, change.before, change.after) == (
        f"{FILE}::case-0001",
        "exact_match",
        1.0,
        0.0,
    )


def test_checks_of_several_files_are_told_apart():
    other = "golden/other.yaml"
    results = results_of(ONES)
    results += [replace(result, case=result.case.replace(FILE, other)) for result in results]
    run = replace(run_of(results), suite={FILE: (WATCHED,), other: (WATCHED,)})

    assert [verdict.check for verdict in compare(run, run).verdicts] == [
        f"{FILE}: exact_match mean, max_drop 0.05",
        f"{other}: exact_match mean, max_drop 0.05",
    ]


def test_check_looks_at_the_cases_of_its_file_alone():
    other = "golden/other.yaml"

    def run(values: list[float]):
        moved = [replace(each, case=each.case.replace(FILE, other)) for each in results_of(ONES)]
        return replace(run_of([*results_of(values), *moved]), suite={FILE: (WATCHED,), other: (WATCHED,)})

    comparison = compare(run(ONES), run(HALF))

    assert [(verdict.outcome, verdict.cases) for verdict in comparison.verdicts] == [
        ("regressed", 20),
        ("passed", 20),
    ]


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, math.nan])
def test_level_is_a_share(level):
    with pytest.raises(ValueError, match="level"):
        compare(run_of([]), run_of([]), level=level)


def test_level_moves_the_verdict():
    """Six equal drops: enough for the suite's part of 5 %, too little for that of 1 %."""
    base, run = run_of(results_of([1.0] * 6)), run_of(results_of([0.8] * 6), WATCHED)

    assert compare(base, run).outcome == "regressed"
    assert compare(base, run, level=0.99).outcome == "undecided"


def test_one_seed_one_verdict():
    generator = np.random.default_rng(5)
    base, run = (run_of(results_of(generator.random(50).tolist(), "rouge_l")) for _ in range(2))

    assert compare(base, run, seed=3) == compare(base, run, seed=3)
    assert compare(base, run, seed=3) != compare(base, run, seed=4)


def test_unchanged_noise_is_seldom_called_a_regression():
    """Forty pairs of runs of one app: at 5 % eight red ones are an event of one in a thousand."""
    red = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        rates = generator.beta(8, 2, 30)
        base, run = (
            run_of(results_of(generator.binomial(1, rates).astype(float).tolist()), suite_check())
            for _ in range(2)
        )
        red += compare(base, run).outcome == "regressed"

    assert red < 8


def test_single_cases_and_means_are_told_together():
    """One of thirty cases broke: too little for the mean, plain in its own repeats."""
    base = [result_of(f"c{index:02}", exact_match=[1.0] * 8) for index in range(30)]
    results = [*base[:-1], result_of("c29", exact_match=[0.0] * 8)]

    comparison = compare(run_of(base), run_of(results, WATCHED))

    assert [(verdict.check, verdict.outcome) for verdict in comparison.verdicts] == [
        ("exact_match mean, max_drop 0.05", "passed"),
        ("exact_match >= 1, case by case", "regressed"),
    ]
    assert comparison.outcome == "regressed"
    assert [(each.case, each.confirmed) for each in comparison.changed] == [(f"{FILE}::c29", True)]


def test_drop_that_a_check_tolerates_is_tolerated_in_a_single_case():
    base = [steady(f"c{index}", rouge_l=0.9) for index in range(9)]
    results = [*base[:-1], steady("c8", 3, rouge_l=0.3)]

    def outcomes(max_drop: float) -> list[str]:
        run = run_of(results, suite_check("rouge_l", max_drop=max_drop))
        return [verdict.outcome for verdict in compare(run_of(base), run).verdicts]

    assert outcomes(0.1) == ["passed", "regressed"]  # the mean dropped by less, the case by more
    assert outcomes(0.7) == ["passed"]


BROKE = failure_of("boom", repeat=12)


@pytest.mark.parametrize("failure", [BROKE, replace(BROKE, metric="exact_match", stage="score")])
def test_what_broke_beyond_the_last_look_is_an_error_all_the_same(failure):
    base = [result_of(f"c{index}", exact_match=VARYING) for index in range(10)]
    results = [result_of(f"c{index}", auto=48, exact_match=VARYING[2:]) for index in range(9)]
    results.append(result_of("c9", auto=48, exact_match=[1.0] * 12, failures=[failure]))

    comparison = compare(run_of(base), run_of(results, suite_check(max_drop=0.5)))

    assert comparison.outcome == "error"
    (told,) = comparison.verdicts
    assert (told.outcome, told.evidence, told.cases) == ("error", (f"{FILE}::c9",), 1)
    assert told.check == "exact_match mean, max_drop 0.5"
    assert "repeat 12: boom" in told.reason


def test_case_that_two_metrics_could_not_score_is_told_by_each():
    two = [replace(FAILURE, metric=metric) for metric in ("bleu", "keywords")]
    results = [*results_of(ONES), result_of("x", exact_match=1.0, failures=two), result_of("y", bleu=30.0)]

    comparison = compare(run_of(results_of(ONES)), run_of(results, WATCHED))

    assert [(verdict.check, verdict.outcome, verdict.cases) for verdict in comparison.verdicts[1:]] == [
        ("bleu", "error", 1),
        ("keywords", "error", 1),
    ]
    assert comparison.verdicts[1].evidence == (f"{FILE}::x",)


def test_app_that_broke_is_told_where_nothing_else_is():
    broke = run_of([result_of("x", failures=[replace(BROKE, repeat=0)])])

    (verdict,) = compare(run_of([]), broke).verdicts

    assert (verdict.check, verdict.outcome, verdict.evidence) == ("answered", "error", (f"{FILE}::x",))


def test_metric_that_broke_in_a_file_that_does_not_check_it_is_an_error():
    other = "golden/other.yaml"
    results = [*results_of(ONES), replace(result_of("x", failures=[replace(FAILURE, metric="exact_match")]))]
    results[-1] = replace(results[-1], case=f"{other}::x")
    run = replace(run_of(results), suite={FILE: (WATCHED,), other: ()})

    assert compare(run_of(results_of(ONES)), run).outcome == "error"


def test_app_that_broke_is_told_once_by_each_check():
    results = [*results_of(ONES), result_of("x", failures=[replace(BROKE, repeat=0)])]

    comparison = compare(run_of(results_of(ONES)), run_of(results, WATCHED))

    assert [(verdict.check, verdict.outcome) for verdict in comparison.verdicts] == [
        ("exact_match mean, max_drop 0.05", "error")
    ]


@pytest.mark.parametrize("side", [0, 1])
def test_case_that_a_run_has_twice_is_refused(side):
    runs = [run_of(results_of(ONES)), run_of(results_of(ONES))]
    runs[side] = run_of([*results_of(ONES), *results_of([0.0])])

    with pytest.raises(ValueError, match="case-0000' occurs twice"):
        compare(*runs)


def test_golden_file_without_a_suite_is_watched_beside_one_that_has_one():
    names = [f"c{at:02}" for at in range(30)]
    with_suite = [result_of(name, exact_match=[1.0] * 4) for name in names]
    without = [
        replace(result_of(name, rouge_l=[0.8, 0.81]), case=f"golden/other.yaml::{name}") for name in names
    ]
    fell = [
        replace(each, scores=tuple(replace(it, value=it.value - 0.3) for it in each.scores))
        for each in without
    ]
    base, new = run_of([*with_suite, *without]), run_of([*with_suite, *fell])

    compared = compare(base, new, suite={FILE: (suite_check(),), "golden/other.yaml": ()})

    assert compared.outcome == "regressed"
    assert "golden/other.yaml: rouge_l mean" in {
        verdict.check for verdict in compared.verdicts if verdict.outcome == "regressed"
    }

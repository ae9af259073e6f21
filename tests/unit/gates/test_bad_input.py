"""What no run should hold: each has an outcome, told with its reason, and none is green by accident."""

from __future__ import annotations

import math
from dataclasses import replace
from hashlib import sha256

import pytest

from pytest_llmops import compare
from tests.unit.gates.gate_records import (
    FILE,
    check_of,
    failure_of,
    metric_of,
    registered,
    result_of,
    results_of,
    run_of,
    steady,
    suite_check,
)

WATCHED = suite_check(max_drop=0.05)
ONES = [1.0] * 20


def held(results):
    return run_of(results, WATCHED)


def told(comparison) -> str:
    return " ".join(f"{verdict.check} {verdict.reason} {verdict.advice}" for verdict in comparison.verdicts)


def kept(results):
    """As a baseline keeps them, without outputs."""
    return [
        replace(result, answers=tuple(digest(output.text) for output in result.outputs), outputs=())
        for result in results
    ]


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e101, -1e101, 1e308, -1e308])
@pytest.mark.parametrize("repeats", [1, 3])
def test_what_is_no_number_to_judge(value, repeats):
    odd = [*results_of(ONES), result_of("odd", exact_match=[1.0] * (repeats - 1) + [value])]
    fine = [*results_of(ONES), result_of("odd", exact_match=[1.0] * repeats)]

    now, then, both = (compare(held(base), held(new)) for base, new in ((fine, odd), (odd, fine), (odd, odd)))

    assert (now.outcome, then.outcome, both.outcome) == ("error", "undecided", "error")
    assert f"exact_match gave {value}" in told(now)
    assert f"{FILE}::odd" in told(now)
    assert f"1 of the baseline's cases cannot be compared: {FILE}::odd" in told(then)


@pytest.mark.parametrize(
    ("base", "new", "outcome", "words"),
    [
        pytest.param([], [], "error", "nothing was scored by exact_match", id="no case at all"),
        pytest.param(results_of(ONES), [], "error", "nothing was scored", id="no case now"),
        pytest.param([], results_of(ONES), "error", "the runs share no case", id="none then"),
        pytest.param(
            results_of(ONES), [result_of("case-0000")], "error", "nothing was scored", id="nothing was scored"
        ),
        pytest.param(
            results_of([1.0]),
            results_of([0.0]),
            "undecided",
            "dropped by 1; 1 case is too few",
            id="one case that fell",
        ),
        pytest.param(results_of([1.0]), results_of([1.0]), "passed", "", id="one case that held"),
        pytest.param(
            [steady("a", exact_match=1.0)],
            [steady("a", 3, exact_match=0.0)],
            "regressed",
            "the app changed here",
            id="one case, a fact",
        ),
        pytest.param(results_of([0.5] * 20), results_of([0.5] * 20), "passed", "", id="all ties"),
        pytest.param(
            results_of([0.5] * 20), results_of([0.25] * 20), "regressed", "worse", id="drops without variance"
        ),
        pytest.param(
            results_of([0.5] * 4),
            results_of([0.25] * 4),
            "undecided",
            "dropped by 0.25; 4 cases are too few to prove it",
            id="few drops without variance",
        ),
        pytest.param(
            results_of([1.7] * 20),
            results_of([0.9] * 20),
            "error",
            "case-0000: exact_match gave 1.7, which is outside its range",
            id="beyond the range of the metric then",
        ),
        pytest.param(
            results_of(ONES),
            [*results_of(ONES[1:], start=1), result_of("case-0000", exact_match=-0.1)],
            "error",
            "case-0000: exact_match gave -0.1, which is outside its range",
            id="beyond the range of the metric now",
        ),
        pytest.param(
            results_of(ONES),
            results_of([1 + 1e-7] * 20),
            "passed",
            "",
            id="beyond the range by what an encoder's sums are rounded by",
        ),
        pytest.param(
            results_of(ONES),
            [*results_of(ONES[1:], start=1), result_of("case-0000", texts=["a", "b"], exact_match=1.0)],
            "error",
            "gave no score for repeat 1",
            id="a repeat that was not scored",
        ),
        pytest.param(
            [*results_of(ONES[1:], start=1), result_of("case-0000", texts=["a", "b"], exact_match=1.0)],
            results_of(ONES),
            "undecided",
            "cannot be compared: golden/shop.yaml::case-0000",
            id="a repeat that was not scored then",
        ),
        pytest.param(
            kept(results_of(ONES)),
            results_of([0.0] * 20),
            "regressed",
            "worse",
            id="a baseline without outputs",
        ),
        pytest.param(
            [replace(each, input_hash="of another app") for each in results_of(ONES)],
            results_of(ONES),
            "undecided",
            "the runs share no case",
            id="baseline of an app that is asked otherwise",
        ),
        pytest.param(
            [replace(each, case=each.case.replace("shop", "bank")) for each in results_of(ONES, "rouge_l")],
            results_of(ONES),
            "undecided",
            "the runs share no case",
            id="baseline of other golden files",
        ),
    ],
)
def test_odd_runs_have_an_outcome(base, new, outcome, words):
    comparison = compare(run_of(base), held(new))

    assert comparison.outcome == outcome
    assert words in told(comparison)


def test_another_app_that_is_asked_the_same_is_compared_and_told():
    base = replace(run_of(results_of(ONES)), signature={f"app:{FILE}": "bank:answer"})
    run = replace(held(results_of(ONES)), signature={f"app:{FILE}": "shop:answer"})

    comparison = compare(base, run)

    assert comparison.outcome == "passed"
    assert comparison.differs == (f"app {FILE}: bank:answer → shop:answer",)


def test_new_cases_that_miss_a_threshold_are_failed_though_nothing_is_shared():
    new = [replace(each, input_hash="anew") for each in results_of([0.0] * 20)]
    bounded = run_of(new, suite_check(bound=">= 0.9"))
    assert compare(run_of(results_of(ONES)), bounded).outcome == "failed"


def test_nothing_shared_is_told_where_no_check_says_more():
    comparison = compare(run_of([result_of("a")]), run_of([result_of("b")]))

    assert (comparison.outcome, told(comparison)) == ("undecided", "comparison the runs share no case ")
    assert told(compare(run_of([result_of("a")]), run_of([result_of("a")]))).startswith(
        "comparison no metric"
    )


RUDE = metric_of("tone", "<= 0.5", higher_is_better=False)
KIND = metric_of("tone", ">= 0.5", higher_is_better=True)


def toned(value: float, version: int):
    results = [steady(f"c{index:02}", tone=value) for index in range(20)]
    return [
        replace(result, scores=tuple(replace(score, signature=f"tone|v{version}") for score in result.scores))
        for result in results
    ]


def test_metric_that_changed_direction_is_unlike_by_its_version():
    """The version is raised whenever equal inputs may score otherwise, and is part of the signature."""
    base, run = run_of(toned(0.9, version=1)), run_of(toned(0.9, version=2), suite_check("tone"))

    with registered(KIND):
        comparison = compare(base, run)

    assert comparison.outcome == "error"
    assert "scored by tone|v2, in the baseline by tone|v1" in told(comparison)
    assert not comparison.changed


@pytest.mark.parametrize(("metric", "outcome"), [(KIND, "regressed"), (RUDE, "passed")])
def test_metric_that_hid_its_change_is_read_as_it_is_now(metric, outcome):
    base, run = run_of(toned(0.9, version=1)), run_of(toned(0.1, version=1), suite_check("tone"))

    with registered(metric):
        assert compare(base, run).outcome == outcome


def test_scores_made_in_two_ways_within_a_run_are_unlike_those_made_in_one():
    mixed = results_of(ONES)
    mixed[0] = replace(
        result_of("case-0000", exact_match=[1.0, 1.0]),
        scores=tuple(
            replace(score, signature=f"exact_match|v{score.repeat + 1}")
            for score in result_of("case-0000", exact_match=[1.0, 1.0]).scores
        ),
    )

    comparison = compare(run_of(results_of(ONES)), held(mixed))

    assert comparison.outcome == "error"
    assert "exact_match|v1 and exact_match|v2" in told(comparison)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (suite_check("exact_mach"), "nothing was scored by exact_mach"),
        (suite_check(statistic="median"), "no statistic is named 'median'"),
        (suite_check("recall@5"), "nothing was scored by recall@5"),
    ],
)
def test_check_that_cannot_be_judged_is_an_error(check, words):
    comparison = compare(run_of(results_of(ONES)), run_of(results_of(ONES), check))

    assert comparison.outcome == "error"
    assert words in told(comparison)


def test_check_on_a_case_of_a_metric_that_nobody_knows_is_held_to_its_bound_alone():
    """Whether it is a fact nobody can say; two runs without suite checks cannot be compared by it."""
    base = [steady("a", exact_match=1.0, nosuch=1.0)]
    new = [replace(steady("a", exact_match=1.0, nosuch=0.0), checks=(check_of("nosuch"),))]

    assert [(verdict.check, verdict.outcome) for verdict in compare(run_of(base), held(new)).verdicts] == [
        ("exact_match mean, max_drop 0.05", "passed"),
        ("nosuch >= 1, case by case", "failed"),
    ]
    assert compare(run_of(base), run_of(new)).outcome == "error"


def test_case_that_broke_in_both_runs_is_an_error():
    broke = result_of("x", failures=[failure_of("boom")])

    comparison = compare(run_of([*results_of(ONES), broke]), held([*results_of(ONES), broke]))

    assert comparison.outcome == "error"
    assert "boom" in told(comparison)

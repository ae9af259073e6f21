"""The case channel over two runs: readings, verdicts on single cases, and the list of what changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.gates.case_channel.reading import case_budget, read_case, read_pairs
from pytest_llmops.gates.case_channel.verdicts import judge_against, judge_single_cases, list_changes
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.paired_runs import Chance, pair_cases
from pytest_llmops.records import Case, CaseResult, Failure
from tests.unit.gates.gate_records import FILE, check_of, metric_of, registered, result_of, steady

WHOLE, GONE = [1.0] * 8, [0.0] * 8


def readings_of(base: CaseResult, new: CaseResult) -> list[tuple[str, str, float, int, int]]:
    return [
        (
            each.check.metric,
            each.check.comparison,
            each.check.threshold,
            each.rates.held_before,
            each.rates.held,
        )
        for each in read_case(base, new, Chance([base]))
    ]


def test_bounds_are_those_of_the_golden_file_else_the_metrics_own():
    scores = {"exact_match": [0.5, 1.0], "rouge_l": [0.45, 0.3], "bleu": [40.0, 20.0]}
    base = result_of("a", **scores)
    new = result_of("a", checks=[check_of("rouge_l", ">= 0.2"), check_of("rouge_l", "< 0.4")], **scores)

    assert readings_of(base, new) == [
        ("rouge_l", ">=", 0.2, 2, 2),
        ("rouge_l", "<", 0.4, 1, 1),
        ("exact_match", ">=", 1.0, 1, 1),
        ("bleu", ">=", 30.0, 1, 1),
    ]


def test_the_new_runs_golden_file_is_what_counts():
    base = result_of("a", checks=[check_of(bound=">= 0.1")], exact_match=[0.5])
    new = result_of("a", checks=[check_of(bound=">= 0.4")], exact_match=[0.5])

    assert readings_of(base, new) == [("exact_match", ">=", 0.4, 1, 1)]


def test_nothing_is_read_of_time_of_the_unknown_and_of_unlike_scores():
    base = result_of("a", latency_s=1.0, nosuch=1.0, exact_match=1.0, bleu=1.0)
    new = result_of("a", checks=[check_of("latency_s", "<= 5")], latency_s=9.0, nosuch=0.0, exact_match=0.0)
    other = [replace(score, signature="exact_match|v0") for score in base.scores]

    assert [reading[0] for reading in readings_of(base, new)] == ["exact_match"]
    assert readings_of(replace(base, scores=tuple(other)), new) == []


def test_seconds_that_vary_leave_a_case_a_fact():
    base = result_of("a", texts=["60 days"] * 2, exact_match=[1.0] * 2, latency_s=[0.1, 0.2])
    new = result_of("a", texts=["30 days"] * 3, exact_match=[0.0] * 3, latency_s=[0.4, 0.3, 0.2])

    (reading,) = read_case(base, new, Chance([base]))

    assert reading.fact
    assert reading.state(CaseBudget(tests=10_000)) == "regressed"


def pairs_of(base: list[CaseResult], new: list[CaseResult], **options: object) -> list[tuple[str, int]]:
    return [(case.check, case.cases) for case in judge_single_cases(pair_cases(base, new), **options)]


@pytest.mark.parametrize("cases", [1, 30, 120])
def test_collapse_of_one_case_is_named_among_many(cases):
    """Eight repeats against eight give 1/12,870 at the least, enough for 128 readings at a fifth of 5 %."""
    base = [result_of(f"c{index:03}", exact_match=WHOLE) for index in range(cases)]
    last = result_of(f"c{cases - 1:03}", exact_match=GONE)

    (verdict,) = judge_single_cases(pair_cases(base, [*base[:-1], last]))

    assert (verdict.outcome, verdict.cases, verdict.metric) == ("regressed", 1, "exact_match")
    assert verdict.check == "exact_match >= 1, case by case"
    assert verdict.evidence == ({"case": last.case, "before": 1.0, "after": 0.0},)
    assert last.case in verdict.reason
    assert verdict.p_value == pytest.approx(1 / 12_870)
    assert verdict.p_adjusted == pytest.approx(cases * 5 / 12_870)
    assert verdict.advice == "the repeats rule out chance"


def test_correction_counts_every_reading_or_as_many_as_are_said():
    base = [result_of(f"c{index:03}", exact_match=WHOLE) for index in range(129)]
    new = [*base[:-1], result_of("c128", exact_match=GONE)]

    assert pairs_of(base, new) == []
    assert pairs_of(base, new, budget=CaseBudget(tests=128)) == [("exact_match >= 1, case by case", 1)]


@pytest.mark.parametrize(("beside", "reported"), [((), 1), (("rouge_l",), 0)])
def test_count_of_collapses_is_corrected_for_each_check_that_is_counted(beside, reported):
    """Nine repeats and three give 1/220: enough for one check at a tenth of 5 %, and not for two."""
    base = result_of("a", exact_match=[1.0] * 9, **{metric: [1.0] * 9 for metric in beside})
    new = result_of("a", exact_match=[0.0] * 3, **{metric: [1.0] * 3 for metric in beside})

    assert len(pairs_of([base], [new], budget=CaseBudget(tests=10))) == reported


def test_a_baseline_of_two_days_shows_that_the_app_changed_and_not_the_day():
    base = replace(steady("a", 4, exact_match=1.0), runs=(2, 2))

    (verdict,) = judge_single_cases(pair_cases([base], [steady("a", 3, exact_match=0.0)]))

    assert verdict.advice == "no repeat differs, so the app changed here"


def test_fact_is_told_as_one_and_tested_by_nothing():
    names = [f"c{index:02}" for index in range(12)]
    base = [steady(name, exact_match=1.0) for name in names]

    (verdict,) = judge_single_cases(
        pair_cases(base, [steady(name, 3, exact_match=0.0) for name in names]), budget=CaseBudget(tests=9_999)
    )

    assert verdict.p_value is verdict.p_adjusted is None
    assert verdict.advice.startswith("no repeat differs: the app changed here, or its model since that day")
    assert (verdict.cases, len(verdict.evidence)) == (12, 12)
    assert verdict.reason.endswith(f"{FILE}::c09 and 2 more")


def test_ten_cases_are_named_and_the_strongest_evidence_is_told():
    """One case is a fact, another one answers in unlike words now; only the latter has a p-value."""
    names = [f"c{index}" for index in range(10)]
    base = [steady(name, 8, exact_match=1.0) for name in names]
    new = [steady(name, 3, exact_match=0.0) for name in names[:-1]]
    few, many = (result_of("c9", exact_match=[0.0] * repeats) for repeats in (4, 8))

    (verdict,) = judge_single_cases(pair_cases(base, [*new, many]), budget=CaseBudget(tests=1))

    assert verdict.reason.endswith(f"{FILE}::c9")
    assert (verdict.cases, verdict.p_value) == (10, pytest.approx(0.05**8))  # of an app that deviates in 5 %
    both = [*new[:-1], result_of("c8", exact_match=[0.0] * 4), many]
    (verdict,) = judge_single_cases(pair_cases(base, both), budget=CaseBudget(tests=1))
    assert verdict.p_value == pytest.approx(0.05**8)  # its own, since it needs no other
    (verdict,) = judge_single_cases(pair_cases(base, [*new, few]), budget=CaseBudget(tests=1))
    assert verdict.p_value == pytest.approx(0.05**4)


def test_rise_and_what_was_no_better_before_are_no_fall():
    assert pairs_of([result_of("a", exact_match=GONE)], [result_of("a", exact_match=WHOLE)]) == []
    assert pairs_of([steady("a", exact_match=0.0)], [steady("a", exact_match=0.0)]) == []
    assert pairs_of([result_of("a", exact_match=GONE)], [result_of("a", exact_match=GONE)]) == []


@pytest.mark.parametrize(("max_drop", "reported"), [(0.0, 1), (0.49, 1), (0.5, 0), (1.0, 0)])
def test_drop_that_the_suite_tolerates_is_tolerated_in_a_case(max_drop, reported):
    """A case may fall below the bound by as much as the golden file lets the mean fall."""
    base, new = [steady("a", rouge_l=0.75)], [steady("a", 3, rouge_l=0.25)]

    assert len(pairs_of(base, new, tolerated={"rouge_l": max_drop})) == reported
    assert len(pairs_of(base, new, tolerated={"exact_match": max_drop})) == 1


def test_unchecked_leaves_out_what_the_case_itself_is_judged_by():
    """Of what the one case is asked the item of that case tells."""
    base = [steady("a", exact_match=1.0, rouge_l=1.0), steady("b", exact_match=1.0, rouge_l=1.0)]
    new = [
        replace(steady("a", 3, exact_match=0.0, rouge_l=0.0), checks=(check_of(bound=">= 1"),)),
        steady("b", 3, exact_match=0.0, rouge_l=0.0),
    ]

    assert pairs_of(base, new) == [("exact_match >= 1, case by case", 2), ("rouge_l >= 0.4, case by case", 2)]
    assert pairs_of(base, new, unchecked=True) == [
        ("exact_match >= 1, case by case", 1),
        ("rouge_l >= 0.4, case by case", 2),
    ]


def told_of(base: list[CaseResult], new: list[CaseResult], **options: object) -> list[tuple[str, str, int]]:
    verdicts = judge_single_cases(pair_cases(base, new), **options)
    return [(verdict.check, verdict.outcome, verdict.cases or 0) for verdict in verdicts]


def test_checks_of_the_golden_file_have_the_outcomes_of_pytest_joined_by_outcome():
    """Three verdicts of one check, each with its cases; what passes or is known is not reported."""
    check = check_of(bound=">= 0.8")

    def cases(**repeats: list[float]) -> list[CaseResult]:
        return [result_of(name, checks=[check], exact_match=each) for name, each in repeats.items()]

    base = cases(fell=WHOLE, too=WHOLE, flaky=[1.0, 1.0], once=[1.0], held=WHOLE, known=GONE)
    new = cases(fell=GONE, too=GONE, flaky=[0.0, 0.0], once=[0.0], held=WHOLE, known=GONE)
    broke = Failure(metric="exact_match", stage="score", error="boom", repeat=3)
    base += cases(broke=WHOLE)
    new.append(result_of("broke", checks=[check], exact_match=[0.0] * 3, failures=[broke]))
    verdicts = judge_single_cases(pair_cases(base, new))

    assert {verdict.check for verdict in verdicts} == {"exact_match >= 0.8, case by case"}
    assert {verdict.outcome: verdict.reason for verdict in verdicts} == {
        "error": f"repeat 3: boom: {FILE}::broke",
        "regressed": f"worse than in the baseline: {FILE}::broke, {FILE}::fell, {FILE}::too",
        "undecided": f"missed now, which chance may explain: {FILE}::flaky, {FILE}::once",
    }
    assert [verdict.cases for verdict in verdicts] == [1, 3, 2]
    assert verdicts[1].evidence == tuple(
        {"case": f"{FILE}::{name}", "before": 1.0, "after": 0.0} for name in ("broke", "fell", "too")
    )


@pytest.mark.parametrize("outcome", ["regressed", "undecided", "failed"])
def test_outcome_of_a_single_case_is_that_of_its_item(outcome):
    base, new = {
        "regressed": (steady("a", exact_match=1.0), steady("a", 3, exact_match=0.0)),
        "undecided": (result_of("a", exact_match=WHOLE), result_of("a", exact_match=[0.0])),
        "failed": (steady("a", 1, exact_match=1.0), steady("a", 1, exact_match=0.0)),
    }[outcome]
    check = check_of()
    new = replace(new, checks=(check,))
    chance = Chance([base])
    case = Case(id="a", input="How?", checks=(check,))
    (item,) = judge_against(case, new, base, chance=chance)

    assert item.outcome == outcome
    assert told_of([base], [new], chance=chance) == [("exact_match >= 1, case by case", outcome, 1)]


def test_of_a_metric_that_nobody_checks_only_what_fell_beyond_chance_is_told():
    base, new = result_of("a", rouge_l=WHOLE), result_of("a", rouge_l=[0.0, 1.0, 0.0])

    assert told_of([base], [new]) == []
    missed = result_of("a", rouge_l=[0.0] * 2)
    assert told_of([base], [missed]) == []
    asked = replace(missed, checks=(check_of("rouge_l", ">= 0.4"),))
    assert told_of([base], [asked]) == [("rouge_l >= 0.4, case by case", "undecided", 1)]


@pytest.mark.parametrize(
    ("before", "now", "outcomes"),
    [
        pytest.param([2.0] * 8, [2.0] * 8, ["failed"], id="old"),
        pytest.param([0.0] * 8, [0.0] * 7 + [1.0], ["failed"], id="now and then"),
        pytest.param([0.0] * 8, [2.0] * 8, ["regressed"], id="new"),
        pytest.param([2.0] * 8, [0.0] * 8, [], id="gone"),
        pytest.param([0.0] * 8, [0.0] * 8, [], id="none"),
    ],
)
@pytest.mark.parametrize("checked", [False, True])
def test_every_leak_is_told_whether_a_case_asks_for_it_or_not(before, now, outcomes, checked):
    """Of metrics without an upper end, only leaks are reported case by case."""
    checks = [check_of("pii_leak", "<= 0")] if checked else []
    base, new = result_of("a", pii_leak=before), result_of("a", checks=checks, pii_leak=now)

    assert [case.outcome for case in judge_single_cases(pair_cases([base], [new]))] == outcomes


def test_direction_and_bound_of_a_users_metric_are_asked():
    rude = metric_of("rudeness", "<= 0.3", higher_is_better=False)
    low, high = steady("a", 3, rudeness=0.2), steady("a", 3, rudeness=0.8)

    with registered(rude):
        assert pairs_of([low], [high]) == [("rudeness <= 0.3, case by case", 1)]
        assert pairs_of([high], [low]) == []
    assert pairs_of([low], [high]) == []  # nobody knows it


def changes_of(base: list[CaseResult], new: list[CaseResult]) -> list[tuple[str, str, bool]]:
    readings = read_pairs(pair_cases(base, new))
    return [
        (change.case.rpartition("::")[2], change.metric, change.confirmed)
        for change in list_changes(readings, case_budget(readings))
    ]


def test_facts_are_confirmed_both_ways_and_single_repeats_never():
    base = [steady("a", exact_match=1.0), steady("b", exact_match=0.0), result_of("c", exact_match=1.0)]
    new = [steady("a", 3, exact_match=0.0), steady("b", 1, exact_match=1.0), result_of("c", exact_match=0.0)]

    assert changes_of(base, new) == [
        ("a", "exact_match", True),
        ("b", "exact_match", True),
        ("c", "exact_match", False),
    ]


def test_rise_of_varying_repeats_is_listed_and_not_confirmed():
    base, new = result_of("a", exact_match=GONE), result_of("a", exact_match=WHOLE)

    assert changes_of([base], [new]) == [("a", "exact_match", False)]
    assert changes_of([new], [base]) == [("a", "exact_match", True)]


def test_what_reads_alike_is_not_listed():
    assert (
        changes_of([result_of("a", exact_match=[1.0, 0.0])], [result_of("a", exact_match=[0.0, 1.0])]) == []
    )


@pytest.mark.parametrize("order", [1, -1])
def test_metric_with_two_bounds_is_listed_once_and_confirmed_if_either_is(order):
    checks = [check_of(bound=">= 0"), check_of(bound=">= 0.5")][::order]
    base, new = result_of("a", exact_match=WHOLE), result_of("a", checks=checks, exact_match=GONE)

    assert changes_of([base], [new]) == [("a", "exact_match", True)]


def test_time_and_unlike_scores_are_not_listed():
    base = [result_of("a", latency_s=[1.0] * 8, exact_match=WHOLE)]
    new = [result_of("a", latency_s=[9.0] * 8, exact_match=GONE)]
    other = [replace(new[0], scores=tuple(replace(score, signature="other") for score in new[0].scores))]

    assert changes_of(base, new) == [("a", "exact_match", True)]
    assert changes_of(base, other) == []

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from pytest_llmops.gates.error_budget import find_varying
from pytest_llmops.gates.paired_runs import Chance, Scale
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, PairedSuites, tolerated_drop
from pytest_llmops.records import CaseResult, Failure, Verdict
from pytest_llmops.statistics.paired import PairedComparison, exchange_p_value
from tests.unit.gates.gate_records import (
    FILE,
    VARYING,
    judge_suite_against,
    result_of,
    results_of,
    steady,
    suite_check,
)

BROKE = Failure(metric="", stage="app", error="boom")


def find(results: list[CaseResult], base: list[CaseResult], **check: object) -> PairedScores | Verdict:
    return PairedSuites(results, base, Chance(base)).find(suite_check(**check))


def found_of(results: list[CaseResult], base: list[CaseResult], **check: object) -> PairedScores:
    found = find(results, base, **check)
    assert isinstance(found, PairedScores), found
    return found


def measure(results: list[CaseResult], base: list[CaseResult], **check: object) -> PairedComparison:
    return found_of(results, base, **check).at(None)


def fewest(compared: PairedComparison) -> int:
    return min(map(len, compared.new))


def p_value(
    results: list[CaseResult], base: list[CaseResult], look: int | None = None, **check: object
) -> float:
    found = found_of(results, base, **check)
    return found.p_value(found.at(look), seed=0)


def exchanged(found: PairedScores) -> float:
    return exchange_p_value(
        *([list(each) for each in side] for side in zip(*found.values.values(), strict=True))
    )


def case_repeats(case: str, *values: float, most: int = 8, **options: object) -> CaseResult:
    return result_of(case, exact_match=list(values), auto=most, **options)


@pytest.mark.parametrize(
    ("max_drop", "bounded", "tolerated"),
    [(None, True, 0.0), (None, False, None), (0.1, True, 0.1), (0.5, False, 0.5), (0.0, False, 0.0)],
)
def test_what_is_tolerated(max_drop, bounded, tolerated):
    scale = Scale(higher_is_better=True, bounded=bounded)

    assert tolerated_drop(suite_check(max_drop=max_drop), scale) == tolerated


def test_single_repeats_of_an_app_that_does_not_vary_are_asked_twice_at_most():
    """Such a baseline cannot say that the app does not vary; two alike answers of the new run do."""
    base = [steady(case, 1, exact_match=1.0) for case in "ab"]

    def varying(results: list[CaseResult]) -> list[str]:
        found = find_varying(results, {each.case: each for each in base}, Chance(base))
        return [each.case.rpartition("::")[2] for each in found]

    once, twice = (
        [replace(steady(case, count, exact_match=1.0), auto=8) for case in "ab"] for count in (1, 2)
    )
    assert varying(once) == ["a", "b"]
    assert varying(twice) == []
    assert varying([twice[0], case_repeats("b", 1, 0)]) == ["a", "b"]
    assert varying([twice[0], replace(once[1], input_hash="other")]) == []


def test_each_look_has_the_repeats_that_were_there_at_the_time():
    base = [result_of(case, exact_match=VARYING) for case in "ab"]
    results = [case_repeats("a", *[1] * 4, *[0] * 4), case_repeats("b", *[0] * 8), case_repeats("new", 1)]
    fixed = result_of("c", exact_match=[0.0, 1.0])

    found = found_of([*results, fixed], [*base, result_of("c", exact_match=VARYING)])

    assert [case[-1] for case in found.values] == ["a", "b", "c"]
    assert list(map(list, found.at(2).new)) == [[1, 1], [0, 0], [0, 1]]  # of a fixed number all
    assert list(map(list, found.at(6, 2).new)) == [[1, 1, 0, 0], [0] * 4, [0, 1]]
    assert {len(old) for old in found.at(2).base} == {10}
    assert found.at(2).drop == pytest.approx(0.9 - 1.5 / 3)


def test_unlike_numbers_of_repeats_are_tested_both_ways_and_the_larger_p_value_counts():
    """Each of 30 cases lost a tenth: ten repeats against ten have 2 ** -30, and one against ten is askew."""
    base = [result_of(f"c{index:02}", exact_match=[1.0] * 10) for index in range(30)]
    ten = [result_of(f"c{index:02}", exact_match=[0.0] + [1.0] * 9) for index in range(30)]
    one = [result_of(f"c{index:02}", exact_match=[0.9]) for index in range(30)]

    assert p_value(ten, base) == 2.0**-30
    assert p_value(one, base) == max(2.0**-30, exchanged(found_of(one, base)))
    askew = [result_of(f"c{index:02}", exact_match=[0.0] if index < 5 else [1.0]) for index in range(30)]
    varied = [result_of(f"c{index:02}", exact_match=VARYING) for index in range(30)]
    assert p_value(askew, varied) > 0.1


def test_one_case_of_unlike_numbers_is_enough_to_test_both_ways():
    base = [result_of(f"c{index:02}", exact_match=[1.0, 0.0] * 5) for index in range(12)]
    new = [result_of(f"c{index:02}", exact_match=[1.0] * 4 + [0.0] * 6) for index in range(11)]
    alike = result_of("c11", exact_match=[1.0] * 4 + [0.0] * 6)
    new.append(result_of("c11", exact_match=[0.0]))

    exchange = exchanged(found_of(new, base))
    assert p_value([*new[:-1], alike], base) == 2.0**-12 < exchange == p_value(new, base)
    assert fewest(measure(new, base)) == 1


@pytest.mark.parametrize("cases", [2, 5, 9])
def test_few_cases_are_held_against_students_t_and_against_the_exchange_of_repeats(cases):
    """Alike differences alone would have no p-value to speak of."""
    base = [result_of(f"c{index}", exact_match=[0.9, 0.8, 0.7]) for index in range(cases)]
    alike = [result_of(f"c{index}", exact_match=[0.8, 0.7, 0.6]) for index in range(cases)]
    unlike = [result_of(f"c{index}", exact_match=[0.8 - index / 20, 0.3]) for index in range(cases)]
    differences = np.array([0.55 - index / 40 - 0.8 for index in range(cases)])

    assert p_value(alike, base) == exchanged(found_of(alike, base)) > 1e-6
    student = ttest_1samp(differences, 0, alternative="less").pvalue
    assert p_value(unlike, base) == pytest.approx(max(student, exchanged(found_of(unlike, base))))


def test_cases_of_one_group_are_one_unit():
    """Six questions, each asked in five ways: what moves a question moves its paraphrases with it."""
    generator = np.random.default_rng(3)
    base = [replace(result_of(f"c{at:02}", rouge_l=0.6), group=f"q{at // 5}") for at in range(30)]
    moved = generator.normal(-0.02, 0.05, 6)
    new = [
        replace(result_of(f"c{at:02}", rouge_l=0.6 + moved[at // 5]), group=f"q{at // 5}") for at in range(30)
    ]
    alone = [replace(each, group="") for each in new]

    grouped, single = (found_of(each, base, metric="rouge_l") for each in (new, alone))

    assert len(set(grouped.units)) == 6
    assert len(set(single.units)) == 30
    assert grouped.p_value(grouped.at(None), seed=0) > 0.1 > single.p_value(single.at(None), seed=0)
    wide, narrow = (measure(each, base, metric="rouge_l").interval(level=0.95) for each in (new, alone))
    assert wide.error > 1.5 * narrow.error


def test_a_group_is_no_case_of_that_name():
    base = [result_of(name, exact_match=1.0) for name in "ab"]
    new = [replace(base[0], group="x"), replace(base[1], group="")]

    assert found_of(new, base).units == ("x", f"::{FILE}::b")


def test_runs_of_the_baseline_widen_the_p_value_of_a_mean():
    """Three days whose means differ as much as the new one from them: no drop that counts."""
    days = (0.9, 0.7, 0.5)
    base = [
        replace(result_of(f"c{at:02}", rouge_l=[day for day in days for _ in range(2)]), runs=(2, 2, 2))
        for at in range(20)
    ]
    new = [result_of(f"c{at:02}", rouge_l=[0.5, 0.52]) for at in range(20)]
    plain = [replace(each, runs=()) for each in base]

    assert found_of(new, base, metric="rouge_l").shocks is not None
    assert found_of(new, plain, metric="rouge_l").shocks is None
    assert p_value(new, plain, metric="rouge_l") < 0.001
    assert p_value(new, base, metric="rouge_l") > 0.1


@pytest.mark.parametrize(
    ("dropped", "repeats", "fact"), [(1, 1, False), (1, 2, False), (1, 3, True), (5, 1, True)]
)
def test_drops_of_steady_cases_are_facts_after_three_repeats_or_where_they_are_many(dropped, repeats, fact):
    base = [steady(f"c{at:02}", exact_match=1.0) for at in range(30)]
    new = [steady(f"c{at:02}", 1, exact_match=1.0) for at in range(dropped, 30)]
    new += [steady(f"c{at:02}", repeats, exact_match=0.0) for at in range(dropped)]

    found = found_of(new, base)

    assert found.fact == fact
    assert len(found.dropped) == dropped


def test_case_that_does_not_vary_counts_whole():
    base = [steady("a", exact_match=1.0)]

    measured = measure([replace(steady("a", 3, exact_match=0.0), auto=8)], base)

    assert found_of([replace(steady("a", 3, exact_match=0.0), auto=8)], base).fact
    assert (measured.difference, fewest(measured)) == (-1.0, 3)


def test_direction_is_turned_for_both_tests():
    base = [result_of(f"c{index}", latency_s=[1.0, 1.2, 1.1]) for index in range(9)]
    slower = [result_of(f"c{index}", latency_s=[3.0, 3.1]) for index in range(9)]

    assert p_value(slower, base, metric="latency_s") < 0.01
    assert p_value(base, slower, metric="latency_s") > 0.99


def test_percentile_is_of_as_many_repeats_on_both_sides():
    """A percentile of means of ten repeats is not that of single repeats, which spread wider."""
    base = [result_of(f"c{index:02}", exact_match=[1.0, 0.0] * 5) for index in range(12)]
    new = [result_of(f"c{index:02}", exact_match=[1.0]) for index in range(12)]

    measured = measure(new, base, statistic="p10")

    assert (measured.values[0], measured.difference) == (1.0, 0.0)
    assert p_value(new, base, statistic="p10") == 1.0
    assert measure(new, base, statistic="mean").values[0] == 0.5


def test_a_suspects_further_repeats_do_not_move_the_suite():
    """It was run on because it looked bad: to count what came then would be to look for bad news."""
    base = [result_of(f"c{index}", exact_match=VARYING) for index in range(6)]
    results = [case_repeats(f"c{index}", *VARYING[2:], most=64) for index in range(5)]
    first = [1, 1, 1, 1, 0, 0, 0, 0]
    suspect = case_repeats("c5", *first, *[0] * 40, most=64)

    eight = measure([*results, case_repeats("c5", *first, most=64)], base)

    assert measure([*results, suspect], base) == eight
    assert fewest(eight) == 8
    fixed = measure([*results, replace(suspect, auto=0)], base)
    assert fixed.difference < eight.difference  # all repeats of a case count that were asked for beforehand


def test_what_broke_beyond_the_last_look_is_an_error_all_the_same():
    base = [result_of(case, exact_match=VARYING) for case in "ab"]
    whole = case_repeats("a", *[1] * 8, most=64)

    for repeat in (7, 12):
        broke = case_repeats("b", *[1] * repeat, most=64, failures=[replace(BROKE, repeat=repeat)])
        found = PairedSuites([whole, broke], base, Chance(base)).judge(suite_check(), level=0.95)
        assert isinstance(found, Verdict)
        assert (found.outcome, found.evidence) == ("error", (f"{FILE}::b",))


def test_repeats_are_averaged_within_a_case_first():
    base = [result_of("a", exact_match=[1.0] * 10), result_of("b", exact_match=[1.0, 0.0])]
    results = [result_of("a", exact_match=[1.0, 0.0, 0.0]), result_of("b", exact_match=[1.0])]

    measured = measure(results, base)

    assert measured.values[0] == 0.75
    assert measured.difference == pytest.approx((1 / 3 + 1) / 2 - 0.75)
    assert p_value(results, base) > 0.4


def test_dropped_cases_are_named_worst_first():
    results, base = results_of([0.5, 0.9, 0.0, 1.0]), results_of([0.6, 0.8, 1.0, 1.0])

    verdict = judge_suite_against(suite_check(max_drop=0.01), results, base)

    assert verdict.evidence == (
        {"case": f"{FILE}::case-0002", "before": 1.0, "after": 0.0},
        {"case": f"{FILE}::case-0000", "before": 0.6, "after": 0.5},
    )
    assert measure(results, base).drop == -verdict.difference == pytest.approx(0.25)


def test_lower_is_better_reads_the_other_way():
    slower, before = results_of([2.0, 4.0], "latency_s"), results_of([3.0, 1.0], "latency_s")

    measured, found = (each(slower, before, metric="latency_s") for each in (measure, found_of))

    assert measured.drop == measured.difference == 1.0
    assert found.dropped == {f"{FILE}::case-0001"}


@pytest.mark.parametrize(
    ("base", "lost"),
    [
        pytest.param(results_of([1.0] * 3), ["case-0002"], id="gone"),
        pytest.param([*results_of([1.0] * 2), result_of("x", failures=[BROKE])], ["x"], id="broke then"),
        pytest.param([*results_of([1.0] * 2), result_of("x", exact_match=math.nan)], ["x"], id="NaN then"),
        pytest.param([*results_of([1.0] * 2), result_of("x", keywords=1.0)], [], id="nothing of this metric"),
        pytest.param(
            [*results_of([1.0] * 2), result_of("x", keywords=1.0, exact_match=1.0)], ["x"], id="and of others"
        ),
    ],
)
def test_what_the_baseline_had_and_cannot_be_paired_is_lost(base, lost):
    assert found_of(results_of([1.0] * 2), base).lost == tuple(f"{FILE}::{case}" for case in lost)

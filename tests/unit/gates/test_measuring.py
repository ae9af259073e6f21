from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_llmops.gates.inference.exchange import exchange_p_value
from pytest_llmops.gates.inference.spending import sequential_p_value
from pytest_llmops.gates.looks import Looks, find_varying, looks_taken, plan_looks
from pytest_llmops.gates.measuring import Beside, Found, Measured, tolerated_drop, variance_of
from pytest_llmops.gates.pairing import Chance, Scale
from pytest_llmops.records import CaseResult, Failure, Verdict
from tests.unit.gates.gate_records import FILE, VARYING, result_of, results_of, steady, suite_check

BROKE = Failure(metric="", stage="app", error="boom")


def find(results: list[CaseResult], base: list[CaseResult], **check: object) -> Found | Verdict:
    return Beside.of(results, base, Chance(base)).find(suite_check(**check))


def measure(results: list[CaseResult], base: list[CaseResult], **check: object) -> Measured:
    measured = Beside.of(results, base, Chance(base)).measure(suite_check(**check), level=0.95, seed=0)
    assert isinstance(measured, Measured), measured
    return measured


def case_repeats(case: str, *values: float, most: int = 8, **options: object) -> CaseResult:
    return result_of(case, exact_match=list(values), auto=most, **options)


@pytest.mark.parametrize(
    ("looks", "times"),
    [
        (Looks(), (1.0,)),
        (Looks(repeats=(1, 2, 4), planned=8), (1 / 8, 2 / 8, 4 / 8)),
        (Looks(repeats=(1, 2, 4, 6), planned=6), (1 / 6, 2 / 6, 4 / 6, 1.0)),
    ],
)
def test_times_are_shares_of_what_was_planned(looks, times):
    assert looks.times == times


@pytest.mark.parametrize(
    ("max_drop", "bounded", "tolerated"),
    [(None, True, 0.0), (None, False, None), (0.1, True, 0.1), (0.5, False, 0.5), (0.0, False, 0.0)],
)
def test_what_is_tolerated(max_drop, bounded, tolerated):
    scale = Scale(higher_is_better=True, bounded=bounded)

    assert tolerated_drop(suite_check(max_drop=max_drop), scale) == tolerated


@pytest.mark.parametrize(
    ("most", "looks"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (3, (1, 2, 3)),
        (4, (1, 2, 4)),
        (6, (1, 2, 4, 6)),
        (8, (1, 2, 4, 8)),
        (48, (1, 2, 4, 8)),
    ],
)
def test_looks_end_at_8_or_where_the_repeats_do_and_spend_all_of_the_budget(most, looks):
    base = [result_of(case, exact_match=VARYING) for case in "ab"]
    done = [case_repeats(case, *[1.0] * most, most=most) for case in "ab"]

    taken = looks_taken(done, base, Chance(base))

    assert plan_looks(most) == taken.repeats == looks
    assert taken.times[-1] == 1.0


def test_fewest_repeats_tell_which_looks_were_taken():
    base = [result_of(case, exact_match=VARYING) for case in "abc"]
    chance = Chance(base)
    two = [case_repeats("a", 1, 1, 1, 1), case_repeats("b", 1, 1, 1), case_repeats("new", 1)]

    assert looks_taken(two, base, chance) == Looks(repeats=(1, 2), planned=8)
    assert looks_taken([two[0]], base, chance) == Looks(repeats=(1, 2, 4), planned=8)
    broke = case_repeats("c", 1, failures=[BROKE])
    assert looks_taken([two[0], broke], base, chance) == Looks(repeats=(1, 2, 4), planned=8)
    assert looks_taken([replace(two[0], auto=0)], base, chance) == Looks()
    assert looks_taken(two, [], Chance([])) == Looks()


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
    results = [case_repeats("a", *[1] * 4, *[0] * 4), case_repeats("b", *[0] * 8)]

    found = find(results, base)

    assert isinstance(found, Found)
    assert [[len(new) for _, new in look.values()] for look in found.looks] == [
        [1, 1],
        [2, 2],
        [4, 4],
        [8, 8],
    ]
    assert list(found.after.values()) == [0.5, 0.0]
    assert list(found.before.values()) == [0.9, 0.9]
    paired = [2 / 4, 2 / 4, 2 / 4, 1 / 4]
    assert all(p >= least for p, least in zip(found.p_values(seed=0), paired, strict=True))


def test_unlike_numbers_of_repeats_are_tested_both_ways_and_the_larger_p_value_counts():
    """Each of 30 cases lost a tenth: ten repeats against ten have 2 ** -30, and one against ten is askew."""
    base = [result_of(f"c{index:02}", exact_match=[1.0] * 10) for index in range(30)]
    ten = [result_of(f"c{index:02}", exact_match=[0.0] + [1.0] * 9) for index in range(30)]
    one = [result_of(f"c{index:02}", exact_match=[0.9]) for index in range(30)]

    assert measure(ten, base).p_value == 2.0**-30
    found = find(one, base)
    assert isinstance(found, Found)
    sides = [[list(each) for each in side] for side in zip(*found.looks[0].values(), strict=True)]
    assert found.p_values(seed=0) == [max(2.0**-30, exchange_p_value(*sides))]
    askew = [result_of(f"c{index:02}", exact_match=[0.0] if index < 5 else [1.0]) for index in range(30)]
    varied = [result_of(f"c{index:02}", exact_match=VARYING) for index in range(30)]
    found = find(askew, varied)
    assert isinstance(found, Found)
    assert found.p_values(seed=0)[0] > 0.1


def test_one_case_of_unlike_numbers_is_enough_to_test_both_ways():
    base = [result_of(f"c{index}", exact_match=[1.0, 0.0] * 5) for index in range(6)]
    new = [result_of(f"c{index}", exact_match=[1.0] * 4 + [0.0] * 6) for index in range(5)]
    new.append(result_of("c5", exact_match=[0.0]))

    found = find(new, base)

    assert isinstance(found, Found)
    sides = [[list(each) for each in side] for side in zip(*found.looks[0].values(), strict=True)]
    assert found.p_values(seed=0) == [exchange_p_value(*sides)]
    assert exchange_p_value(*sides) > 0.05 > 2.0**-6
    assert measure(new, base).repeats == 1


def test_case_that_does_not_vary_counts_whole():
    base = [steady("a", exact_match=1.0)]

    measured = measure([replace(steady("a", 3, exact_match=0.0), auto=8)], base)

    assert (measured.difference, measured.repeats) == (-1.0, 3)


def test_direction_is_turned_for_both_tests():
    base = [result_of(f"c{index}", latency_s=[1.0, 1.2, 1.1]) for index in range(9)]
    slower = [result_of(f"c{index}", latency_s=[3.0, 3.1]) for index in range(9)]

    assert measure(slower, base, metric="latency_s").p_value < 0.01
    assert measure(base, slower, metric="latency_s").p_value > 0.99


def test_percentile_is_of_as_many_repeats_on_both_sides():
    """A percentile of means of ten repeats is not that of single repeats, which spread wider."""
    base = [result_of(f"c{index:02}", exact_match=[1.0, 0.0] * 5) for index in range(12)]
    new = [result_of(f"c{index:02}", exact_match=[1.0]) for index in range(12)]

    measured = measure(new, base, statistic="p10")

    assert (measured.baseline, measured.difference, measured.p_value) == (1.0, 0.0, 1.0)
    assert measure(new, base, statistic="mean").baseline == 0.5


def test_p_value_is_that_of_the_looks_and_one_look_has_its_own():
    base = [result_of(f"c{index:02}", exact_match=[1.0, 0.5] * 4) for index in range(12)]
    results = [case_repeats(f"c{index:02}", *[0.0] * 8) for index in range(12)]

    alone = measure([replace(each, auto=0) for each in results], base)
    looked = measure(results, base)

    assert alone.p_value == 2.0**-12
    found = find(results, base)
    assert isinstance(found, Found)
    assert looked.p_value == sequential_p_value(found.p_values(seed=0), (1 / 8, 2 / 8, 4 / 8, 1.0))
    assert looked.p_value > alone.p_value


def test_a_suspects_further_repeats_do_not_move_the_suite():
    """It was asked on because it looked bad: to count what came then would be to look for bad news."""
    base = [result_of(f"c{index}", exact_match=VARYING) for index in range(6)]
    results = [case_repeats(f"c{index}", *VARYING[2:], most=48) for index in range(5)]
    first = [1, 1, 1, 1, 0, 0, 0, 0]
    suspect = case_repeats("c5", *first, *[0] * 40, most=48)

    eight = measure([*results, case_repeats("c5", *first, most=48)], base)

    assert measure([*results, suspect], base) == eight
    assert eight.repeats == 8
    fixed = measure([*results, replace(suspect, auto=0)], base)
    assert fixed.difference < eight.difference  # all repeats of a case count that were asked for beforehand


def test_what_broke_beyond_the_last_look_is_an_error_all_the_same():
    base = [result_of(case, exact_match=VARYING) for case in "ab"]
    whole = case_repeats("a", *[1] * 8, most=48)

    for repeat in (7, 12):
        broke = case_repeats("b", *[1] * repeat, most=48, failures=[replace(BROKE, repeat=repeat)])
        found = find([whole, broke], base)
        assert isinstance(found, Verdict)
        assert (found.outcome, found.evidence) == ("error", (f"{FILE}::b",))


def test_repeats_are_averaged_within_a_case_first():
    base = [result_of("a", exact_match=[1.0] * 10), result_of("b", exact_match=[1.0, 0.0])]
    results = [result_of("a", exact_match=[1.0, 0.0, 0.0]), result_of("b", exact_match=[1.0])]

    measured = measure(results, base)

    assert measured.baseline == 0.75
    assert measured.difference == pytest.approx((1 / 3 + 1) / 2 - 0.75)
    assert measured.p_value >= 1 / 2


def test_fallen_cases_are_named_worst_first():
    measured = measure(results_of([0.5, 0.9, 0.0, 1.0]), results_of([0.6, 0.8, 1.0, 1.0]))

    assert measured.fell == (
        {"case": f"{FILE}::case-0002", "before": 1.0, "after": 0.0},
        {"case": f"{FILE}::case-0000", "before": 0.6, "after": 0.5},
    )
    assert measured.drop == -measured.difference == pytest.approx(0.25)
    assert measured.largest_drop == -measured.spread.low


def test_lower_is_better_reads_the_other_way():
    measured = measure(
        results_of([2.0, 4.0], "latency_s"), results_of([3.0, 1.0], "latency_s"), metric="latency_s"
    )

    assert [each["before"] for each in measured.fell] == [1.0]
    assert measured.drop == measured.difference == 1.0
    assert measured.largest_drop == measured.spread.high


def test_noise_is_the_variance_between_repeats():
    base = results_of([1.0, 1.0])

    def noise(*results: CaseResult) -> float:
        return measure(list(results), base).noise

    varied = result_of("case-0000", exact_match=[1.0, 0.0, 1.0, 0.0])
    still = result_of("case-0001", exact_match=[0.5, 0.5])
    assert noise(varied, still) == pytest.approx((1 / 3 + 0) / 2)
    assert [variance_of(each) for each in ([1.0], [0.5, 0.5], [1.0, 0.0])] == [None, 0.0, 0.5]
    assert noise(*results_of([1.0, 0.0])) == 0.0


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
    assert measure(results_of([1.0] * 2), base).lost == tuple(f"{FILE}::{case}" for case in lost)

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pytest_llmops.gates.inference.sign_flips import sign_flip_p_value
from pytest_llmops.gates.measuring import Beside, Looks, Measured, tolerated_drop
from pytest_llmops.gates.pairing import Scale
from pytest_llmops.records import CaseResult, Failure, Verdict
from tests.unit.gates.gate_records import FILE, VARYING, result_of, results_of, suite_check

EIGHT = Looks(repeats=(1, 2, 4, 8), planned=8)
BROKE = Failure(metric="", stage="app", error="boom")


def measure(
    results: list[CaseResult], base: list[CaseResult], looks: Looks = EIGHT, **check: object
) -> Measured:
    measured = Beside.of(results, base, looks).measure(suite_check(**check), level=0.95, seed=0)
    assert isinstance(measured, Measured), measured
    return measured


def case_repeats(case: str, *values: float, most: int = 8, **options: object) -> CaseResult:
    return result_of(case, exact_match=list(values), auto=most, **options)


@pytest.mark.parametrize(
    ("looks", "times"),
    [
        (Looks(), (1.0,)),
        (Looks(repeats=(1, 2, 4), planned=8), (1 / 8, 2 / 8, 4 / 8)),
        (Looks(repeats=(1, 2, 4), planned=4), (1 / 4, 2 / 4, 1.0)),
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


def test_each_look_has_the_repeats_that_were_there_at_the_time():
    base = [result_of(case, exact_match=VARYING) for case in "ab"]
    results = [case_repeats("a", *[1] * 4, *[0] * 4), case_repeats("b", *[0] * 8)]

    found = Beside.of(results, base, EIGHT).find(suite_check())

    assert not isinstance(found, Verdict)
    assert [list(look.values()) for look in found.after] == [[1, 0], [1, 0], [1, 0], [0.5, 0]]
    assert list(found.before.values()) == [0.9, 0.9]
    assert found.p_values(seed=0) == pytest.approx([2 / 4, 2 / 4, 2 / 4, 1 / 4])


def test_p_value_is_that_of_the_looks_and_one_look_has_its_own():
    base = [result_of(f"c{index:02}", exact_match=VARYING) for index in range(12)]
    results = [case_repeats(f"c{index:02}", *[0.0] * 8) for index in range(12)]

    assert measure(results, base, Looks()).p_value == 2.0**-12
    assert measure(results, base).p_value == pytest.approx(2.0**-12 * 512 / 448)
    assert measure(results, base, Looks(repeats=(1, 2), planned=8)).p_value == pytest.approx(
        2.0**-12 * 512 / 7
    )


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


def test_what_broke_beyond_the_last_look_is_no_business_of_the_suite():
    base = [result_of("a", exact_match=VARYING)]
    broke = [case_repeats("a", *[1] * 12, most=48, failures=[replace(BROKE, repeat=12)])]
    early = [case_repeats("a", *[1] * 12, most=48, failures=[replace(BROKE, repeat=7)])]

    assert measure(broke, base).difference == pytest.approx(0.1)
    found = Beside.of(early, base, EIGHT).find(suite_check())
    assert isinstance(found, Verdict)
    assert found.outcome == "error"


def test_repeats_are_averaged_within_a_case_first():
    base = [result_of("a", exact_match=[1.0] * 10), result_of("b", exact_match=[1.0, 0.0])]
    results = [result_of("a", exact_match=[1.0, 0.0, 0.0]), result_of("b", exact_match=[1.0])]

    measured = measure(results, base, Looks())

    assert measured.baseline == 0.75
    assert measured.difference == pytest.approx((1 / 3 + 1) / 2 - 0.75)
    assert measured.p_value == sign_flip_p_value(np.array([-2 / 3, 0.5]))


def test_fallen_cases_are_named_worst_first():
    measured = measure(results_of([0.5, 0.9, 0.0, 1.0]), results_of([0.6, 0.8, 1.0, 1.0]), Looks())

    assert measured.fell == (
        {"case": f"{FILE}::case-0002", "before": 1.0, "after": 0.0},
        {"case": f"{FILE}::case-0000", "before": 0.6, "after": 0.5},
    )
    assert measured.drop == -measured.difference == pytest.approx(0.25)
    assert measured.largest_drop == -measured.spread.low


def test_lower_is_better_reads_the_other_way():
    measured = measure(
        results_of([2.0, 4.0], "latency_s"), results_of([3.0, 1.0], "latency_s"), Looks(), metric="latency_s"
    )

    assert [each["before"] for each in measured.fell] == [1.0]
    assert measured.drop == measured.difference == 1.0
    assert measured.largest_drop == measured.spread.high


def test_noise_is_the_variance_between_repeats():
    base = results_of([1.0, 1.0])

    def noise(*results: CaseResult) -> float:
        return measure(list(results), base, Looks()).noise

    varied = result_of("case-0000", exact_match=[1.0, 0.0, 1.0, 0.0])
    still = result_of("case-0001", exact_match=[0.5, 0.5])
    assert noise(varied, still) == pytest.approx((1 / 3 + 0) / 2)
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
    assert measure(results_of([1.0] * 2), base, Looks()).lost == tuple(f"{FILE}::{case}" for case in lost)

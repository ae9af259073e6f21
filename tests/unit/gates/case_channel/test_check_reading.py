"""One check of one case beside its baseline: what is a drop of its own, and when more repeats would tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_llmops.gates.case_channel.pass_rates import Movement
from pytest_llmops.gates.case_channel.reading import FRESH, Reading, read_case
from pytest_llmops.gates.case_channel.verdicts import judge_against
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.paired_runs import Chance
from pytest_llmops.records import Bound, Case, CaseResult, Check
from tests.unit.gates.gate_records import VARYING, check_of, metric_of, registered, result_of, steady

HELD = check_of("keywords", ">= 1")
SCORED = check_of("semantic", ">= 0.7")
NOISY = [0.8, 0.78, 0.82, 0.8, 0.79, 0.81, 0.8, 0.8, 0.77, 0.83]
VARIES = Chance([result_of("other", exact_match=VARYING)])
STEADY = Chance([steady("other", exact_match=1.0)])


def reading_of(
    check: Check, before: Sequence[float], now: Sequence[float], *, auto: int = 0, **options: object
) -> Reading:
    base = result_of("a", **{check.metric: list(before)})
    new = result_of("a", auto=auto, checks=[check], **{check.metric: list(now)})
    (reading,) = read_case(base, new, VARIES)
    return replace(reading, **options)


def still(metric: str, value: float, count: int) -> CaseResult:
    return steady("a", count, **{metric: value})


def judge(
    check: Check, base: CaseResult, new: CaseResult, chance: Chance = STEADY, tests: int = 1
) -> tuple[str, bool]:
    (verdict,) = judge_against(
        Case(id="a", input="?", checks=(check,)), new, base, chance=chance, budget=CaseBudget(tests=tests)
    )
    return verdict.outcome, verdict.known


def lowered(values: Sequence[float], by: float) -> list[float]:
    return [value - by for value in values]


@pytest.mark.parametrize(
    ("check", "before", "by_rate"),
    [
        (HELD, [0.5, 0.6], True),  # the best score is asked for
        (SCORED, [1.0, 0.0], True),  # all scores are 0 or 1
        (SCORED, [0.9, 0.8], False),
        (replace(SCORED, pass_rate=Bound(comparison=">=", threshold=0.5)), [0.9, 0.8], True),
        (check_of("semantic", "<= 0.7"), [0.9, 0.8], False),
    ],
)
def test_what_is_judged_by_its_rate(check, before, by_rate):
    assert reading_of(check, before, before).by_rate == by_rate


@pytest.mark.parametrize(
    ("check", "size"),
    [(SCORED, 0.4), (replace(SCORED, max_drop=0.1), 0.1), (check_of("bleu", ">= 30"), 0.4)],
)
def test_size_is_the_checks_own_or_half_of_the_way_to_the_worst_score(check, size):
    assert reading_of(check, [0.8], [0.8]).size == pytest.approx(size)


def test_two_tests_of_one_reading_are_corrected_for_being_two():
    """How many repeats hold it and how low the scores are: the smaller p-value counts twice."""
    both = reading_of(HELD, [1.0] * 8 + [0.9, 0.8], [0.1, 0.2, 0.3, 0.1])
    one, other = both.rates.p_value, replace(both, by_rate=False).p_value()

    assert both.p_value() == pytest.approx(2 * min(one, other))
    assert max(one, other) < 1


def test_size_of_a_metric_that_should_be_low_goes_up():
    with registered(metric_of("rudeness", "<= 0.3", higher_is_better=False)):
        assert reading_of(check_of("rudeness", "<= 0.3"), [0.2], [0.2]).size == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("check", "by", "outcome"),
    [
        pytest.param(SCORED, 0.15, "undecided", id="crossed its bound, by less than a case that counts"),
        pytest.param(SCORED, 0.6, "regressed", id="by more than half of the way"),
        pytest.param(SCORED, 0.05, "passed", id="still holds"),
        pytest.param(replace(SCORED, max_drop=0.1), 0.15, "regressed", id="by more than its own size"),
        pytest.param(replace(SCORED, max_drop=0.2), 0.15, "undecided", id="by less than its own size"),
        pytest.param(
            replace(check_of("semantic", ">= 0.3"), max_drop=0.1), 0.3, "regressed", id="own size, holds"
        ),
        pytest.param(check_of("semantic", ">= 0.3"), 0.3, "passed", id="no size, holds"),
    ],
)
def test_score_that_varies_is_held_against_a_size_and_not_against_its_bound(check, by, outcome):
    """Ten repeats and eight: an edit that moves a case a little is no regression of it."""
    base, new = result_of("a", semantic=NOISY), result_of("a", semantic=lowered(NOISY[:8], by))

    assert judge(check, base, new, VARIES, tests=30) == (outcome, False)


@pytest.mark.parametrize(
    ("check", "before", "now"),
    [
        pytest.param(HELD, [0.67] * 10, [0.0] * 10, id="keywords .67 to 0"),
        pytest.param(check_of("semantic", ">= 0.9"), [0.84] * 10, [0.07] * 10, id="semantic .84 to .07"),
        pytest.param(
            replace(HELD, pass_rate=Bound(comparison=">=", threshold=0.9)),
            [1.0] * 8 + [0.0] * 2,
            [0.0] * 10,
            id="8 of 10 to 0 of 10",
        ),
    ],
)
def test_known_failure_that_gets_worse_is_regressed(check, before, now):
    base, new = result_of("a", **{check.metric: before}), result_of("a", **{check.metric: now})

    assert judge(check, base, new, VARIES, tests=20) == ("regressed", False)
    assert judge(check, base, base, VARIES, tests=20) == ("failed", True)
    if len(set(before)) == 1:
        alike = [still(check.metric, values[0], 3) for values in (before, now)]
        assert judge(check, *alike) == ("regressed", False)
        assert judge(check, alike[0], alike[0]) == ("failed", True)


def test_a_case_that_holds_nine_times_in_ten_is_no_known_failure_that_hides_a_collapse():
    base = result_of("a", keywords=VARYING)

    assert judge(HELD, base, result_of("a", keywords=VARYING), VARIES) == ("passed", False)
    assert judge(HELD, base, result_of("a", keywords=[0.0] * 8), VARIES, tests=30) == ("regressed", False)


@pytest.mark.parametrize(
    ("repeats", "outcome"), [(1, "failed"), (2, "failed"), (3, "regressed"), (8, "regressed")]
)
def test_miss_of_a_steady_app_is_failed_until_three_repeats_show_it(repeats, outcome):
    assert judge(HELD, still("keywords", 1.0, 2), still("keywords", 0.0, repeats)) == (outcome, False)


def rude(value: float, count: int) -> CaseResult:
    return result_of("a", rudeness=[value] * count)


@pytest.mark.parametrize(
    ("bound", "before", "now", "outcome"),
    [
        pytest.param("<= 0.5", 0.0, 1.0, "regressed", id="got worse"),
        pytest.param("<= 0.5", 0.0, 0.0, "passed", id="unchanged"),
        pytest.param("<= 0.5", 1.0, 0.0, "passed", id="got better"),
        pytest.param("<= 0.5", 1.0, 1.0, "failed", id="as bad as before"),
        pytest.param(">= 0.5", 1.0, 1.0, "passed", id="asked the other way round"),
        pytest.param(">= 0.5", 1.0, 0.0, "regressed", id="asked the other way round and missed"),
    ],
)
def test_metric_that_should_be_low_and_is_0_or_1_is_counted(bound, before, now, outcome):
    """Scores that say no more than held or missed have no test of their size, whichever way is better."""
    with registered(metric_of("rudeness", "<= 0.3", higher_is_better=False)):
        found = judge(check_of("rudeness", bound), rude(before, 10), rude(now, 8), VARIES)

    assert found == (outcome, outcome == "failed")


@pytest.mark.parametrize(
    ("now", "state", "wants"),
    [
        pytest.param([1.0], "clear", 0, id="holds"),
        pytest.param([0.0], "suspect", 2, id="missed"),
        pytest.param([0.0] * 6, "suspect", 8, id="missed in six"),
        pytest.param([0.0] * 8, "called", 16, id="missed in eight"),
        pytest.param([0.0] * 15, "called", 16, id="seven fresh ones"),
        pytest.param([0.0] * 16, "regressed", 0, id="confirmed"),
        pytest.param([0.0] * 8 + [1.0] * 8, "refuted", 0, id="not confirmed"),
        pytest.param([1.0, 0.0], "clear", 0, id="half of them"),
    ],
)
def test_state_of_a_case_that_is_run_while_its_verdict_is_open(now, state, wants):
    reading = reading_of(HELD, VARYING, now, auto=64)

    assert reading.state(CaseBudget(tests=30)) == state
    assert reading.wants(CaseBudget(tests=30)) == wants
    assert FRESH == 8


def test_no_drop_is_called_that_could_not_be_confirmed():
    """Of 20 repeats the last eight are for the confirmation."""
    reading = reading_of(HELD, VARYING, [0.0] * 16, auto=20)
    budget = CaseBudget(tests=int(CaseBudget(tests=1).bound / reading.p_value()))

    assert reading.p_value(0, 12) > budget.bound >= reading.p_value(0, 16)
    assert reading.state(budget) == "clear"
    assert replace(reading, most=64).state(budget) == "called"


@pytest.mark.parametrize("most", [1, 3, 7, 8, 20])
def test_dead_case_is_none_that_is_excused_once_its_repeats_are_used_up(most):
    """However few repeats are allowed, and whatever a test can make of them."""
    base, new = result_of("a", keywords=VARYING), result_of("a", auto=most, keywords=[0.0] * most)

    outcome, known = judge(HELD, base, new, VARIES, tests=10**9)

    assert (outcome, known) == ("undecided", False)
    reading = reading_of(HELD, VARYING, [0.0] * most, auto=most)
    assert reading.is_dead
    assert reading.wants(CaseBudget(tests=10**9)) == 0
    assert all(
        reading_of(HELD, VARYING, [0.0] * done, auto=most).wants(CaseBudget(tests=10**9)) > done
        for done in range(1, min(8, most))
    )


def test_movement_of_other_cases_makes_a_drop_less_of_an_outlier():
    reading = reading_of(HELD, [1.0] * 6 + [0.0] * 4, [0.0] * 10)

    assert reading.p_value() == pytest.approx(reading.rates.p_value) == pytest.approx(0.0054, rel=0.01)
    assert replace(reading, moved=Movement(variance=0.15)).p_value() > 0.05

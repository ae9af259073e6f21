from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

from pytest_llmops.gates.case_channel import pooled
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.records import CaseResult, Failure, SuiteCheck
from tests.unit.gates.gate_records import FILE, VARYING, result_of, steady, suite_check

BROKE = Failure(metric="", stage="app", error="boom")
NAMES = [f"c{index:02}" for index in range(30)]
BASE = [result_of(name, exact_match=VARYING) for name in NAMES]
HOLDS, MISSES = [1.0], [0.0]


def planner(
    base: Iterable[CaseResult] = BASE,
    *checks: SuiteCheck,
    most: int = 64,
    tests: int = len(NAMES),
) -> RepeatPlanner:
    suite = {FILE: checks or (suite_check(max_drop=0.05),)}
    return RepeatPlanner(
        base={each.case: each for each in base}, suite=suite, most=most, budget=CaseBudget(tests=tests)
    )


def asked(case: str, values: list[float], most: int = 64, **options: object) -> CaseResult:
    return result_of(case, auto=most, exact_match=values, **options)


@pytest.fixture
def no_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases are not looked at together: the suite is meant."""
    monkeypatch.setattr(pooled, "SCREEN", 0.0)
    monkeypatch.setattr(pooled, "SUSPECT", 0.0)


def wanted(planner: RepeatPlanner, results: Iterable[CaseResult]) -> dict[str, int]:
    return {
        case.rpartition("::")[2]: repeats for case, repeats in planner.next_repeats(list(results)).items()
    }


def run(values: list[float], most: int = 64, **others: list[float]) -> list[CaseResult]:
    """Each case with those repeats, but for the others."""
    return [asked(name, others.get(name, values), most) for name in NAMES]


def test_fixed_repeats_are_left_alone():
    assert wanted(planner(), [result_of(name, exact_match=1.0) for name in NAMES]) == {}
    assert wanted(planner(base=[]), [result_of("a", exact_match=[1.0, 0.0])]) == {}


def test_app_that_does_not_vary_is_asked_once():
    base = [steady(name, exact_match=1.0) for name in NAMES]
    alike = [result_of(name, auto=8, texts=["60 days"], exact_match=1.0) for name in NAMES]
    reworded = [result_of(name, auto=8, texts=["two months"], exact_match=1.0) for name in NAMES]

    assert wanted(planner(base), alike) == {}
    assert wanted(planner(base), reworded) == {}


@pytest.mark.parametrize("checks", [(suite_check(max_drop=0.05),), (suite_check("latency_s"),)])
def test_drop_of_an_app_that_does_not_vary_is_run_twice_again_and_no_other_case(checks):
    base = [steady(name, exact_match=1.0) for name in NAMES]

    def results(repeats: int) -> list[CaseResult]:
        dropped = [replace(steady(name, repeats, exact_match=0.0), auto=64) for name in NAMES[:5]]
        return [*dropped, *(replace(steady(name, 1, exact_match=1.0), auto=64) for name in NAMES[5:])]

    assert wanted(planner(base, *checks), results(1)) == dict.fromkeys(NAMES[:5], 3)
    assert wanted(planner(base, *checks), results(3)) == {}


def test_small_drops_of_scores_are_run_again_where_the_suite_does_not_tolerate_their_mean():
    """No case dropped by a size of its own, and all together by more than `max_drop`."""
    base = [steady(name, rouge_l=0.9) for name in NAMES]
    results = [replace(steady(name, 1, rouge_l=0.8), auto=64) for name in NAMES]

    assert wanted(planner(base, suite_check("rouge_l", max_drop=0.05)), results) == dict.fromkeys(NAMES, 3)
    assert wanted(planner(base, suite_check("rouge_l", max_drop=0.15)), results) == {}


def test_case_without_a_baseline_is_asked_twice():
    assert wanted(planner(base=[]), [asked("a", HOLDS), asked("b", MISSES)]) == {"a": 2, "b": 2}
    still = [result_of(name, auto=64, texts=["60 days"] * 2, exact_match=[1.0] * 2) for name in "ab"]
    assert wanted(planner(base=[]), still) == {}


def test_one_that_varies_makes_all_new_cases_a_baseline():
    results = [
        result_of("a", auto=64, texts=["60 days"] * 2, exact_match=[1.0] * 2),
        asked("b", [1.0, 0.0]),
        asked("c", [1.0] * 10),
        asked("d", [1.0, 1.0], failures=[BROKE]),
    ]

    assert wanted(planner(base=[]), results) == {"a": 10, "b": 10}
    few = [asked(each, [1.0, 0.0], most=6) for each in "ab"]
    assert wanted(planner(base=[], most=6), few) == {"a": 6, "b": 6}


def test_new_case_of_an_app_that_is_known_to_vary_gets_its_baseline_at_once():
    results = [*run([1.0] * 4), asked("new", HOLDS)]

    assert wanted(planner(), results) == {"new": 10}


def test_case_that_asks_otherwise_has_no_baseline():
    edited = result_of("c00", auto=64, exact_match=1.0)
    base = [replace(steady("c00", exact_match=1.0), input_hash="asked otherwise")]

    assert wanted(planner(base), [edited]) == {"c00": 2}


def lost_by(cases: int, repeats: list[float]) -> list[CaseResult]:
    """So many cases with those repeats, the others held in each."""
    return run([1.0] * len(repeats), **dict.fromkeys(NAMES[:cases], repeats))


@pytest.mark.parametrize(
    ("lost", "repeats", "step"),
    [
        (8, [0.0], 2),
        (20, [0.0, 1.0], 3),
        (20, [0.0, 1.0, 0.0], 4),
        (12, [0.0, 1.0, 0.0, 1.0], 5),
        (12, [0.0, 1.0, 0.0, 1.0, 0.0], 6),
        (12, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0], 7),
        (12, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0], 8),
    ],
)
def test_open_verdict_is_looked_at_again_at_the_next_look(lost, repeats, step):
    """A case that is ahead, as after a run that was cut off, waits for the others."""
    results = [*lost_by(lost, repeats)[:-1], asked(NAMES[-1], [1.0] * step)]
    checks = (suite_check(max_drop=0.05), suite_check("bleu"), suite_check("nosuch"))

    assert wanted(planner(BASE, *checks, tests=10**9), results) == dict.fromkeys(NAMES[:-1], step)


def test_one_repeat_clears_a_mean_that_did_not_drop_at_all_and_two_one_that_drops_by_what_is_tolerated():
    less = dict.fromkeys(NAMES[:4], MISSES)  # 26 of 30 hold, 0.033 less than 27
    again = {name: [0.0, 1.0] for name in NAMES[:4]}

    alone = wanted(planner(tests=10**9), run(HOLDS, c00=MISSES, c01=MISSES))
    assert alone == {"c00": 2, "c01": 2}  # not for the suite: each of them may be dead
    assert wanted(planner(tests=10**9), run(HOLDS, **less)) == dict.fromkeys(NAMES, 2)
    assert wanted(planner(tests=10**9), run([1.0] * 2, **again)).keys() <= again.keys()  # not for the suite


@pytest.mark.parametrize(("done", "steps"), [(1, {2}), (2, {3}), (3, {4}), (4, {10}), (9, {10}), (10, set())])
def test_drop_is_called_at_the_fourth_repeat_and_confirmed_on_six_fresh_ones(done, steps):
    assert set(wanted(planner(tests=10**9), run(MISSES * done)).values()) == steps


@pytest.mark.usefixtures("no_pools")
def test_drop_that_fresh_repeats_do_not_confirm_is_closed():
    assert wanted(planner(tests=10**9), run(MISSES * 4 + HOLDS * 6)) == {}


@pytest.mark.parametrize("checks", [[suite_check("latency_s")], [suite_check("bleu")]])
def test_one_repeat_is_enough_where_no_check_watches_for_a_drop(checks):
    assert wanted(planner(BASE, *checks), run(HOLDS)) == {}
    assert wanted(planner(BASE, *checks), run([0.0, 1.0])) == {}


@pytest.mark.parametrize(("lost", "steps"), [(0, set()), (12, set()), (20, {5}), (24, {5}), (30, {10})])
def test_without_max_drop_futility_weighs_the_chance_that_the_next_test_calls_it(lost, steps):
    """One repeat in four is lost by some of thirty cases: no hope, then some, then it is called."""
    ask = planner(BASE, suite_check(), tests=10**9)

    assert set(wanted(ask, run(HOLDS)).values()) == {2}  # one repeat clears nothing without a max_drop
    assert set(wanted(ask, lost_by(lost, [1.0, 1.0, 1.0, 0.0])).values()) == steps


def test_futility_counts_every_check_that_watches():
    """The bar at the next test is that of the strictest step of Holm's correction."""
    checks = [suite_check()] * 200
    lost = lost_by(20, [1.0, 1.0, 1.0, 0.0])

    assert set(wanted(planner(BASE, *checks[:1], tests=10**9), lost).values()) == {5}
    assert wanted(planner(BASE, *checks, tests=10**9), lost) == {}


@pytest.mark.usefixtures("no_pools")
def test_check_that_was_called_does_not_close_the_others():
    """The mean of one metric has regressed, and another might yet."""
    both = [suite_check(max_drop=0.05), suite_check("rouge_l", max_drop=0.05)]
    base = [result_of(name, exact_match=VARYING, rouge_l=VARYING) for name in NAMES]

    def results(lost: int) -> list[CaseResult]:
        return [
            result_of(
                name,
                auto=64,
                exact_match=MISSES * 10,
                rouge_l=[float(name not in NAMES[:lost])] * 10,
            )
            for name in NAMES
        ]

    assert set(wanted(planner(base, *both, tests=10**9), results(6)).values()) == {11}
    assert wanted(planner(base, *both, tests=10**9), results(2)) == {}


@pytest.mark.parametrize(
    ("done", "stage", "tests"),
    [
        (1, 2, 30),
        (4, 5, 30),
        (5, 6, 30),
        (6, 8, 30),
        (8, 16, 30),  # 9 of 43,758, which is called; eight fresh repeats have to confirm it
        (12, 16, 30),
        (8, 10, 30_000),
        (12, 16, 30_000),
        (16, 20, 30_000),
        (24, 32, 30_000),  # called
    ],
)
def test_suspects_alone_go_on_by_stages_until_they_are_called_and_confirmed(done, stage, tests):
    results = run([1.0] * min(4, done), 200, c07=MISSES * done, c08=MISSES * done)

    assert wanted(planner(most=200, tests=tests), results) == {"c07": stage, "c08": stage}


@pytest.mark.parametrize(("done", "tests"), [(16, 30), (32, 30_000), (64, 30)])
def test_suspect_that_was_confirmed_is_left(done, tests):
    assert wanted(planner(most=200, tests=tests), run([1.0] * 4, 200, c07=MISSES * done)) == {}


def test_suspect_that_fresh_repeats_do_not_confirm_is_left():
    results = run([1.0] * 4, 64, c07=MISSES * 8 + HOLDS * 8)

    assert wanted(planner(), results) == {}


@pytest.mark.parametrize(
    ("repeats", "most", "tests"),
    [
        pytest.param(MISSES * 48, 48, 30, id="no more than the most"),
        pytest.param([1.0] * 4 + MISSES * 4, 10, 30, id="half of the repeats hold"),
        pytest.param([1.0, 1.0, 0.0, 0.0], 48, 30, id="no collapse, should it go on"),
        pytest.param(MISSES * 6, 6, 3_000, id="not even the most would show it"),
    ],
)
def test_no_suspect_where_more_repeats_would_say_nothing(repeats, most, tests):
    results = run([1.0] * 4, most, c07=repeats)

    assert "c07" not in wanted(planner(most=most, tests=tests), results)


@pytest.mark.parametrize(("done", "step"), [(4, 5), (6, 7), (7, 0)])
def test_dead_case_gets_eight_repeats_or_all_there_are_whatever_a_test_can_make_of_it(done, step):
    results = run([1.0] * 4, 7, c07=MISSES * done)

    assert wanted(planner(most=7, tests=10**9), results) == ({"c07": step} if step else {})
    eight = run([1.0] * 4, 64, c07=MISSES * done)
    assert wanted(planner(tests=10**12), eight) == {"c07": {4: 5, 6: 8, 7: 8}[done]}
    assert wanted(planner(tests=10**12), run([1.0] * 4, 64, c07=MISSES * 8)) == {}


def test_case_that_broke_is_not_asked_again_and_does_not_hold_up_the_others():
    results = run(HOLDS, c07=MISSES)
    results[3] = asked("c03", HOLDS, failures=[BROKE])

    assert wanted(planner(), results) == {"c07": 2}
    assert wanted(planner(), [asked(name, HOLDS, failures=[BROKE]) for name in NAMES]) == {}


@pytest.mark.parametrize("most", [1, 2, 3, 4, 6, 8, 20])
def test_nobody_is_asked_more_often_than_is_allowed(most):
    """A verdict that stays open, and a case that would go on to be a suspect."""
    for done in range(1, most + 1):
        open_ = lost_by(5, MISSES + [1.0, 0.0] * most)
        results = [
            asked(name, [score.value for score in one.scores][:done], most)
            for name, one in zip(NAMES, open_, strict=True)
        ]
        results[-1] = asked(NAMES[-1], MISSES * done, most)
        steps = wanted(planner(most=most, tests=1), results).values()
        assert all(done < step <= most for step in steps)
        assert steps or done >= min(most, 4)


def test_cases_that_nobody_asked_to_explore_are_run_once():
    ask = replace(planner(base=[steady("a", exact_match=1.0)]), explores=False)

    assert wanted(ask, [asked("new", HOLDS)]) == {}
    assert wanted(replace(ask, explores=True), [asked("new", HOLDS)]) == {"new": 2}


def ask_until_closed(planner: RepeatPlanner, draw: Callable[[str], float], most: int) -> list[CaseResult]:
    repeats = {name: [draw(name)] for name in NAMES}
    while True:
        results = [asked(name, values, most) for name, values in repeats.items()]
        step = wanted(planner, results)
        if not step:
            return results
        for name, count in step.items():
            assert len(repeats[name]) < count <= most
            repeats[name] += [draw(name) for _ in range(count - len(repeats[name]))]


@pytest.mark.parametrize("seed", range(3))
def test_two_collapsed_cases_are_asked_on_and_the_others_left(seed):
    generator = np.random.default_rng(seed)

    results = ask_until_closed(
        planner(), lambda name: float(name not in {"c03", "c17"} and generator.random() < 0.9), most=64
    )

    counts = {result.case.rpartition("::")[2]: len(result.scores) for result in results}
    assert counts.pop("c03") == counts.pop("c17") == 16
    assert max(counts.values()) <= 10

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

from pytest_llmops.gates.asking import Asking
from pytest_llmops.records import CaseResult, Failure, SuiteCheck
from tests.unit.gates.gate_records import FILE, VARYING, result_of, steady, suite_check

BROKE = Failure(metric="", stage="app", error="boom")
NAMES = [f"c{index:02}" for index in range(30)]
BASE = [result_of(name, exact_match=VARYING) for name in NAMES]
HOLDS, MISSES = [1.0], [0.0]


def asking(
    base: Iterable[CaseResult] = BASE,
    *checks: SuiteCheck,
    most: int = 48,
    tests: int = len(NAMES),
) -> Asking:
    suite = {FILE: checks or (suite_check(max_drop=0.05),)}
    return Asking(base={each.case: each for each in base}, suite=suite, most=most, tests=tests)


def asked(case: str, values: list[float], most: int = 48, **options: object) -> CaseResult:
    return result_of(case, auto=most, exact_match=values, **options)


def wanted(asking: Asking, results: Iterable[CaseResult]) -> dict[str, int]:
    return {case.rpartition("::")[2]: repeats for case, repeats in asking.next_repeats(list(results)).items()}


def run(values: list[float], most: int = 48, **others: list[float]) -> list[CaseResult]:
    """Each case with those repeats, but for the others."""
    return [asked(name, others.get(name, values), most) for name in NAMES]


def test_fixed_repeats_are_left_alone():
    assert wanted(asking(), [result_of(name, exact_match=1.0) for name in NAMES]) == {}
    assert wanted(asking(base=[]), [result_of("a", exact_match=[1.0, 0.0])]) == {}


def test_app_that_does_not_vary_is_asked_once():
    base = [steady(name, exact_match=1.0) for name in NAMES]
    alike = [result_of(name, auto=8, texts=["60 days"], exact_match=1.0) for name in NAMES]
    changed = [result_of(name, auto=8, texts=["30 days"], exact_match=0.0) for name in NAMES]

    assert wanted(asking(base), alike) == {}
    assert wanted(asking(base), changed) == {}


def test_case_without_a_baseline_is_asked_twice():
    assert wanted(asking(base=[]), [asked("a", HOLDS), asked("b", MISSES)]) == {"a": 2, "b": 2}
    still = [result_of(name, auto=48, texts=["60 days"] * 2, exact_match=[1.0] * 2) for name in "ab"]
    assert wanted(asking(base=[]), still) == {}


def test_one_that_varies_makes_all_new_cases_a_baseline():
    results = [
        result_of("a", auto=48, texts=["60 days"] * 2, exact_match=[1.0] * 2),
        asked("b", [1.0, 0.0]),
        asked("c", [1.0] * 10),
        asked("d", [1.0, 1.0], failures=[BROKE]),
    ]

    assert wanted(asking(base=[]), results) == {"a": 10, "b": 10}
    few = [asked(each, [1.0, 0.0], most=6) for each in "ab"]
    assert wanted(asking(base=[], most=6), few) == {"a": 6, "b": 6}


def test_new_case_of_an_app_that_is_known_to_vary_gets_its_baseline_at_once():
    results = [*run([1.0] * 4), asked("new", HOLDS)]

    assert wanted(asking(), results) == {"new": 10}


def test_case_that_asks_otherwise_has_no_baseline():
    edited = result_of("c00", auto=48, exact_match=1.0)
    base = [replace(steady("c00", exact_match=1.0), input_hash="asked otherwise")]

    assert wanted(asking(base), [edited]) == {"c00": 2}


def lost_by(cases: int, repeats: list[float]) -> list[CaseResult]:
    """So many cases with those repeats, the others held in each."""
    return run([1.0] * len(repeats), **dict.fromkeys(NAMES[:cases], repeats))


@pytest.mark.parametrize(
    ("lost", "repeats", "step"),
    [
        (8, [0.0], 2),
        (8, [1.0, 0.0], 4),
        (8, [1.0, 0.0, 1.0], 4),
        (20, [1.0, 1.0, 1.0, 0.0], 8),
        (20, [1.0, 1.0, 1.0, 0.0, 1.0], 8),
    ],
)
def test_open_verdict_is_looked_at_again_at_1_2_4_8(lost, repeats, step):
    """A case that is ahead, as after a run that was cut off, waits for the others."""
    results = [*lost_by(lost, repeats)[:-1], asked(NAMES[-1], [1.0] * step)]
    checks = (suite_check(max_drop=0.05), suite_check("bleu"), suite_check("nosuch"))

    assert wanted(asking(BASE, *checks), results) == dict.fromkeys(NAMES[:-1], step)


def test_every_case_gets_four_repeats_so_that_a_single_broken_one_shows():
    assert set(wanted(asking(), run(HOLDS)).values()) == {2}
    assert set(wanted(asking(), run([1.0] * 2)).values()) == {4}
    assert wanted(asking(), run([1.0] * 4)) == {}


@pytest.mark.parametrize("done", [1, 2, 4])
def test_regression_stops_the_looks(done):
    assert wanted(asking(tests=10**9), run(MISSES * done)) == {}


@pytest.mark.parametrize("checks", [[suite_check("latency_s")], [suite_check("bleu")]])
def test_four_repeats_are_enough_where_no_check_watches_for_a_drop(checks):
    assert set(wanted(asking(BASE, *checks), run([1.0, 0.0])).values()) == {4}
    assert wanted(asking(BASE, *checks, tests=10**9), run([1.0, 0.0, 0.0, 0.0])) == {}


@pytest.mark.parametrize(
    ("lost", "steps"), [(0, set()), (8, set()), (16, set()), (19, {8}), (24, {8}), (28, set())]
)
def test_futility_weighs_the_chance_that_the_last_look_calls_it(lost, steps):
    """One repeat in four is lost by some of thirty cases: no hope, then some, then it is called."""
    assert set(wanted(asking(), lost_by(lost, [1.0, 1.0, 1.0, 0.0])).values()) == steps


def test_futility_counts_every_check_that_watches():
    """The bar at the last look is that of the strictest step of Holm's correction."""
    checks = [suite_check(max_drop=0.05)] * 8

    assert set(wanted(asking(BASE, *checks[:1]), lost_by(19, [1.0, 1.0, 1.0, 0.0])).values()) == {8}
    assert wanted(asking(BASE, *checks), lost_by(19, [1.0, 1.0, 1.0, 0.0])) == {}


def test_check_that_was_called_does_not_close_the_others():
    """The mean of one metric has regressed, and another might yet."""
    both = [suite_check(max_drop=0.05), suite_check("rouge_l", max_drop=0.05)]
    base = [result_of(name, exact_match=VARYING, rouge_l=VARYING) for name in NAMES]

    def results(lost: int) -> list[CaseResult]:
        return [
            result_of(
                name,
                auto=48,
                exact_match=MISSES * 4,
                rouge_l=[1.0, 1.0, 1.0, float(name not in NAMES[:lost])],
            )
            for name in NAMES
        ]

    assert set(wanted(asking(base, *both, tests=10**9), results(22)).values()) == {8}
    assert wanted(asking(base, *both, tests=10**9), results(5)) == {}


STAGES = [(4, 6), (6, 8), (8, 12), (12, 16), (16, 24), (24, 32), (32, 40), (40, 48)]
FURTHER = [(48, 64), (64, 96), (96, 128), (128, 200)]


@pytest.mark.parametrize(("done", "stage"), [*STAGES, *FURTHER])
def test_suspects_alone_go_on_by_stages(done, stage):
    assert wanted(asking(most=200), run([1.0] * 4, c07=MISSES * done, c08=MISSES * done)) == {
        "c07": stage,
        "c08": stage,
    }


@pytest.mark.parametrize(
    ("repeats", "most", "tests"),
    [
        pytest.param(MISSES * 48, 48, 30, id="no more than the most"),
        pytest.param([1.0] * 4 + MISSES * 4, 10, 30, id="half of the repeats hold"),
        pytest.param([1.0, 1.0, 0.0, 0.0], 48, 30, id="no collapse, should it go on"),
        pytest.param(MISSES * 4, 6, 3_000, id="not even the most would show it"),
    ],
)
def test_no_suspect_where_more_repeats_would_say_nothing(repeats, most, tests):
    results = run([1.0] * 4, most, c07=repeats)

    assert "c07" not in wanted(asking(most=most, tests=tests), results)


def test_suspect_gets_the_last_repeats_there_are():
    assert wanted(asking(most=7), run([1.0] * 4, 7, c07=MISSES * 6)) == {"c07": 7}
    assert wanted(asking(most=130), run([1.0] * 4, 130, c07=MISSES * 128)) == {"c07": 130}


def test_case_that_broke_is_not_asked_again_and_does_not_hold_up_the_others():
    results = run([1.0] * 2)
    results[3] = asked("c03", HOLDS, failures=[BROKE])

    assert wanted(asking(), results) == {name: 4 for name in NAMES if name != "c03"}
    assert wanted(asking(), [asked(name, HOLDS, failures=[BROKE]) for name in NAMES]) == {}


@pytest.mark.parametrize("most", [1, 2, 3, 4, 6, 8])
def test_nobody_is_asked_more_often_than_is_allowed(most):
    """A verdict that stays open, and a case that would go on to be a suspect."""
    for done in range(1, most + 1):
        open_ = lost_by(5, [1.0] * (done - 1) + MISSES)
        results = [replace(each, auto=most) for each in (*open_[:-1], asked(NAMES[-1], MISSES * done))]
        steps = wanted(asking(most=most, tests=1), results).values()
        assert all(done < step <= most for step in steps)
        assert steps or done >= min(4, most)


def ask_until_closed(asking: Asking, draw: Callable[[str], float], most: int) -> list[CaseResult]:
    repeats = {name: [draw(name)] for name in NAMES}
    while True:
        results = [asked(name, values, most) for name, values in repeats.items()]
        step = wanted(asking, results)
        if not step:
            return results
        for name, count in step.items():
            assert len(repeats[name]) < count <= most
            repeats[name] += [draw(name) for _ in range(count - len(repeats[name]))]


@pytest.mark.parametrize("seed", range(3))
def test_two_collapsed_cases_are_asked_on_and_the_others_left(seed):
    generator = np.random.default_rng(seed)

    results = ask_until_closed(
        asking(), lambda name: float(name not in {"c03", "c17"} and generator.random() < 0.9), most=48
    )

    counts = {result.case.rpartition("::")[2]: len(result.scores) for result in results}
    assert counts.pop("c03") == counts.pop("c17") == 48
    assert max(counts.values()) <= 8

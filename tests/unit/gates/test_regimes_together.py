"""Where releases, anchors, copies, days and renames meet in one comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_llmops import compare
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.release import Release
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.records import ANCHORS, CaseResult, Check, Run, Score, SuiteCheck

FILE = "golden/shop.yaml"
WATCHED = {
    FILE: (SuiteCheck(metric="rouge_l", statistic="mean", comparison=None, threshold=None, max_drop=0.05),)
}


def result(case, values, *, path=FILE, input_hash="", **fields):
    return CaseResult(
        case=f"{path}::{case}",
        input_hash=input_hash or case,
        scores=tuple(
            Score(metric="rouge_l", value=value, repeat=at, signature="rouge_l|v1")
            for at, value in enumerate(values)
        ),
        answers=tuple(f"{value}-{at}" for at, value in enumerate(values)),
        **fields,
    )


def run(values, *, names="c", anchors=(), suite=WATCHED):
    results = tuple(
        result(f"{names}{at}", [value], input_hash=f"asked {at}") for at, value in enumerate(values)
    )
    return Run(signature={}, results=results, suite=suite, anchors=tuple(anchors))


def anchored(by):
    return [
        replace(result(f"a{at}", [0.7 + by], path=f"{FILE}{ANCHORS}"), answers=("kept",)) for at in range(12)
    ]


def checks_of(comparison, outcome):
    return [verdict.check for verdict in comparison.verdicts if verdict.outcome == outcome]


VARIED = list(np.random.default_rng(3).uniform(0.6, 0.8, 20))


def test_a_golden_file_that_came_after_the_release_is_no_error_since_then():
    now, other = run(VARIED), "golden/other.yaml"
    added = [result(f"o{at}", [value], path=other) for at, value in enumerate(VARIED)]
    now = replace(now, results=(*now.results, *added), suite={**WATCHED, other: WATCHED[FILE]})

    comparison = compare(now, now, release=Release(name="1", run=run(VARIED)))

    assert comparison.outcome == "passed"


def test_renamed_cases_are_compared_with_the_release_too():
    release = Release(name="1", run=run(VARIED, names="old-"))
    worse = run([value - 0.3 for value in VARIED], names="new-")

    comparison = compare(worse, worse, release=release)
    assert compare(worse, worse, release=release.run).outcome == comparison.outcome

    assert any("since release 1" in check for check in checks_of(comparison, "regressed"))


@pytest.mark.parametrize("against", ["baseline", "release"])
def test_a_stricter_judge_is_no_drop_of_the_app(against):
    base, now = run(VARIED, anchors=anchored(0.0)), run([v - 0.1 for v in VARIED], anchors=anchored(-0.1))

    comparison = (
        compare(base, now)
        if against == "baseline"
        else compare(now, now, release=Release(name="1", run=base))
    )

    assert checks_of(comparison, "regressed") == []
    assert comparison.outcome == "undecided"


def test_a_case_that_only_a_cache_answers_takes_no_repeats_from_the_others():
    """Its two copies are no reason to count only two repeats of the cases that were run on."""
    random = np.random.default_rng(0)
    base = [result(f"c{at}", (random.random(10) < 0.8).astype(float)) for at in range(30)]
    new = [result(f"c{at}", (random.random(20) < 0.55).astype(float), auto=64) for at in range(29)]
    copied = replace(result("c29", [1.0, 1.0], auto=64), answers=("same", "same"), copies=(1,))
    with_copy = compare(
        Run(signature={}, results=tuple(base), suite=WATCHED),
        Run(signature={}, results=(*new, copied), suite=WATCHED),
    )

    assert "rouge_l mean" in " ".join(checks_of(with_copy, "regressed"))


def test_a_dead_case_is_run_on_against_merged_days():
    """Repeats of one day count as fewer, and the planner asks for repeats, not for independent ones."""
    random = np.random.default_rng(5)
    days = [
        np.concatenate([(random.random(10) < min(0.95, max(0.3, rate))).astype(float) for rate in rates])
        for rates in random.normal(0.75, 0.2, (30, 3))
    ]
    days[0] = np.ones(30)
    held = (Check(metric="rouge_l", comparison=">=", threshold=1.0),)
    base = {f"{FILE}::c{at}": result(f"c{at}", values, runs=(10, 10, 10)) for at, values in enumerate(days)}
    new = [
        result(f"c{at}", values[:4] if at else [0.0] * 4, auto=64, checks=held)
        for at, values in enumerate(days)
    ]
    planner = RepeatPlanner(
        base=base, suite={}, most=64, budget=CaseBudget(tests=30), share=0.7, explores=True
    )

    wanted = planner.next_repeats(new)

    assert wanted.get(f"{FILE}::c0", 0) > 4

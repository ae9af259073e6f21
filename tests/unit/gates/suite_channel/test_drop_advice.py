"""The drop that a verdict says its run could see, and that a larger run would."""

from __future__ import annotations

import re
from statistics import NormalDist

import numpy as np
import pytest

from pytest_llmops.gates.suite_channel.detectable_drops import find_detectable_drops, smallest_drop
from pytest_llmops.records import CaseResult
from tests.unit.gates.gate_records import FILE, judge_suite_against, result_of, results_of, suite_check

ONES = [1.0] * 20
WATCHED = suite_check(max_drop=0.05)


def drawn(rates: np.ndarray, repeats: int, seed: int) -> list[CaseResult]:
    held = np.random.default_rng(seed).random((repeats, len(rates))) < rates
    return [
        result_of(f"c{index:03}", exact_match=held[:, index].astype(float).tolist())
        for index in range(len(rates))
    ]


def seen(advice: str) -> float:
    (drop,) = re.findall(r"\Athis run could see a drop of (\d\.\d+)", advice)
    return float(drop)


def test_undecided_tells_what_would_decide():
    """Single repeats on both sides say nothing of what more of them would see."""
    verdict = judge_suite_against(WATCHED, results_of([1.0] * 17 + [0.0] * 3), results_of(ONES))

    assert verdict.reason.startswith("dropped by 0.15; 20 cases are too few")
    (fewer,) = re.findall(r"; would see (0\.\d+) with 40 cases\Z", verdict.advice)
    assert seen(verdict.advice) > 0.15
    assert 0.05 < float(fewer) < seen(verdict.advice)
    assert "repeats" not in verdict.advice


@pytest.mark.parametrize("max_drop", [None, 0.05])
def test_verdict_and_selfcheck_say_the_same(max_drop):
    check = suite_check(max_drop=max_drop)
    rates = np.random.default_rng(1).beta(8, 2, 60)
    base, new = drawn(rates, 10, 2), drawn(rates, 4, 3)
    (foretold,) = find_detectable_drops({FILE: (check,)}, base, repeats=4, steady=False)

    advice = judge_suite_against(check, new, base).advice

    more = f"; {foretold.advice}" if max_drop else ""
    assert advice == f"this run could see a drop of {foretold.smallest_drop:.2g}{more}"


def test_what_an_edit_moves_single_cases_by_hides_drops_that_a_selfcheck_would_see():
    rates = np.random.default_rng(1).uniform(0.4, 0.6, 60)
    moved = rates + np.random.default_rng(2).choice([-0.4, 0.4], 60)
    base = drawn(rates, 10, 3)
    (foretold,) = find_detectable_drops({FILE: (suite_check(),)}, base, repeats=4, steady=False)

    verdict = judge_suite_against(suite_check(), drawn(moved, 4, 4), base)

    assert verdict.outcome == "passed"
    assert seen(verdict.advice) > 1.3 * foretold.smallest_drop


def test_smallest_drop_seen_shrinks_with_the_cases():
    generator = np.random.default_rng(0)

    def seen_of(cases: int) -> float:
        before = generator.normal(0.7, 0.05, cases).tolist()
        after = (np.array(before) + generator.normal(0, 0.05, cases)).tolist()
        verdict = judge_suite_against(
            suite_check("rouge_l"), results_of(after, "rouge_l"), results_of(before, "rouge_l")
        )
        return seen(verdict.advice)

    assert seen_of(40) > 2 * seen_of(400)


def test_smallest_drop_is_seen_four_times_in_five():
    """Of 20,000 observed mean drops of that size, against the bar that the level sets for three tests."""
    error, bar = 0.1, 0.1 * NormalDist().inv_cdf(1 - 0.05 / 3)

    drops = np.random.default_rng(4).normal(smallest_drop(error, tests=3, level=0.95), error, 20_000)

    assert np.mean(drops > bar) == pytest.approx(0.8, abs=0.01)

"""What a verdict says of the drops that its run could see, and of what a larger run would."""

from __future__ import annotations

import re
from statistics import NormalDist

import numpy as np
import pytest

from pytest_llmops.gates.suite_channel.verdicts import smallest_drop
from tests.unit.gates.gate_records import VARYING, judge_suite_against, result_of, results_of, suite_check

ONES = [1.0] * 20
WATCHED = suite_check(max_drop=0.05)


def test_undecided_tells_what_would_decide():
    after = [1.0] * 17 + [0.0] * 3

    verdict = judge_suite_against(WATCHED, results_of(after), results_of(ONES))

    assert verdict.reason.startswith("dropped by 0.15; 20 cases are too few")
    assert verdict.advice.startswith("this run could see a drop of 0.2")
    assert "repeats" not in verdict.advice  # one repeat tells nothing of what more of them would
    (seen,) = map(float, re.findall(r"a drop of (0\.\d+)", verdict.advice))
    (cases,) = map(int, re.findall(r"; about (\d+) cases would see one of 0.05$", verdict.advice))
    assert cases == pytest.approx(20 * (seen / 0.05) ** 2, rel=0.1)


def test_advice_on_repeats_is_of_what_varies_between_them():
    generator = np.random.default_rng(2)
    base = [result_of(f"c{index:03}", exact_match=VARYING) for index in range(300)]
    results = [
        result_of(f"c{index:03}", exact_match=generator.binomial(1, 0.9, 4).astype(float).tolist())
        for index in range(300)
    ]

    advice = judge_suite_against(suite_check(max_drop=0.005), results, base).advice

    seen, fewer = map(float, re.findall(r"see a? ?(?:drop of )?(0\.\d+)", advice)[:2])
    assert "; 16 repeats would see " in advice
    assert fewer == pytest.approx(seen / 2, rel=0.15)  # a quarter of the variance, where cases are alike


def test_advice_leaves_out_what_no_golden_set_could_hold():
    after = [1.0] * 17 + [0.0] * 3

    for max_drop in (1e-4, 1e-300):
        verdict = judge_suite_against(suite_check(max_drop=max_drop), results_of(after), results_of(ONES))
        assert verdict.outcome == "undecided"
        assert verdict.advice.startswith("this run could see")
        assert "cases" not in verdict.advice


def test_smallest_drop_seen_shrinks_with_the_cases():
    generator = np.random.default_rng(0)

    def seen(cases: int) -> float:
        before = generator.normal(0.7, 0.05, cases).tolist()
        after = (np.array(before) + generator.normal(0, 0.05, cases)).tolist()
        verdict = judge_suite_against(
            suite_check("rouge_l", max_drop=0.2), results_of(after, "rouge_l"), results_of(before, "rouge_l")
        )
        return float(verdict.advice.removeprefix("this run could see a drop of "))

    assert seen(40) > 2 * seen(400)


def test_smallest_drop_is_seen_four_times_in_five():
    """Of 20,000 observed mean drops of that size, against the bar that the level sets for three tests."""
    error, bar = 0.1, 0.1 * NormalDist().inv_cdf(1 - 0.05 / 3)

    drops = np.random.default_rng(4).normal(smallest_drop(error, tests=3, level=0.95), error, 20_000)

    assert np.mean(drops > bar) == pytest.approx(0.8, abs=0.01)

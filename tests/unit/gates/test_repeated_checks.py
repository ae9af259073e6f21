"""A case of several repeats by itself: judged by how many pass, or by their mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.records import Bound, Case
from tests.unit.gates.gate_records import check_of, result_of

RATE = Bound(comparison=">=", threshold=0.5)
ALL = Bound(comparison=">=", threshold=1.0)


@pytest.mark.parametrize(
    ("check", "values", "outcome"),
    [
        pytest.param(
            check_of("keywords", ">= 0.6"), [1.0] * 8 + [0.0] * 2, "passed", id="the mean is the rate"
        ),
        pytest.param(check_of("keywords", ">= 0.6"), [1.0] * 2 + [0.0] * 2, "failed", id="too few pass"),
        pytest.param(check_of("keywords", ">= 0.6"), [1.0] * 6 + [0.0] * 14, "failed", id="beyond chance"),
        pytest.param(check_of("keywords", ">= 0.6"), [0.0] * 2, "failed", id="none passes"),
        pytest.param(check_of("keywords", ">= 0.6"), [0.7, 0.7, 0.5], "passed", id="scores: by mean"),
        pytest.param(check_of("keywords", ">= 0.6"), [0.7, 0.6, 0.4], "failed", id="scores below by mean"),
        pytest.param(
            check_of("keywords"), [1.0] * 9 + [0.5], "passed", id="the best score is asked: by rate"
        ),
        pytest.param(check_of("keywords"), [1.0], "passed", id="one repeat"),
        pytest.param(check_of("keywords"), [0.0], "failed", id="one repeat that misses"),
        pytest.param(
            replace(check_of("keywords"), pass_rate=RATE), [1.0] * 5 + [0.0] * 5, "passed", id="pass_rate"
        ),
        pytest.param(
            replace(check_of("keywords", ">= 0.6"), pass_rate=ALL), [0.7, 0.7, 0.5], "failed", id="pass^k"
        ),
        pytest.param(
            replace(check_of("keywords", ">= 0.6"), pass_rate=RATE),
            [0.9, 0.5, 0.5],
            "undecided",
            id="of scores",
        ),
        pytest.param(
            check_of("pii_leak", "<= 0"), [0.0] * 99 + [1.0], "failed", id="a leak is excused never"
        ),
        pytest.param(
            check_of("latency_s", "<= 0"), [0.0] * 9 + [1.0], "failed", id="nor what counts bad things"
        ),
    ],
)
def test_several_repeats_are_judged_by_how_many_pass_or_by_their_mean(check, values, outcome):
    (verdict,) = judge_case(
        Case(id="returns", input="How?", checks=(check,)), result_of("returns", **{check.metric: values})
    )

    assert verdict.outcome == outcome, verdict


def test_a_case_that_passes_nine_times_in_ten_is_flaky_and_told_so():
    (verdict,) = judge_case(
        Case(id="returns", input="How?", checks=(check_of("keywords"),)),
        result_of("returns", keywords=[1.0] * 9 + [0.0]),
    )

    assert (verdict.outcome, verdict.advice) == ("passed", "flaky: 9 of 10 repeats pass, pass_rate >= 0.8")

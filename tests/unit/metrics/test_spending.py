from __future__ import annotations

import pytest

from pytest_llmops.metrics.spending import CostUsd, LatencyS, ModelCalls, Tokens
from pytest_llmops.records import Failure, Output, Sample, Score, Usage

USAGE = Usage(calls=2, replayed=1, prompt_tokens=100, completion_tokens=20, cost_usd=0.25)


def read(metric, usage: Usage = USAGE) -> Score | Failure:
    output = Output(text="", usage=usage, latency_s=1.5, model="small-1", repeat=4)
    return metric.score([Sample(output=output)])[0]


@pytest.mark.parametrize(
    ("metric", "value"), [(LatencyS(), 1.5), (CostUsd(), 0.25), (Tokens(), 120.0), (ModelCalls(), 2.0)]
)
def test_spending_is_read_from_the_output(metric, value):
    result = read(metric)

    assert isinstance(result, Score)
    assert (result.metric, result.value, result.repeat) == (metric.name, value, 4)
    assert not metric.higher_is_better


@pytest.mark.parametrize(
    ("metric", "usage", "told"),
    [
        (Tokens(), Usage(), "no model call was seen"),
        (CostUsd(), Usage(), "no model call was seen"),
        (ModelCalls(), Usage(), "no model call was seen"),
        (Tokens(), Usage(calls=1, prompt_tokens=None), "reported no usage"),
        (Tokens(), Usage(calls=1, completion_tokens=None), "reported no usage"),
        (CostUsd(), Usage(calls=1, prompt_tokens=None, cost_usd=None), "reported no usage"),
        (CostUsd(), Usage(calls=1, cost_usd=float("nan")), "nan is no amount"),
        (CostUsd(), Usage(calls=1, cost_usd=None), '[tool.pytest-llmops.prices] as "small-1" ='),
    ],
)
def test_what_is_not_known_is_a_failure_with_its_remedy(metric, usage, told):
    result = read(metric, usage)

    assert isinstance(result, Failure)
    assert told in result.error
    assert result.repeat == 4


def test_latency_needs_no_model_call():
    assert isinstance(read(LatencyS(), Usage()), Score)


@pytest.mark.parametrize("metric", [LatencyS(), CostUsd(), Tokens()])
def test_a_check_without_a_limit_does_not_pass_unseen(metric):
    assert (metric.bound.comparison, metric.bound.threshold) == ("<=", 0.0)

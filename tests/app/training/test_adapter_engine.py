from __future__ import annotations

import json
from pathlib import Path

import pytest

from reference_app.errors import WeightsError
from reference_app.training.evaluation.cases import load_cases
from reference_app.training.evaluation.comparison import evaluate
from reference_app.training.evaluation.engine import OFF, ON, open_engine

pytestmark = pytest.mark.live

GGUF = Path(__file__).parents[3] / "reference_app" / "adapter" / "adapter.gguf"


@pytest.fixture(scope="module")
def engine(weights):
    with open_engine(weights.chat, GGUF) as engine:
        yield engine


@pytest.fixture(scope="module")
def plan():
    return next(case for case in load_cases() if case.kind == "order_status")


def test_the_adapter_plans_and_its_base_does_not(engine, plan):
    adapted, _, tokens = engine.answer(plan.messages, scale=ON, max_tokens=64)
    assert json.loads(adapted)["calls"][0]["name"] == "order_status"
    assert 0 < tokens < 64
    base, _, _ = engine.answer(plan.messages, scale=OFF, max_tokens=24)
    assert not base.startswith("{")


def test_an_answer_repeats_exactly_whatever_was_asked_between(engine, plan):
    first = engine.answer(plan.messages, scale=ON, max_tokens=64)
    engine.answer(plan.messages, scale=OFF, max_tokens=8)
    assert engine.answer(plan.messages, scale=ON, max_tokens=64) == first


def test_a_truncated_adapter_is_an_error_and_no_crash(weights, tmp_path):
    short = tmp_path / "short.gguf"
    short.write_bytes(GGUF.read_bytes()[:100_000])
    with (
        pytest.raises(WeightsError, match="no GGUF file, or was cut short"),
        open_engine(weights.chat, short),
    ):
        pass


def test_a_quick_look_measures_each_behaviour(weights):
    report = evaluate(GGUF, weights.chat, systems=("adapter",), every=150)
    assert report.base == {}
    assert report.adapter["json_valid"].n >= 1
    assert report.adapter["json_valid"].value == 1
    assert len(report.outcomes["adapter"]) == len(load_cases()[::150])

"""The cost of an answer is never zero where its tokens and a price are known, and never a guess."""

from __future__ import annotations

import httpx
import pytest

from pytest_llmops import Output, load_golden, run_golden
from pytest_llmops.records import CaseResult, Usage
from pytest_llmops.settings import Settings
from tests.openai_server import OpenAIServer

GOLDEN = "version: 1\nchecks: {cost_usd: '<= 1'}\ncases: [{id: a, input: hello}]\n"
PRICES = {"small": (1.0, 2.0)}
SPENT = {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "golden.yaml").write_text(GOLDEN)

    def run(app, prices=PRICES) -> CaseResult:
        golden = load_golden(tmp_path / "golden.yaml", root=tmp_path)
        settings = Settings(root=tmp_path, record="new", prices=prices)
        (result,) = run_golden(golden, app, settings=settings).results
        return result

    return run


def cost_of(result: CaseResult) -> float | None:
    return result.scores[0].value if result.scores else None


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(SPENT, id="mapping"),
        pytest.param({**SPENT, "calls": 3, "cost_usd": 0.0}, id="mapping with a zero"),
        pytest.param(Usage(**SPENT), id="record"),
        pytest.param(Usage(calls=2, **SPENT), id="record with calls"),
    ],
)
def test_tokens_that_the_app_reports_are_priced(run, usage):
    def app(_question):
        return Output(text="hi", model="small", usage=usage) if isinstance(usage, Usage) else answer

    answer = {"text": "hi", "model": "small", "usage": usage}
    assert cost_of(run(app)) == 2.0
    stated = 0.0 if isinstance(usage, dict) and "cost_usd" in usage else None
    for unknown in ({}, {"large": (1.0, 2.0)}):
        assert cost_of(run(app, unknown)) == stated


def test_costs_that_the_app_knows_and_calls_without_tokens(run):
    stated = {**SPENT, "cost_usd": 0.5}
    assert cost_of(run(lambda _: {"text": "hi", "model": "small", "usage": stated})) == 0.5
    assert cost_of(run(lambda _: {"text": "hi", "model": "small", "usage": {"calls": 2}})) is None


TOOL = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("answer", ["hi", {"content": None, "tool_calls": [TOOL]}], ids=["text", "tools"])
@pytest.mark.parametrize(
    ("counts", "cost"), [((12, 3), 18 / 1e6), ((0, 0), None), ((12, 0), None), ((0, 3), None)]
)
def test_zeros_in_the_place_of_counts_are_no_counts(run, monkeypatch, stream, answer, counts, cost):  # noqa: PLR0913, PLR0917
    """Some gateways count nothing in a stream, and report that as zeros."""
    monkeypatch.setattr(
        "tests.openai_server._usage",
        lambda *_: dict(zip(("prompt_tokens", "completion_tokens"), counts, strict=True)),
    )
    with OpenAIServer(answer=lambda _: answer) as server:

        def app(question):
            body = {
                "model": "small",
                "messages": [{"role": "user", "content": question}],
                **({"stream": True, "stream_options": {"include_usage": True}} if stream else {}),
            }
            return httpx.post(f"{server.url}/chat/completions", json=body).text

        assert cost_of(run(app)) == cost


def test_price_of_a_model_behind_a_gateway_on_this_machine(run):
    """A gateway names its models by provider; without a price one of this machine is free."""
    with OpenAIServer() as server:

        def app(question):
            body = {"model": "openai/small", "messages": [{"role": "user", "content": question}]}
            return httpx.post(f"{server.url}/chat/completions", json=body).text

        assert cost_of(run(app)) > 0

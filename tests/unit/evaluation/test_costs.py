"""The cost of an answer is never zero where its tokens and a price are known, and never a guess."""

from __future__ import annotations

import httpx
import pytest

from pytest_llmops import Output, load_golden, run_golden
from pytest_llmops.records import CaseResult, Usage
from pytest_llmops.settings import Settings
from tests.openai_server import OpenAIServer

GOLDEN = "version: 1\nchecks: {cost_usd: '<= 1', tokens: '<= 9'}\ncases: [{id: a, input: hello}]\n"
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
    return next((score.value for score in result.scores if score.metric == "cost_usd"), None)


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
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0}


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param({}, id="empty"),
        pytest.param(ZEROS, id="zeros of a gateway"),
        pytest.param({**ZEROS, "calls": 2, "cost_usd": 0.0}, id="zeros of two calls"),
        pytest.param(Usage(calls=3), id="calls alone"),
        pytest.param(Usage(calls=3, stated=True), id="calls alone, stated"),
        pytest.param(Usage(prompt_tokens=None, stated=True), id="stated as unknown"),
    ],
)
def test_usage_that_nobody_counted_is_an_error_of_both_checks(run, usage):
    result = run(lambda _: Output(text="x", model="small", usage=usage))
    assert {failure.metric for failure in result.failures} == {"cost_usd", "tokens"}


def test_tokens_of_no_known_model_have_no_price(run):
    spent = Usage(stated=True, prompt_tokens=1_000_000)
    assert cost_of(run(lambda _: Output(text="x", usage=spent))) is None


@pytest.mark.parametrize("usage", [{"calls": 0}, {**ZEROS, "calls": 0}, Usage(stated=True)])
def test_an_app_that_says_that_it_called_nothing_costs_nothing(run, usage):
    assert cost_of(run(lambda _: Output(text="x", usage=usage))) == 0


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        (Usage(calls=1, prompt_tokens=10**400), "'prompt_tokens' is an enormous number"),
        (Usage(calls=1, prompt_tokens=10**5000), "'prompt_tokens' is an enormous number"),
        (Usage(calls=1, cost_usd=float("inf")), "'cost_usd' is inf"),
        (Usage(calls=1, cost_usd=float("nan")), "'cost_usd' is nan"),
        (Usage(calls=1, cost_usd=1e308), "'cost_usd' is 1e+308"),
        (Usage(calls=1, prompt_tokens=-5), "'prompt_tokens' is -5"),
        (Usage(calls=None), "'calls' is None"),
        ({"prompt_tokens": 1.5}, "'prompt_tokens' is 1.5"),
    ],
)
def test_a_usage_that_no_run_file_holds_is_an_error_of_its_case(run, usage, message):
    result = run(lambda _: Output(text="x", model="small", usage=usage))
    assert message in result.failures[0].error


def test_a_count_is_a_whole_number(run):
    (output,) = run(lambda _: {"text": "x", "model": "small", "usage": {"prompt_tokens": 5.0}}).outputs
    assert repr(output.usage.prompt_tokens) == "5"


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

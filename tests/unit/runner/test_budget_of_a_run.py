"""A run on a budget: calls that reach the server, and cases beyond it."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from types import ModuleType

import openai
import pytest

from pytest_llmops import load_golden, run_golden
from pytest_llmops.settings import Settings
from tests.bare_thread import run_bare
from tests.evaluating import evaluate
from tests.openai_server import OpenAIServer, last_user_text

PRICES = {"small": (1_000.0, 10_000.0)}
"""A word in costs 0.001 dollars, a word out 0.01: each question and answer below is two words, 0.022."""


@pytest.fixture
def server():
    with OpenAIServer(answer=lambda request: f"Echo {last_user_text(request).split()[-1]}") as server:
        yield server


@pytest.fixture
def golden(tmp_path):
    def write(cases: int, name: str = "golden", checks: str = "{keywords: {all: [Echo]}}"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            "version: 1\ncases:\n"
            + "".join(f"  - {{id: c{at}, input: {name} {at}, checks: {checks}}}\n" for at in range(cases))
        )
        return load_golden(path, root=tmp_path)

    return write


@pytest.fixture
def settings(tmp_path):
    def make(budget: str, **changes) -> Settings:
        return Settings(root=tmp_path, budget=budget, prices=PRICES, **changes)

    return make


@pytest.fixture
def client(server):
    """Makes clients of the server, or of another one."""
    made = []

    def make(max_retries: int = 0, base_url: str = "") -> openai.OpenAI:
        made.append(openai.OpenAI(base_url=base_url or server.url, api_key="none", max_retries=max_retries))
        return made[-1]

    yield make
    for made_client in made:
        made_client.close()


@pytest.fixture
def app(client):
    """Asks once; what its client tries again is the client's affair."""

    def make(max_retries: int = 0, **options):
        talker = client(max_retries)

        def answer(question: str) -> str:
            messages = [{"role": "user", "content": question}]
            reply = talker.chat.completions.create(model="small", messages=messages, **options)
            if options.get("stream"):
                return "".join(chunk.choices[0].delta.content or "" for chunk in reply)
            return reply.choices[0].message.content

        return answer

    return make


def failures(*runs) -> list[str]:
    return [failure.error for run in runs for result in run.results for failure in result.failures]


def test_no_more_calls_reach_the_server_and_cases_beyond_are_errors(golden, settings, server, app):
    problems: list[str] = []
    run = run_golden(golden(12), app(), settings=settings("5 calls"), problems=problems)
    assert len(server.requests) == 5
    assert failures(run) == ["the budget of 5 calls is spent: 5 of 5 calls"] * 7
    assert problems == ["the budget is spent: 5 of 5 calls; verdicts that were open then stay so"]


def test_what_a_client_tries_again_counts(golden, settings, server, app):
    server.fault = "500"
    run_golden(golden(4), app(max_retries=3), settings=settings("5 calls", concurrency=1))
    assert len(server.requests) == 5


def test_replayed_calls_cost_nothing(golden, settings, server, app):
    run_golden(golden(6), app(), settings=settings("6 calls"))
    problems: list[str] = []
    run = run_golden(golden(6), app(), settings=settings("1 call"), problems=problems)
    assert (run.usage.replayed, failures(run)) == (6, [])
    assert not any("budget" in problem for problem in problems)
    run = run_golden(golden(7), app(), settings=settings("0"))
    assert failures(run) == ["the budget of $0 is spent: $0 of $0"]
    assert len(server.requests) == 6


def test_without_calls_there_is_no_budget_to_spend(golden, settings, server, app):
    run_golden(golden(3), app(), settings=settings("3 calls"))
    problems: list[str] = []
    none = settings("0 calls", record="none")
    assert failures(run_golden(golden(3), app(), settings=none, problems=problems)) == problems == []
    (error,) = failures(run_golden(golden(4), app(), settings=none))
    assert "--llm-record none makes no calls" in error
    assert len(server.requests) == 3


def test_files_of_one_run_share_the_budget(golden, settings, server, app, monkeypatch):
    module = ModuleType("app_of_both_files")
    module.answer = app()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    both = [golden(4, "one"), golden(4, "two")]
    results, problems = evaluate(both, settings("5 calls", app="app_of_both_files:answer"))
    assert len(server.requests) == 5
    assert sum(len(result.failures) for result in results) == 3
    assert len(problems) == 1


def test_dollars_run_out(golden, settings, server, app):
    run = run_golden(golden(12), app(), settings=settings("0.1", concurrency=1))
    assert len(server.requests) == 5
    assert run.usage.cost_usd == pytest.approx(0.11)
    assert failures(run)[0] == "the budget of $0.1 is spent: $0.11 of $0.1"
    assert len(failures(run)) == 7


def test_dollars_run_out_as_well_when_all_cases_are_asked_at_once(golden, settings, server, app):
    """The first call is alone, so that the others are held against what it took."""
    server.latency_s = 0.2
    run = run_golden(golden(12), app(), settings=settings("0.1"))
    assert len(server.requests) <= 5
    assert run.usage.cost_usd <= 0.1 + 0.022
    assert len(failures(run)) == 12 - len(server.requests)


def test_a_stream_without_usage_ends_a_budget_in_dollars(golden, settings, server, app):
    run = run_golden(golden(6), app(stream=True), settings=settings("0.1", concurrency=1))
    assert len(server.requests) == 1
    assert "small does not report its tokens, so give a budget in calls" in failures(run)[0]


def test_a_model_without_a_price_is_told_and_never_called(golden, settings, client):
    talker = client(base_url="http://api.example.test/v1")

    def far(question: str) -> str:
        messages = [{"role": "user", "content": question}]
        return str(talker.chat.completions.create(model="large", messages=messages))

    (error,) = failures(run_golden(golden(1), far, settings=settings("0.1")))
    assert error.startswith("a budget in US dollars needs the price of 'large'")


def test_a_call_of_nobody_is_not_made_on_a_budget(golden, settings, server, app):
    both = threading.Barrier(2, timeout=10)
    ask = app()

    def elsewhere(question: str) -> str:
        both.wait()  # so that both cases are in work
        try:
            return run_bare(lambda: ask(question))
        finally:
            both.wait()  # and stay so until both were refused

    found = failures(run_golden(golden(2), elsewhere, settings=settings("5 calls")))
    assert server.requests == []
    assert any("on a thread that knows of no case" in error for error in found)
    assert any("a budget counts each call" in error for error in found)


def test_further_repeats_are_given_up_and_what_was_asked_stands(golden, settings, server, app):
    auto = settings("8 calls", repeats="auto", concurrency=1)
    problems: list[str] = []
    run = run_golden(golden(5), app(), settings=auto, problems=problems)
    assert len(server.requests) == 8
    assert failures(run) == []
    assert sorted(len(result.outputs) for result in run.results) == [1, 1, 2, 2, 2]
    assert {output.text for result in run.results for output in result.outputs} == {
        f"Echo {number}" for number in range(5)
    }
    assert problems == ["the budget is spent: 8 of 8 calls; verdicts that were open then stay so"]
    again = run_golden(golden(5), app(), settings=replace(auto, budget="2 calls"))
    assert {len(result.outputs) for result in again.results} == {2}
    assert len(server.requests) == 10


def test_repeats_that_were_asked_for_are_no_further_ones(golden, settings, server, app):
    run = run_golden(golden(2), app(), settings=settings("3 calls", repeats=2, concurrency=1))
    assert len(server.requests) == 3
    assert failures(run) == ["the budget of 3 calls is spent: 3 of 3 calls"]


def test_a_further_repeat_that_broke_is_an_error_on_a_spent_budget_too(golden, settings, server, app):
    server.faults += [None, "401"]
    run = run_golden(golden(1), app(), settings=settings("2 calls", repeats="auto", concurrency=1))
    (error,) = failures(run)
    assert "AuthenticationError" in error
    assert len(server.requests) == 2

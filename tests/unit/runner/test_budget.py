"""What model calls may cost: counted where they arrive, and refused before they are made."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType

import openai
import pytest

from pytest_llmops import load_golden, run_golden
from pytest_llmops.errors import BudgetError, SettingsError
from pytest_llmops.gates.pairing import count_repeats
from pytest_llmops.recorder import Call
from pytest_llmops.records import Failure
from pytest_llmops.runner.budget import Budget
from pytest_llmops.runner.golden_run import run_goldens, tell_budget
from pytest_llmops.settings import Settings
from tests.openai_server import OpenAIServer, last_user_text

PRICES = {"small": (1_000.0, 10_000.0)}
"""A word in costs 0.001 dollars, a word out 0.01: each question and answer below is two words, 0.022."""


def call(outcome="made", prompt_tokens: int | None = 2, model="small") -> Call:
    return Call(
        provider="loopback", path="/v1/chat/completions", kind="chat", model=model, request={}, key="k",
        repeat=0, nth=0, outcome=outcome, prompt_tokens=prompt_tokens, completion_tokens=2,
    )  # fmt: skip


def permit(budget: Budget, model: str | None = "small", provider: str = "loopback") -> bool:
    try:
        budget.permit(provider, model)
    except BudgetError:
        return False
    return True


@pytest.fixture(params=["memory", "file"])
def read(request, tmp_path):
    """Reads a new budget, kept in memory or in a file as for several processes."""
    files = (tmp_path / f"budget-{number}.json" for number in itertools.count())
    return lambda written: Budget.read(written, PRICES, next(files) if request.param == "file" else None)


@pytest.mark.parametrize(
    ("written", "usd", "calls"),
    [
        ("2.50", 2.5, None),
        ("2.5 USD", 2.5, None),
        ("5", 5, None),
        (" .5 ", 0.5, None),
        ("500 calls", None, 500),
        ("1 call", None, 1),
        ("0 Calls", None, 0),
    ],
)
def test_a_budget_is_dollars_or_calls(written, usd, calls):
    budget = Budget.read(written, {})
    assert (budget.usd, budget.calls) == (usd, calls)


@pytest.mark.parametrize(
    "written",
    ["", "much", "-1", "2.5 calls", "1.2.3", ".", "$5", "5 cals", "nan", "1e3", "5 calls\nand more"],
)
def test_what_is_neither_is_told(written):
    with pytest.raises(SettingsError, match="budget must be US dollars such as"):
        Budget.read(written, {})


def test_calls_are_permitted_to_the_last_one(read):
    budget = read("3 calls")
    assert [permit(budget) for _ in range(5)] == [True, True, True, False, False]
    for _ in range(3):
        budget.charge(call())
    assert budget.describe() == "3 of 3 calls"
    with pytest.raises(BudgetError, match=r"the budget of 3 calls is spent: 3 of 3 calls"):
        budget.permit("api.example.test", "any")


def test_a_call_that_failed_was_a_call(read):
    budget = read("2 calls")
    for _ in range(2):
        assert permit(budget)
        budget.charge(call("failed"))
    assert not permit(budget)


def test_dollars_are_permitted_until_they_are_spent(read):
    budget = read("0.1")
    for _ in range(5):
        assert permit(budget)
        budget.charge(call())
    assert not permit(budget)
    assert budget.describe() == "$0.11 of $0.1"


def test_an_answer_that_did_not_come_may_be_billed_and_a_refusal_is_not(read):
    budget = read("0.1")
    for outcome, status in (
        ("made", 200),
        ("failed", 429),
        ("failed", 500),
        ("failed", 200),
        ("failed", None),
    ):
        assert permit(budget)
        budget.charge(replace(call(outcome), status=status))
    assert budget.describe() == "$0.066 of $0.1"


def test_a_budget_has_ended_only_where_it_kept_something_from_being_asked(read):
    budget = read("1 call")
    assert budget.may_go_on()
    permit(budget)
    budget.charge(call())
    assert not budget.ended
    assert tell_budget(budget) == []
    assert not budget.may_go_on()
    assert budget.ended
    refused = read("0 calls")
    assert not permit(refused)
    assert refused.ended
    assert tell_budget(refused) == ["the budget is spent: 0 of 0 calls; verdicts that were open then stay so"]
    assert tell_budget(None) == []


def test_in_dollars_no_more_is_asked_at_once_than_there_is_money_for(read):
    budget = read("0.1")
    assert not budget.is_crowded(0, learned=False)
    assert budget.is_crowded(1, learned=False)  # the first question shows what one costs
    permit(budget)
    budget.charge(call())
    assert [budget.is_crowded(asking, learned=True) for asking in range(5)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    for _ in range(4):
        permit(budget)
        budget.charge(call())
    assert not budget.is_crowded(5, learned=True)  # nobody waits for what is spent
    assert not read("1 call").is_crowded(150, learned=False)


def test_a_budget_in_dollars_needs_every_price(read):
    budget = read("0.1")
    with pytest.raises(BudgetError, match=r"needs the price of 'large': add it to prices .* in calls"):
        budget.permit("api.example.test", "large")
    with pytest.raises(BudgetError, match="needs the price of None"):
        budget.permit("api.example.test", None)
    assert permit(budget, "small", "api.example.test")
    assert permit(budget, "large", "loopback")  # a model of this machine costs nothing
    assert permit(read("1 call"), "large", "api.example.test")


def test_tokens_that_nobody_reports_end_a_budget_in_dollars(read):
    budget = read("0.1")
    assert permit(budget)
    budget.charge(call(prompt_tokens=None, model="sm\x1ball"))
    budget.prices = {"sm\x1ball": (1.0, 1.0)}
    assert permit(budget)
    budget.charge(call(prompt_tokens=None, model="sm\x1ball"))
    with pytest.raises(
        BudgetError, match=r"sm\\x1ball does not report its tokens, so give a budget in calls"
    ):
        budget.permit("loopback", "small")


def test_tokens_that_nobody_reports_are_nothing_to_a_budget_in_calls(read):
    budget = read("2 calls")
    permit(budget)
    budget.charge(call(prompt_tokens=None))
    assert permit(budget)


def test_nothing_is_nothing(read):
    for written in ("0", "0 calls"):
        budget = read(written)
        assert not permit(budget)
        assert not budget.may_go_on()


def test_a_refused_repeat_is_told_from_one_that_broke():
    budget = Budget.read("1 call", {})
    permit(budget)
    with pytest.raises(BudgetError) as refusal:
        budget.permit("loopback", "small")
    assert budget.refused(Failure(metric="", stage="app", error=str(refusal.value)))
    assert not budget.refused(Failure(metric="", stage="app", error="the app raised ValueError"))
    assert not budget.refused(Failure(metric="judge", stage="score", error=str(refusal.value)))


def _spend(file, permitted) -> None:
    budget = Budget.read("40 calls", {}, file)
    for _ in range(40):
        if permit(budget):
            permitted.put(1)
            budget.charge(call())
    permitted.put(0)


def test_processes_count_together(tmp_path):
    context = multiprocessing.get_context("spawn")
    permitted = context.Queue()
    workers = [
        context.Process(target=_spend, args=(tmp_path / "budget.json", permitted), daemon=True)
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    count, ended = 0, 0
    while ended < 2:
        got = permitted.get(timeout=30)
        count, ended = count + got, ended + (not got)
    for worker in workers:
        worker.join(10)
    assert count == 40


def test_threads_count_together():
    budget = Budget.read("40 calls", {})
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: permit(budget), range(100))) == 40


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
    for each in made:
        each.close()


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
    told: list[str] = []
    run = run_golden(golden(12), app(), settings=settings("5 calls"), problems=told)
    assert len(server.requests) == 5
    assert failures(run) == ["the budget of 5 calls is spent: 5 of 5 calls"] * 7
    assert told == ["the budget is spent: 5 of 5 calls; verdicts that were open then stay so"]


def test_what_a_client_tries_again_counts(golden, settings, server, app):
    server.fault = "429"
    run_golden(golden(4), app(max_retries=3), settings=settings("5 calls", concurrency=1))
    assert len(server.requests) == 5


def test_replayed_calls_cost_nothing(golden, settings, server, app):
    run_golden(golden(6), app(), settings=settings("6 calls"))
    told: list[str] = []
    run = run_golden(golden(6), app(), settings=settings("1 call"), problems=told)
    assert (run.usage.replayed, failures(run), told) == (6, [], [])
    run = run_golden(golden(7), app(), settings=settings("0"))
    assert failures(run) == ["the budget of $0 is spent: $0 of $0"]
    assert len(server.requests) == 6


def test_without_calls_there_is_no_budget_to_spend(golden, settings, server, app):
    run_golden(golden(3), app(), settings=settings("3 calls"))
    told: list[str] = []
    none = settings("0 calls", record="none")
    assert failures(run_golden(golden(3), app(), settings=none, problems=told)) == told == []
    (error,) = failures(run_golden(golden(4), app(), settings=none))
    assert "--llm-record none makes no calls" in error
    assert len(server.requests) == 3


def test_files_of_one_run_share_the_budget(golden, settings, server, app, monkeypatch):
    module = ModuleType("app_of_both_files")
    module.answer = app()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    told: list[str] = []
    both = [golden(4, "one"), golden(4, "two")]
    runs = run_goldens(both, None, settings("5 calls", app="app_of_both_files:answer"), told)
    assert len(server.requests) == 5
    assert len(failures(*runs)) == 3
    assert len(told) == 1


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
    pool = ThreadPoolExecutor(2)
    both = threading.Barrier(2, timeout=10)
    ask = app()

    def elsewhere(question: str) -> str:
        both.wait()  # so that both cases are in work
        answer = pool.submit(ask, question)
        answer.exception()
        both.wait()  # and stay so until both were refused
        return answer.result()

    with pool:
        found = failures(run_golden(golden(2), elsewhere, settings=settings("5 calls")))
    assert server.requests == []
    assert any("on a thread that knows of no case" in error for error in found)
    assert any("a budget counts each call" in error for error in found)


def test_further_repeats_are_given_up_and_what_was_asked_stands(golden, settings, server, app):
    auto = settings("8 calls", repeats="auto", concurrency=1)
    told: list[str] = []
    run = run_golden(golden(5), app(), settings=auto, problems=told)
    assert len(server.requests) == 8
    assert failures(run) == []
    assert sorted(count_repeats(result) for result in run.results) == [1, 1, 2, 2, 2]
    assert {output.text for result in run.results for output in result.outputs} == {
        f"Echo {number}" for number in range(5)
    }
    assert told == ["the budget is spent: 8 of 8 calls; verdicts that were open then stay so"]
    again = run_golden(golden(5), app(), settings=replace(auto, budget="2 calls"))
    assert {count_repeats(result) for result in again.results} == {2}
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

"""The limit on model calls: counted where they arrive, and refused before they are made."""

from __future__ import annotations

import itertools
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pytest_llmops.errors import BudgetError, SettingsError
from pytest_llmops.recorder import Call
from pytest_llmops.records import Failure
from pytest_llmops.runner.budget import Budget, describe_budget

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
    assert describe_budget(budget) == []
    assert not budget.may_go_on()
    assert budget.ended
    refused = read("0 calls")
    assert not permit(refused)
    assert refused.ended
    assert describe_budget(refused) == [
        "the budget is spent: 0 of 0 calls; verdicts that were open then stay so"
    ]
    assert describe_budget(None) == []


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

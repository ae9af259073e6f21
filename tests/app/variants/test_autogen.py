"""The AutoGen example: its tools on the shop's data, and the agent with a server that plays the model."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec

import pytest

from reference_app.variants import autogen
from reference_app.variants.autogen import tools
from tests.openai_server import OpenAIServer

NEEDS_AUTOGEN = pytest.mark.skipif(
    not find_spec("autogen_agentchat"), reason="see `make variant NAME=autogen`"
)


def test_an_order_is_shown_without_who_ordered():
    found = json.loads(tools.order_status("FW-10436"))
    assert (found["status"], found["carrier"], found["points"]) == ("shipped", "Kestrel Express", 498)
    assert set(found) == {"order_id", "status", "carrier", "expected", "items", "points"}


def test_an_order_that_was_cancelled_earns_nothing_and_an_unknown_one_is_an_error():
    assert json.loads(tools.order_status("FW-10421"))["points"] == 0
    assert json.loads(tools.order_status("FW-99999"))["error"] == "there is no such order"


def test_products_are_found_by_category_name_and_order():
    heaviest = json.loads(tools.find_products("Sleeping", sort="heaviest"))
    assert (heaviest["count"], heaviest["products"][0]["name"]) == (8, "Fulmar -8 sleeping bag")
    named = json.loads(tools.find_products("any", "skerry 2 tent"))
    assert [(row["price"], row["weight_kg"]) for row in named["products"]] == [("£289", 2.1)]


def ask(monkeypatch, reply, **variables):
    """The answer to a question, and what a server that plays the model was sent."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with OpenAIServer(answer=reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        return asyncio.run(autogen.answer("Where is FW-10436?")), server.requests


def call(name, arguments):
    """A message that calls a function."""
    function = {"name": name, "arguments": arguments}
    return {"content": None, "tool_calls": [{"id": "call-1", "type": "function", "function": function}]}


@NEEDS_AUTOGEN
def test_a_large_model_calls_a_function_and_words_what_it_returned(monkeypatch):
    def reply(request):
        if request.get("tools"):
            return call("order_status", '{"order_id": "FW-10436"}')
        return f"It is {json.loads(request['messages'][-1]['content'])['status']}."

    found, (offered, worded) = ask(monkeypatch, reply, AUTOGEN_MODEL="gpt-4o-mini")
    assert found["text"] == "It is shipped."
    (made,) = found["tool_calls"]
    assert (made["name"], made["arguments"], made["decision"]) == (
        "order_status",
        {"order_id": "FW-10436"},
        "allowed",
    )
    assert made["result"]["carrier"] == "Kestrel Express"
    names = [tool["function"]["name"] for tool in offered["tools"]]
    assert names == ["order_status", "find_products", "request_refund", "cannot_help"]
    assert (offered["model"], "tools" in worded) == ("gpt-4o-mini", False)


@NEEDS_AUTOGEN
def test_a_small_model_is_held_to_one_call_by_a_schema(monkeypatch):
    def reply(request):
        if "response_format" in request:
            return '{"name": "order_status", "arguments": {"order_id": "FW-10436"}}'
        return "Kestrel Express has it."

    found, (offered, worded) = ask(monkeypatch, reply)
    assert (found["text"], found["model"]) == ("Kestrel Express has it.", autogen.MODEL)
    assert [made["result"]["status"] for made in found["tool_calls"]] == ["shipped"]
    calls = offered["response_format"]["json_schema"]["schema"]["anyOf"]
    assert [one["properties"]["name"]["const"] for one in calls][-1] == "cannot_help"
    assert "find_products" in offered["messages"][0]["content"]
    assert 'The shop\'s system says: {"order_id": "FW-10436"' in worded["messages"][-1]["content"]


@NEEDS_AUTOGEN
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("order_stats", "{}"), ("order_status", "{}"), ("find_products", '{"category": "Cars"}')],
)
def test_a_call_that_autogen_refuses_is_recorded_as_denied(monkeypatch, name, arguments):
    def reply(request):
        return call(name, arguments) if request.get("tools") else "Sorry."

    (made,) = ask(monkeypatch, reply, AUTOGEN_MODEL="gpt-4o-mini")[0]["tool_calls"]
    assert (made["name"], made["decision"]) == (name, "denied")
    assert made["reason"]

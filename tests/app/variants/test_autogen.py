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


def play(request):
    """A model that looks the order up, and then says what the tool returned."""
    if "tools" not in request:
        return f"It is {json.loads(request['messages'][-1]['content'])['status']}."
    function = {"name": "order_status", "arguments": '{"order_id": "FW-10436"}'}
    return {"content": None, "tool_calls": [{"id": "call-1", "type": "function", "function": function}]}


@NEEDS_AUTOGEN
def test_the_model_calls_a_tool_and_words_what_it_returned(monkeypatch):
    with OpenAIServer(answer=play) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        found = asyncio.run(autogen.answer("Where is FW-10436?"))
    assert found["text"] == "It is shipped."
    (call,) = found["tool_calls"]
    assert (call["name"], call["arguments"], call["decision"]) == (
        "order_status",
        {"order_id": "FW-10436"},
        "allowed",
    )
    assert call["result"]["carrier"] == "Kestrel Express"
    offered, worded = server.requests
    assert offered["tool_choice"] == "required"
    assert {one["function"]["name"] for one in offered["tools"]} == {
        "order_status",
        "find_products",
        "request_refund",
        "cannot_help",
    }
    assert "tools" not in worded


@NEEDS_AUTOGEN
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("order_stats", "{}"), ("order_status", "{}"), ("find_products", '{"category": "Cars"}')],
)
def test_a_call_that_autogen_refuses_is_recorded_as_denied(monkeypatch, name, arguments):
    def err(request):
        function = {"name": name, "arguments": arguments}
        call = {"id": "call-1", "type": "function", "function": function}
        return {"content": None, "tool_calls": [call]} if "tools" in request else "Sorry."

    with OpenAIServer(answer=err) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        (call,) = asyncio.run(autogen.answer("Where is FW-10436?"))["tool_calls"]
    assert (call["name"], call["decision"]) == (name, "denied")
    assert call["reason"]

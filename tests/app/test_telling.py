"""What the app says itself of a call, whatever word a shop or a prompt file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

import reference_app
from reference_app.errors import PromptError
from reference_app.models.prompt import load_prompt
from reference_app.nodes.telling import REPLIES, Telling
from reference_app.state import ToolCall

PROMPTS = Path(reference_app.__file__).parent / "prompts"
ORDER = {"order_id": "FW-10427"}
FAILED = "Our shop system does not answer at the moment. Please try again later."


@pytest.fixture(scope="module")
def replies():
    return load_prompt(PROMPTS, "answerer", replies=tuple(REPLIES)).replies


def tell(replies, name, arguments, result, decision="allowed"):
    call = ToolCall(name=name, arguments=arguments, decision=decision, result=result)
    return Telling(replies).tell([call])


@pytest.mark.parametrize(
    ("name", "arguments", "error", "said"),
    [
        ("order_status", ORDER, "unknown_order", "There is no order FW-10427."),
        ("order_status", ORDER, "unknown_product", FAILED),
        ("order_status", ORDER, "order_shipped", FAILED),
        ("order_status", ORDER, "mend", FAILED),
        ("query_shop", {"question": "?"}, "denied", "I could not look that up in our catalogue."),
        ("query_shop", {"question": "?"}, "unavailable", FAILED),
        ("query_shop", {"question": "?"}, "no_query", "I could not look that up in our catalogue."),
    ],
)
def test_an_error_is_told_in_the_app_s_words(replies, name, arguments, error, said):
    assert tell(replies, name, arguments, {"error": error}).startswith(said)


def test_what_is_open_is_said_to_be_so(replies):
    order = {**ORDER, "status": "delivered", "carrier": "Test Post", "tracking": None, "expected": None}

    assert tell(replies, "order_status", ORDER, order).endswith("tracking number not known.")


def test_a_value_is_no_template(replies):
    result = {"product": "{0.__class__}", "store": "{call}", "quantity": 1}

    told = tell(replies, "store_stock", {"product": "{0.__class__}"}, result, "allowed")
    assert "{0.__class__}" in told


@pytest.mark.parametrize(
    "reply",
    ["{orderid}", "{order_id.__class__}", "{order_id[0]}", "{0}", "{order_id!r}", "{order_id:d}", "{"],
)
def test_a_reply_with_a_wrong_place_is_explained_at_the_start(replies, reply):
    with pytest.raises(PromptError, match=r"unknown_order.*its places are {order_id}"):
        Telling({**replies, "unknown_order": reply})

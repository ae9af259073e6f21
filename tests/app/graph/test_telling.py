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


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "Order FW-10427 has been delivered. It was sent by Test Post, without a tracking number."),
        ({"status": "shipped"}, "has been shipped and is expected on not known. It was sent by Test Post"),
        ({"carrier": None}, "Order FW-10427 has been delivered."),
    ],
)
def test_what_is_open_is_said_to_be_so(replies, changed, said):
    order = {**ORDER, "status": "delivered", "carrier": "Test Post", "tracking": None, "expected": None}

    assert said in tell(replies, "order_status", ORDER, {**order, **changed})


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


def ask(understood, units, rows, *, columns=(), yes_no=""):
    return {
        "understood": understood, "units": units, "columns": columns or ["a"] * len(units), "rows": rows,
        "yes_no": yes_no, "truncated": False,
    }  # fmt: skip


COMPARED = ["product", "weight", "other_product", "other_weight", "difference", "holds"]
KG = ["name", "kg", "name", "kg", "kg", "holds"]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            ask("products of about £199", ["name", "£"], [["Lapwing", 199.0], ["Corrie", 199.5]]),
            "Products of about £199: Lapwing (£199) and Corrie (£199.50).",
        ),
        (ask("number of products", ["product"], [[79]]), "Number of products: 79 products."),
        (ask("average rating of X", ["star"], [[4.071428]]), "Average rating of X: 4.07 stars."),
        (ask("price of Camp chair", ["name", "£"], [["Camp chair", 54.0]]), "Price of Camp chair: £54."),
        (ask("colour of X", ["name", "text"], [["X", "red"]], yes_no="rows"), "Yes. Colour of X: red."),
        (
            ask("opening date of all stores", ["name", "date"], [["Eastermere", "2025-03-29"]]),
            "Opening date of all stores: Eastermere (29 March 2025).",
        ),
        (ask("prices", ["£"] * 3, [[39.0, 229.0, 190.0]]), "Prices: £39 to £229, a difference of £190."),
        (ask("stores sold out", ["name", "in stock"], [["A", 0], ["B", 0]]), "Stores sold out: A and B."),
        (ask("stock of X", ["name", "in stock"], [["X", 0]], yes_no="stock"), "No. Stock of X: 0 in stock."),
        (
            ask("stores with X", ["name", "in stock"], [["A", 0], ["B", 3]], yes_no="stock"),
            "Stores with X: A (0 in stock) and B (3 in stock).",
        ),
        (
            ask("ends", ["name", "name", "kg"], [["Water", "Filter", 0.19], ["Packs", "Corrie", None]]),
            "Ends: Water: Filter (0.19 kg) and Packs: Corrie (not known).",
        ),
        (ask("red tents, with price", ["name", "£"], []), "We have none. I looked for: red tents."),
        (ask("reviews of X", ["review", "star"], [[7, 4.5]]), "Reviews of X: 7 reviews and 4.5 stars."),
        (ask("red tents", ["name", "£"], [], yes_no="rows"), "No, we have none. I looked for: red tents."),
        (ask("average price", ["£"], [[None]]), "We have none. I looked for: average price."),
        (
            ask("weight", KG, [["A", 2.1, "B", 1.15, 0.95, 1]], columns=COMPARED, yes_no="holds"),
            "Yes. B weighs 1.15 kg, which is 0.95 kg less than A at 2.1 kg.",
        ),
        (
            ask("weight", KG, [["A", 2.1, "B", 2.1, 0.0, 0]], columns=COMPARED, yes_no="holds"),
            "No. A and B are equal: 2.1 kg.",
        ),
        (
            ask("price", ["name", "£", "name", "£", "£"], [["A", 9.0, "B", 7.5, 1.5]], columns=COMPARED[:5]),
            "B costs £7.50, which is £1.50 less than A at £9.",
        ),
        (
            ask(
                "release date", ["name", "date", "name", "date"],
                [["A", "2023-03-01", "B", "2024-03-01"]], columns=COMPARED[:4],
            ),
            "A came out on 1 March 2023, before B on 1 March 2024.",
        ),
    ],
)  # fmt: skip
def test_rows_are_sentences_with_names_and_units(replies, result, said):
    assert tell(replies, "query_shop", {"question": "?"}, result) == said


def test_a_long_list_says_how_many_more_there_are(replies):
    result = ask("products", ["name"], [[f"P{number}"] for number in range(25)])

    assert tell(replies, "query_shop", {"question": "?"}, result).endswith("P19 and 5 more.")
    result["truncated"] = True
    assert tell(replies, "query_shop", {"question": "?"}, result).endswith("P19 and at least 5 more.")

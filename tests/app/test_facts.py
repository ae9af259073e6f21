"""Which sentences of a model may stand for what tools found."""

from __future__ import annotations

import pytest

from reference_app.nodes.facts import bears_out, show, write_facts
from reference_app.state import ToolCall


def found(name, **result):
    return ToolCall(name=name, arguments={}, decision="allowed", result=result)


def status(word, **changed):
    result = {"order_id": "FW-10427", "status": word, "expected": "2026-03-06", "carrier": "Test Post"}
    return found("order_status", **{**result, **changed})


def shipment(*, late):
    result = {"order_id": "FW-10427", "late": late, "expected": "2026-03-02", "carrier": "Test Post"}
    return found("shipment", **result)


def points(count, order="FW-10427"):
    return found("loyalty_points", order_id=order, points=count)


def stock(quantity):
    return found("store_stock", product="Skerry 2 tent", store="Leeds", quantity=quantity)


def rows(*given, question="How many tents do you have?"):
    result = {"columns": ["name", "price"][: len(given[0])], "rows": [list(row) for row in given]}
    return ToolCall(name="query_shop", arguments={"question": question}, decision="allowed", result=result)


TENTS = rows(("Skerry 2 tent", 320.0), ("Skerry 4 tent", 499.5))


@pytest.mark.parametrize(
    ("calls", "answer"),
    [
        (
            [status("shipped")],
            "Your order FW-10427 has been shipped with Test Post, expected on 6 March 2026.",
        ),
        ([status("shipped")], "FW-10427 was shipped with Test Post and will be delivered on 6 March 2026."),
        ([status("processing", carrier=None)], "Your order FW-10427 is being processed."),
        ([status("processing", carrier=None)], "FW-10427 is processing and has not left our warehouse yet."),
        ([status("delivered")], "Order FW-10427 was shipped with Test Post and has been delivered."),
        ([status("returned")], "Your order FW-10427 has been returned and has reached our warehouse."),
        ([shipment(late=True)], "FW-10427 is late; it was expected on 2 March 2026. Test Post carries it."),
        ([shipment(late=True)], "FW-10427 is delayed and not on time. It is carried by Test Post."),
        ([shipment(late=False)], "Your order FW-10427 isn't late. It is carried by Test Post."),
        ([points(120)], "Your order FW-10427 earns 120 Trailmarks points."),
        ([points(0)], "Order FW-10427 earns no Trailmarks points."),
        ([points(4)], "Order FW-10427 earns 4 points."),
        ([shipment(late=False), points(12)], "FW-10427 is not late, with Test Post. It earns 12 points."),
        ([stock(5)], "Our store in Leeds has 5 of the Skerry 2 tent in stock."),
        ([stock(2)], "Our store in Leeds has 2 of the Skerry 2 tent in stock."),
        ([stock(0)], "The Skerry 2 tent is not in stock at our store in Leeds at the moment."),
        ([stock(0)], "The Skerry 2 tent is out of stock in Leeds."),
        ([rows((3,))], "We have 3 tents."),
        ([rows(("Skerry 2 tent",))], "It is the Skerry 2 tent."),
        ([TENTS], "The Skerry 2 tent costs £320 and the Skerry 4 tent costs £499.50."),
        ([TENTS], "They are £499.50 for the Skerry 4 tent and £320 for the Skerry 2 tent."),
    ],
)
def test_a_right_sentence_is_used(calls, answer):
    assert bears_out(calls, answer)


@pytest.mark.parametrize(
    ("calls", "answer"),
    [
        ([status("shipped")], "Your order FW-10427 has not been shipped with Test Post."),
        ([status("shipped")], "Your order FW-10427 will be shipped with Test Post."),
        ([status("shipped")], "Your order FW-10427 was shipped with Test Post and has been delivered."),
        ([status("shipped")], "Your order FW-10427 has been shipped with Post."),
        (
            [status("shipped")],
            "Your order FW-10427 has been shipped with Test Post, expected on 6 April 2026.",
        ),
        ([status("shipped")], "Your order FW-10247 has been shipped with Test Post."),
        ([status("shipped")], "FW-10427 has been shipped with Fast Timelapse. It is carried by Test Post."),
        ([status("shipped")], "FW-10427 has been shipped with Test Post and is insured."),
        ([status("shipped")], "FW-10427 has been shipped with Test Post and is on time."),
        ([status("delivered")], "Order FW-10427 is expected to be delivered by Test Post."),
        ([status("cancelled")], "Your order FW-10427 has been shipped and cancelled."),
        ([shipment(late=True)], "The parcel of FW-10427 isn't late. It is carried by Test Post."),
        ([shipment(late=True)], "There is no delay with FW-10427. It is carried by Test Post."),
        ([shipment(late=False)], "FW-10427 is late and will not arrive on time with Test Post."),
        ([shipment(late=False)], "FW-10427 is carried by Test Post."),
        ([points(4)], "Order FW-10427 earns Trailmarks points."),
        ([points(10)], "Order FW-10427 earns 10427 points."),
        ([points(120)], "Order FW-10427 does not earn 120 points."),
        ([points(120), points(60, "FW-10428")], "FW-10427 earns 60 points and FW-10428 earns 120 points."),
        ([stock(2)], "Our store in Leeds has the Skerry 2 tent in stock."),
        ([stock(5)], "The Skerry 2 tent is not in stock in Leeds; 5 are expected."),
        ([stock(5)], "Our store in Leeds has 5 of the Kestrel tent in stock."),
        (
            [shipment(late=False), stock(0)],
            "FW-10427 is not late, with Test Post. Leeds has the Skerry 2 tent.",
        ),
        ([rows((3,))], "We have no more than 31 tents."),
        ([rows(("Skerry 2 tent", 2))], "It is the Skerry 2 tent."),
        ([rows((870,))], "Your order of 870 has been received."),
        ([rows((870,))], "The average_name is 870."),
        ([TENTS], "The Skerry 2 tent costs £499.50 and the Skerry 4 tent costs £320."),
    ],
)
def test_a_wrong_sentence_is_not(calls, answer):
    assert not bears_out(calls, answer)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "yes"),
        (None, "not known"),
        ("2026-03-06", "6 March 2026"),
        ("2026-99-99", "2026-99-99"),
        ("\uff12\uff10\uff12\uff16-03-06", "\uff12\uff10\uff12\uff16-03-06"),
        (float("inf"), "inf"),
        (499.5, "499.50"),
        (320.0, "320"),
        (["Tent", "Pegs"], "Tent, Pegs"),
    ],
)
def test_a_value_is_put_into_words(value, words):
    assert show(value) == words


def test_what_is_missing_is_no_fact():
    calls = [status("processing", carrier=None), points(12)]

    assert write_facts(calls) == (
        "order_id FW-10427; status processing; expected 6 March 2026 | order_id FW-10427; points 12"
    )

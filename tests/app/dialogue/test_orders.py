"""What a message asks about orders, what it wants done, and what it leaves out."""

from __future__ import annotations

import time

import pytest

from reference_app.dialogue.intents import read_intents
from reference_app.dialogue.orders import _words, find_missing, lookups, read_actions, read_facts, says
from reference_app.dialogue.wording import asks_for_past, find_day, find_language, mend_order_ids
from reference_app.documents.values import wanted_values
from reference_app.shop.sales import TODAY


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Where is my order?", "order_id"),
        ("Where is order #12345?", "order_id"),
        ("Where is FW-123?", "order_id"),
        ("Track my parcel", "order_id"),
        ("When will my order arrive?", "order_id"),
        ("Has my parcel shipped?", "order_id"),
        ("I want a refund for my order", "order_id"),
        ("Refund my order please", "order_id"),
        ("Can you add 50 points to my order", "order_id"),
        ("Please change the address of FW-10427", "postcode"),
        ("Redirect FW-10427 to my sister", "postcode"),
        ("Please send FW-10427 to YO1 7HH", None),
        ("Change the postcode of FW-10427 to yo1 7hh", None),
        ("Where is FW-10427?", None),
        ("I'd like my money back for FW-10427", None),
        # What is asked of rules is answered from documents, without an order.
        ("Can I cancel my order?", None),
        ("Can I return my order?", None),
        ("How do I get a refund?", None),
        ("How long does a refund take?", None),
        ("What is your refund policy?", None),
        ("Can I change the address after I have ordered?", None),
        ("How do I track my order?", None),
        ("How can I track my parcel?", None),
        ("My parcel arrived damaged. What now?", None),
        ("What happens if my parcel is lost?", None),
        ("My tent pole broke, is that covered?", None),
        ("How many points do I get for a review?", None),
        ("I want to order 3 tents", None),
        ("Do you ship to Spain?", None),
        ("", None),
    ],
)
def test_what_a_message_leaves_out(text, missing):
    assert find_missing(text) == missing


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("Refund FW-10427", {"request_refund"}),
        ("Don't refund FW-10427, how long would it take?", set()),
        ("How do I get a refund for FW-10427?", set()),
        ("Should I refund FW-10427 or exchange it?", set()),
        ("Can FW-10427 be delivered to LS6 2AB", {"change_address"}),
        ("Was FW-10427 delivered to SW1A 1AA?", set()),
        ("Where is FW-10427 with the X10 tent?", set()),
        ("Give me my money back for it", {"request_refund"}),
        ("Deliver FW-10427 to YO1 7HH", {"change_address"}),
        ("Credit 100 points to FW-10427", {"adjust_points"}),
        ("Award 896 points to FW-10427", {"adjust_points"}),
        ("Kindly return the money for FW-10427", {"request_refund"}),
        ("FW-10427 must be brought to KR21 7OV", {"change_address"}),
        ("Refund FW-10427 and credit me 5 points", {"request_refund", "adjust_points"}),
        ("Can I cancel FW-10427?", set()),
        ("What is the refund policy?", set()),
        ("How many points does FW-10427 earn?", set()),
        ("Where is FW-10427?", set()),
        ("", set()),
    ],
)
def test_what_is_to_be_done(text, actions):
    assert read_actions(text) == actions


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("What is in FW-10427?", {"items"}),
        ("Who delivers FW-10427?", {"carrier"}),
        ("Tracking number of FW-10427?", {"tracking"}),
        ("Is FW-10427 late?", {"late"}),
        ("Where is order FW-10427?", {"status"}),
        ("Points of FW-10427?", {"points"}),
        ("FW-10427?", set()),
        ("¿Dónde está FW-10427?", {"status"}),
        ("How heavy is the Kestrel tent?", set()),
    ],
)
def test_which_facts_are_asked_for(text, facts):
    assert read_facts(text) == facts


@pytest.mark.parametrize(
    ("facts", "tools"),
    [
        (set(), ["order_status"]),
        ({"status"}, ["order_status"]),
        ({"late"}, ["shipment"]),
        ({"points"}, ["loyalty_points"]),
        ({"items", "carrier", "points"}, ["order_status", "shipment", "loyalty_points"]),
    ],
)
def test_facts_are_looked_up_order_by_order(facts, tools):
    found = lookups(["FW-1", "FW-2"], frozenset(facts))
    assert found == [(tool, order) for order in ("FW-1", "FW-2") for tool in tools]


HOSTILE = [
    "a", " ", "?", "1", "my ", "my aa ", "fw", "f w ", "FW-1234", "what's ", "what ", "send to ",
    "go a ", "change ", "add ", "points ", "where's my ", "and ", ", what ", "? ", "may ", "1 may ",
    "2026-", "postage ", "how much what ", "i bought ", "order no ", "order # ", "in the 20",
    "\u00e1", "'s ",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_pattern_takes_long_on_a_hostile_message(piece):
    """Each reading on its own below 50 ms, the best of three; what is quadratic takes far longer."""
    keys = [(kind, name) for kind in ("facts", "actions") for name in _words()[kind]]
    keys += [(kind,) for kind in _words() if kind not in ("facts", "actions")]
    readings = [lambda text, key=key: says(text, *key) for key in keys]
    readings += [mend_order_ids, asks_for_past, find_language, wanted_values, read_intents, find_missing]
    readings.append(lambda text: find_day(text, TODAY))
    text = (piece * 2000)[:1999] + "\n"

    for number, read in enumerate(readings):
        read("warm")
        assert min(_time(read, text) for _ in range(3)) < 0.05, number


def _time(read, text):
    started = time.perf_counter()
    read(text)
    return time.perf_counter() - started

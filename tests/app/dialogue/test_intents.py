"""A message as the questions in it, and a follow-up as a question of its own."""

from __future__ import annotations

import pytest

from reference_app.dialogue.intents import MAX_INTENTS, read_intents


def texts(message, *earlier):
    return [intent.text for intent in read_intents(message, earlier)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("How long is the warranty on tents?", ["How long is the warranty on tents?"]),
        ("Hello! Do you ship to Spain?", ["Hello! Do you ship to Spain?"]),
        ("Where is fw10427?", ["Where is FW-10427?"]),
        ("Where is  F W 10427\n now?", ["Where is FW-10427 now?"]),
        (
            "How do I clean down jackets, and can I rent a family tent?",
            ["How do I clean down jackets", "can I rent a family tent?"],
        ),
        (
            "I live in Lyon. Do you deliver batteries? Can I rent a family tent?",
            ["I live in Lyon. Do you deliver batteries?", "I live in Lyon. Can I rent a family tent?"],
        ),
        (
            "How much does delivery cost, and by when?",
            ["How much does delivery cost, and by when?"],
        ),
        ("Can I return boots and socks?", ["Can I return boots and socks?"]),
        (
            "Where is FW-10427 and how heavy is the Kestrel tent?",
            ["Where is FW-10427", "how heavy is the Kestrel tent?"],
        ),
        (
            "Where is the parcel of FW-10427 and when will the refund arrive?",
            ["Where is the parcel of FW-10427", "when will the refund arrive?"],
        ),
        (
            "Where is the parcel of FW-10427 and which carrier brings it home?",
            ["Where is the parcel of FW-10427", "which carrier brings order FW-10427 home?"],
        ),
        (
            "Where are FW-10427 and FW-10428?",
            ["Where are FW-10427 and FW-10428?"],
        ),
    ],
)
def test_a_message_is_split_where_something_else_is_asked(message, expected):
    assert texts(message) == expected


@pytest.mark.parametrize("count", [5, 40])
def test_a_message_of_more_questions_than_are_answered_is_one(count):
    message = "Do you rent family tents? " * count

    assert count > MAX_INTENTS
    assert texts(message) == [message.strip()]


@pytest.mark.parametrize(
    ("earlier", "message", "expected"),
    [
        (["Where is FW-10427?"], "When does it arrive?", "When does order FW-10427 arrive?"),
        (["Where is FW-10427?"], "And its points?", "And its points? (order FW-10427)"),
        (["FW-10427 and FW-10428?"], "The carrier?", "The carrier? (order FW-10427 and FW-10428)"),
        (["FW-10427?", "and FW-10428?", "thanks"], "Is it late?", "Is order FW-10428 late?"),
        (["Where is FW-10427?"], "Where is FW-10428?", "Where is FW-10428?"),
        (["Which carrier brings fw 10427?"], "and FW10428?", "Which carrier brings FW-10428?"),
        (["Where is FW-10427?"], "How do I wash a down jacket?", "How do I wash a down jacket?"),
        ([], "And its points?", "And its points?"),
    ],
)
def test_a_follow_up_names_the_order_that_was_named_last(earlier, message, expected):
    assert texts(message, *earlier) == [expected]


@pytest.mark.parametrize(
    ("message", "searched"),
    [
        ("And the trousers?", "I like red. How long can I return a jacket? And the trousers?"),
        ("How do I wash a down jacket?", "How do I wash a down jacket?"),
    ],
)
def test_a_follow_up_is_searched_with_the_two_turns_before(message, searched):
    earlier = ["Hello there", "I like red.", "How long can I return a jacket?"]

    (intent,) = read_intents(message, earlier)
    assert (intent.query, intent.within) == (searched, searched)
    assert intent.text == message


def test_each_part_is_searched_alone_and_knows_the_whole():
    message = "How do I clean down jackets, and can I rent a family tent?"

    first, second = read_intents(message)
    assert (first.query, second.query) == ("How do I clean down jackets", "can I rent a family tent?")
    assert first.within == second.within == message


@pytest.mark.parametrize("question", ["What are your opening hours?", "Do you sell tents?"])
def test_a_question_of_something_else_is_not_about_the_last_order(question):
    (intent,) = read_intents(question, ["Where is my order FW-10412?"])

    assert intent.text == question

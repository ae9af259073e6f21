"""The app that quotes."""

from __future__ import annotations

import pytest

from reference_app.extractive import answer


@pytest.fixture(autouse=True)
def _environment(monkeypatch, shop, weights):
    del weights  # they are there
    for name, value in shop.items():
        monkeypatch.setenv(name, value)


def test_a_question_is_answered_by_the_sentences_nearest_to_it():
    found = answer("How heavy is the Kestrel tent?")

    assert found["text"].startswith("The Kestrel tent weighs 3.4 kg with its bag. [tents#weight]")
    assert found["passages"][0]["id"] == "tents#weight"
    assert found["tool_calls"] == []
    assert found["model"]


def test_an_order_is_told_in_a_sentence_of_what_the_shop_knows():
    found = answer({"question": "where is fw 20001?"})

    assert found["text"].startswith(
        "Order FW-20001 is shipped with Test Post, tracking number TP-1, expected on 2026"
    )
    (call,) = found["tool_calls"]
    assert (call["name"], call["arguments"]) == ("order_status", {"order_id": "FW-20001"})
    assert "Ada" not in str(found)


@pytest.mark.parametrize("asked", ["FW-99999?", {"question": "FW-20001?", "customer": 999}])
def test_an_order_that_is_not_there_for_the_customer_is_unknown(asked):
    assert answer(asked)["text"].startswith("There is no order FW-")


def test_what_is_far_from_every_section_is_not_answered(monkeypatch):
    monkeypatch.setattr("reference_app.extractive.LIMIT", 0.99)

    assert answer("How heavy is it?")["text"].startswith("I am sorry")

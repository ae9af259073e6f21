"""Searching sections whose vectors a test chooses."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from reference_app.documents.index import Vectors
from reference_app.documents.knowledge import Asked, Section
from reference_app.documents.search import Library, Query


def section(name, text, **changed):
    sound = {"title": "T", "heading": "H", "status": "current", "updated": "2026-01-01"}
    return Section(id=f"{name}#a", text=text, **{**sound, **changed})


def library(sections, places, asked=None):
    """Each text's vector stands under the first word of `places` that it holds."""

    def encode(texts):
        rows = [next(vector for word, vector in places.items() if word in text) for text in texts]
        return Vectors(np.array(rows, dtype=np.float32))

    return Library(sections, asked or Asked(answered={}, unanswered=()), encode, encode)


def ask(*vector, text="x", **changed):
    return Query(text=text, vector=vector, **changed)


RULES = [
    section("new", "Returns within 30 days."),
    section("old", "Returns within 60 days.", status="superseded", bought_until=dt.date(2025, 6, 30)),
]
ALIKE = {"30": (1.0, 0.0), "60": (1.0, 0.0)}


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ({}, "new#a"),
        ({"bought": dt.date(2025, 6, 30)}, "old#a"),
        ({"bought": dt.date(2025, 7, 1)}, "new#a"),
        ({"bought": dt.date(2026, 1, 1)}, "new#a"),
    ],
)
def test_a_replaced_rule_holds_for_what_was_bought_under_it(query, first):
    found = library(RULES, ALIKE).search(ask(1, 0, **query), 2)
    assert found[0].section.id == first


def test_who_asks_for_replaced_rules_gets_the_nearest():
    near = {"30": (0.99, 0.14), "60": (1.0, 0.0)}

    for past, first in ((False, "new#a"), (True, "old#a")):
        assert library(RULES, near).search(ask(1, 0, past=past), 1)[0].section.id == first


def test_a_rule_without_a_last_day_holds_for_no_purchase():
    rules = [RULES[0], section("old", "Returns within 60 days.", status="superseded")]

    found = library(rules, ALIKE).search(ask(1, 0, bought=dt.date(2000, 1, 1)), 1)
    assert found[0].section.id == "new#a"


def test_words_that_are_held_decide_between_equals():
    found = library(RULES, ALIKE).search(ask(1, 0, text="60 days?", past=True), 2)
    assert [one.section.id for one in found] == ["old#a", "new#a"]
    assert found[0].score > found[1].score


def test_a_known_question_leads_to_its_section():
    asked = Asked(answered={"b#a": ["Where to?"]}, unanswered=())
    sections = [section("a", "North."), section("b", "South.")]
    places = {"North": (0.6, 0.8), "South": (0.6, -0.8), "Where": (1.0, 0.0)}

    assert library(sections, places, asked).search(ask(1, 0), 1)[0].section.id == "b#a"


LONG = section("l", "Red costs 3. Blue takes two days. Green is free.")
COLOURS = {"Red costs 3. Blue": (1, 0), "Red": (1, 0), "Blue": (0.98, 0.2), "Green": (0, 1)}


@pytest.mark.parametrize(
    ("query", "count", "chosen"),
    [
        (ask(1, 0), 1, ["Red costs 3."]),
        (ask(0.98, 0.2, text="How long?"), 1, ["Blue takes two days."]),
        (ask(1, 0, text="How long?"), 1, ["Blue takes two days."]),  # the only time
        (ask(0.98, 0.2), 2, ["Red costs 3.", "Blue takes two days."]),
        (ask(0, 1), 2, ["Blue takes two days.", "Green is free."]),
        (ask(1, 0), 9, ["Red costs 3.", "Blue takes two days.", "Green is free."]),
    ],
)
def test_the_sentences_nearest_to_the_question_in_their_order(query, count, chosen):
    assert library([LONG], COLOURS).choose(LONG, query, count) == chosen


def test_of_a_text_that_a_customer_sent_all_is_chosen():
    other = section("other", "One. Two. Three.")
    assert library([LONG], COLOURS).choose(other, ask(1, 0), 1) == ["One.", "Two.", "Three."]


KNOWN = Asked(answered={"a#a": [f"Ask {n}" for n in range(10)]}, unanswered=("Vain one", "Vain two"))
PLACES = {"North": (1.0, 0.0, 0.0), "Ask": (0.8, 0.6, 0.0), "Vain": (0.6, 0.0, 0.8)}


@pytest.mark.parametrize(
    ("vector", "expected"),
    [((0.8, 0.6, 0.0), True), ((0.6, 0.0, 0.8), False), ((0.0, 0.0, 1.0), False), ((0.0, -1.0, 0.0), False)],
)
def test_known_questions_tell_whether_there_is_an_answer(vector, expected):
    north = section("a", "North.")
    assert library([north], PLACES, KNOWN).answers(ask(*vector), north) is expected


@pytest.mark.parametrize("vector", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
def test_without_known_questions_the_best_section_is_the_answer(vector):
    north = section("a", "North.")
    assert library([north], PLACES).answers(ask(*vector), north)

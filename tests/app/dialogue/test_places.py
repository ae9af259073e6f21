"""Where a customer writes from."""

from __future__ import annotations

import pytest

from reference_app.dialogue.intents import read_intents
from reference_app.dialogue.places import add_country


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("I live in Lyon. What does a return cost?", "France, European Union"),
        ("\u00bfCu\u00e1nto cuesta el env\u00edo a Espa\u00f1a?", "Spain, European Union"),
        ("postage to The Hague", "Netherlands, European Union"),
        ("from Dublin to Cork", "Ireland, European Union"),
        ("Do you send to Oslo?", "Norway"),
        ("From Berlin or Zurich?", "Germany, European Union, Switzerland"),
        ("Do you send to Lyon, as it is in the EU?", ""),
        ("Do you ship to Northern Ireland?", "United Kingdom"),
        ("My name is Paris, is the jacket in Turkey red or Cork brown?", ""),
        ("I put a cork in the bottle, nice.", ""),
        ("What does a return cost?", ""),
        ("", ""),
    ],
)
def test_a_place_abroad_is_read_with_its_country(text, added):
    assert add_country(text) == (f"{text} ({added})" if added else text)


def test_what_is_searched_for_has_it_and_what_is_planned_has_not():
    (intent,) = read_intents("I ordered from Lyon. What do you keep for a return?")
    assert intent.query.endswith("(France, European Union)")
    assert "European" not in intent.text

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_llmops import Score
from tests.scoring import refuse, score_one


def search(text: str, **options) -> Score:
    result = score_one("keywords", text, options)
    assert isinstance(result, Score)
    return result


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("60 days", "Within 60\n  DAYS of delivery", True),
        ("60 days", "Within 160 days", False),
        ("60 days", "60 daystar", False),
        ("\u20ac", "It costs 20\u20ac.", True),
        ("\u20ac20", "It costs \u20ac20.", True),
        ("\u20ac20", "It costs \u20ac20.50.", False),
        ("\u20ac20", "It costs \u20ac200.", False),
        ("FW-10427", "Order FW\u201110427, please", True),
        ("FW-10427", "Order FW-104271", False),
        ("5", "3.5 kg or 15 kg", False),
        ("5", "Take 5.", True),
        ("don't", "I don\u2019t know", True),
        ("caf\u00e9", "The CAFE\u0301 is open", True),
        ("C++", "written in c++!", True),
        ("stra\u00dfe", "HAUPTSTRASSE STRASSE", True),
        ("a.b", "axb", False),
        ("\uff11\uff12", "12", True),
        ("photo*", "two photos", True),
        ("photo*", "a telephoto", False),
        ("photo*", "send a photo", True),
        ("gift card*", "pay by Gift  Cards", True),
        ("5*", "15 or 50", False),
        ("5*", "rated 5*", True),
        ("**", "a ** b", True),
    ],
)
def test_a_keyword_is_found_as_people_read_it(word, text, found):
    assert search(text, all=(word,)).value == float(found)
    assert search(text, none=(word,)).value == float(not found)


def test_the_value_is_the_share_of_requirements_that_hold():
    result = search("60 days, no refund", all=("60 days", "free"), any=("x", "y"), none=("no refund", "fee"))

    assert result.value == 2 / 5
    assert result.reason == "missing: 'free'; none of: 'x', 'y'; must not contain: 'no refund'"
    assert result.evidence == ({"missing": ["free"], "none_of": ["x", "y"], "forbidden": ["no refund"]},)


def test_one_of_any_is_enough():
    assert search("a y", any=("x", "y")).value == 1.0


def test_a_list_within_all_is_one_requirement():
    options = {"all": ("late", ("498 points", "498 Trailmarks points"), ("6 March", "March 6"))}

    result = search("It is late and earns 498 points.", **options)

    assert result.value == 2 / 3
    assert result.reason == "missing: one of '6 March', 'March 6'"
    assert result.evidence == ({"missing": [["6 March", "March 6"]], "none_of": [], "forbidden": []},)
    assert search("late, March 6, 498 Trailmarks points", **options).value == 1.0


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"all": "60 days"}, "write it in brackets: ['60 days']"),
        ({"none": [60]}, 'write it in quotes: "60"'),
        ({"any": [" "]}, "blank"),
        ({"any": [["a", "b"]]}, "write it in quotes"),
        ({"all": [[]]}, "all[0]: is an empty list, which no text would match"),
        ({"all": ["a", ["b", 5]]}, 'all[1][1]: is 5; write it in quotes: "5"'),
        ({"all": 5}, "list"),
        ({}, "at least one"),
        ({"all": []}, "at least one"),
        ({"al": ["x"]}, "Did you mean 'all'"),
    ],
)
def test_a_wrong_option_is_told_how_to_mend(options, advice):
    refuse("keywords", advice, **options)


@given(st.text(min_size=1), st.text())
def test_a_word_is_found_between_spaces_whatever_it_is(word, around):
    assume(word.strip())
    assume(not (any(map(str.isdigit, word)) and any(map(str.isdigit, around))))  # `1 000` is one number

    assert search(f"{around} {word} {around}", all=[word]).value == 1.0

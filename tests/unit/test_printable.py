from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.printable import counted, printable, with_article


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain — ünïcode 漢字 🎉", "plain — ünïcode 漢字 🎉"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31mred\x1b]8;;http://x\x07", "\\x1b[31mred\\x1b]8;;http://x\\x07"),
        ("\x9b2J\x00", "\\x9b2J\\x00"),
        ("user\u202etxt.exe\u2066\u200f", "user\\u202etxt.exe\\u2066\\u200f"),
        ("60\u200b da\u00adys\ufeff", "60\\u200b da\\xadys\\ufeff"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("a\u2028b\xa0c", "a\\u2028b\\xa0c"),
        ({"q": "Wie lange?", "n": [1, None]}, '{"q": "Wie lange?", "n": [1, null]}'),
        (None, "null"),
        (0.5, "0.5"),
    ],
)
def test_what_is_hidden_is_escaped(value, shown):
    assert printable(value) == shown


def test_long_text_is_cut_and_the_rest_counted():
    assert printable("x" * 1500, 10) == "xxxxxxxxxx… (1,490 more characters)"
    assert printable("x" * 10, 10) == "x" * 10


def test_no_escape_is_cut_in_two():
    assert printable("abc\x1b", 5) == "abc… (1 more character)"


def test_what_json_cannot_hold_is_named():
    loop: list[object] = []
    loop.append(loop)

    assert printable(loop) == "a list"


@given(st.text(st.characters(), max_size=300), st.integers(0, 200))
def test_any_text_is_one_harmless_line(text, limit):
    shown = printable(text, limit)

    assert shown.isprintable()
    assert len(shown) <= limit + 40


@pytest.mark.parametrize(
    ("number", "noun", "plural", "said"),
    [
        (0, "case", "", "0 cases"),
        (1, "case", "", "1 case"),
        (2, "model call", "", "2 model calls"),
        (12_000, "row", "", "12,000 rows"),
        (1, "query", "queries", "1 query"),
        (2, "query", "queries", "2 queries"),
    ],
)
def test_numbers_and_nouns_agree(number, noun, plural, said):
    assert counted(number, noun, plural) == said


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("int", "an int"), ("float", "a float"), ("Output", "an Output"), ("UUID", "a UUID"),
        ("object", "an object"), ("Url", "a Url"), ("_Answer", "an _Answer"),
    ],
)  # fmt: skip
def test_articles_agree(noun, said):
    assert with_article(noun) == said

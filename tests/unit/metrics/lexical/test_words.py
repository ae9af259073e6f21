"""Words that overlaps count, and their F."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.lexical.overlap import Overlap
from pytest_llmops.metrics.words import content_words
from pytest_llmops.text.words import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It\u2019s 3.5 kg, or -4 \u00b0C", ["it", "3.5", "kg", "or", "-4", "c"]),
        ("1,000,000 pairs", ["1000000", "pairs"]),
        ("at 12:30 on 2026-11-25", ["at", "12:30", "on", "2026", "11", "25"]),
        ("FW-10427's snake_case", ["fw", "10427", "s", "snake", "case"]),
        ("don't 'quote' rock'n'roll", ["don't", "quote", "rock'n'roll"]),
        ("60days", ["60", "days"]),
        ("\u6211\u60f3 iPhone\u624b\u673a", ["\u6211", "\u60f3", "iphone", "\u624b", "\u673a"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u092e\u0947\u0902"],
        ),
        ("Caf\u00e9 CAFE\u0301", ["caf\u00e9", "caf\u00e9"]),
        ("?! \u2026", []),
    ],
)
def test_words_are_split_as_people_read_them(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("You have 60 days to send them back", ["60", "days", "send", "back"]),
        ("We do not ship", ["not", "ship"]),
        ("**We** ship\u2011it", ["ship"]),
        ("\u4e0d\u9000\n\u6b3e 60\u5929", ["\u4e0d\u9000", "\u9000\u6b3e", "60", "\u5929"]),
        ("\u51713.5\u5929", ["\u5171", "3.5", "\u5929"]),
        ("It is what it is", ["it", "is", "what", "it", "is"]),
    ],
)
def test_function_words_go_and_negations_stay(text, words):
    assert content_words(text) == words


@given(st.text())
def test_no_word_is_empty(text):
    assert all(split_words(text))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_f_lies_between_precision_and_recall(common, extra, missing):
    overlap = Overlap(common=common, got=common + extra, wanted=common + missing)
    low, high = sorted((overlap.precision, overlap.recall))

    assert low - 1e-12 <= overlap.f <= high + 1e-12

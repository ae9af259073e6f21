"""Texts cut into sentences, and what opens a sentence and claims nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.faithfulness.claims import split_claims
from pytest_llmops.metrics.faithfulness.sentences import drop_opener, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One thing. Another thing! A third?", ["One thing.", "Another thing!", "A third?"]),
        ("Dr. Moss left at 5 p.m. on Monday.", ["Dr. Moss left at 5 p.m. on Monday."]),
        ("It costs 3.50 euros. It ships free.", ["It costs 3.50 euros.", "It ships free."]),
        ("i am fine . i rarely miss .", ["i am fine .", "i rarely miss ."]),
        ('She said "No." Then she left.', ['She said "No."', "Then she left."]),
        ("Steps:\n- open the lid\n- press start\n", ["Steps:", "open the lid", "press start"]),
        ("1. Open it.\n2. Close it.", ["Open it.", "Close it."]),
        ("See fig. 3 for it. Then go.", ["See fig. 3 for it.", "Then go."]),
        ("A\n\nB", ["A", "B"]),
        ("... !!! ---", []),
        ("", []),
        ("版本二。", ["版本二。"]),
    ],
)
def test_sentences_of_a_text(text: str, sentences: list[str]) -> None:
    assert [each.text for each in split_sentences(text)] == sentences


@given(st.text(max_size=300))
def test_each_sentence_stands_where_it_says(text: str) -> None:
    found = split_sentences(text)

    for sentence in found:
        assert text[sentence.start : sentence.end] == sentence.text
        assert any(map(str.isalnum, sentence.text)) or "_" in sentence.text
    assert [each.start for each in found] == sorted(each.start for each in found)


def test_a_text_without_stops_is_cut_at_white_space() -> None:
    words = "word " * 1_000

    found = split_sentences(words)

    assert max(len(each.text) for each in found) <= 1_200
    assert " ".join(each.text for each in found).split() == words.split()


@pytest.mark.parametrize(
    ("sentence", "claim"),
    [
        ("Yes, you can return it.", "you can return it."),
        ("I'm not sure, but it opens at nine.", "it opens at nine."),
        ("i do n't know but it opens at nine", "it opens at nine"),
        ("I don\u2019t know but it opens at nine", "it opens at nine"),
        ("According to the documents, it is 60 days.", "it is 60 days."),
        ("oh yeah, an electric guitar has pickups", "an electric guitar has pickups"),
        ("Absolutely!", ""),
        ("No refund is given.", "No refund is given."),
        ("I don't like dogs.", "I don't like dogs."),
        ("Well water is clean.", "Well water is clean."),
        ("Sure", ""),
        ("It is 60 days [returns#window].", "It is 60 days."),
        ("It is 60 days. [1][2]", "It is 60 days."),
        ("Use list[0] to read it.", "Use list[0] to read it."),
    ],
)
def test_what_opens_a_sentence_is_no_claim(sentence: str, claim: str) -> None:
    assert drop_opener(sentence) == claim


def test_an_answer_of_openers_alone_is_kept_whole() -> None:
    assert split_claims("Sure! It opens at nine.") == ["It opens at nine."]
    assert split_claims("Absolutely!") == ["Absolutely!"]


@pytest.mark.parametrize(
    "filler", [" ", "\t", "\n", " \n", ". ", "! ", "yes, ", '"', "e.g. ", "1. ", "[1]", "["]
)
def test_long_runs_of_one_thing_end_soon(filler: str) -> None:
    """A pattern that tries each place anew would take minutes."""
    text = f"Boots{filler * 200_000}are sold."

    assert split_sentences(text)
    assert isinstance(drop_opener(text), str)

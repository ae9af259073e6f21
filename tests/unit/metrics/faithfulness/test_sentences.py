"""Sentences of a text, openers that claim nothing, words of a sentence, and its opposite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.faithfulness.claims import split_claims
from pytest_llmops.metrics.faithfulness.sentences import (
    _stem,
    drop_opener,
    oppose,
    read_wording,
    split_sentences,
)


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
    assert [sentence.text for sentence in split_sentences(text)] == sentences


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


def test_content_is_stemmed_and_words_of_grammar_are_none() -> None:
    wording = read_wording("The returned boots were quickly inspected by us.")

    assert wording.stems == ("return", "boot", "quick", "inspect")
    assert ("boot", "quick") in wording.neighbours
    assert wording.speaks_of_self


@pytest.mark.parametrize(
    ("sentence", "numbers"),
    [
        ("It takes 1,200 steps.", {"1200"}),
        ("It takes twenty days.", {"20"}),
        ("On March 3rd, 2024", {"3", "2024"}),
        ("in April on a Monday", {"april", "monday"}),
        ("No one came, for one reason.", set()),
        ("It costs 3.5.", {"3.5"}),
    ],
)
def test_numbers_are_read_in_any_writing(sentence: str, numbers: set[str]) -> None:
    assert read_wording(sentence).numbers == numbers


def test_names_are_words_with_a_capital_inside_a_sentence() -> None:
    assert read_wording("Yesterday Paula flew to Lisbon.").names == {"paula", "lisbon"}
    assert read_wording("RETURNS AND REFUNDS").names == set()


@pytest.mark.parametrize(
    "sentence", ["It is not open.", "It isn't open.", "It isn\u2019t open.", "Nobody came."]
)
def test_negation(sentence: str) -> None:
    assert read_wording(sentence).negated
    assert not read_wording("It is open.").negated


def test_direction() -> None:
    assert read_wording("Prices increased.").direction == 1
    assert read_wording("Prices decreased.").direction == -1
    assert read_wording("Prices changed.").direction == 0


@pytest.mark.parametrize(
    ("sentence", "opposites"),
    [
        (
            "Prices increased in May.",
            ["Prices decreased in May.", "It is not true that prices increased in May."],
        ),
        ("It is allowed.", ["It is forbidden.", "It is not allowed."]),
        ("It is not heavy.", ["It is heavy."]),
        ("You can't pay.", ["You can pay."]),
    ],
)
def test_opposites(sentence: str, opposites: list[str]) -> None:
    assert oppose(sentence) == opposites


@given(st.text(max_size=200))
def test_any_text_can_be_read_and_opposed(text: str) -> None:
    read_wording(text)

    assert oppose(text)


def test_stems_do_not_depend_on_other_threads() -> None:
    words = [f"{stem}{end}" for stem in ("cancel", "wash", "deliver", "cover") for end in ("ing", "ed", "s")]
    sentences = [f"{' '.join(words)} number{place}ing" for place in range(60)]
    alone = [read_wording(sentence).stems for sentence in sentences]
    _stem.cache_clear()

    with ThreadPoolExecutor(8) as threads:
        assert [wording.stems for wording in threads.map(read_wording, sentences)] == alone

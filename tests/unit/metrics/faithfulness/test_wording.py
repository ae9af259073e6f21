"""What is read off a sentence's words, and the opposite of a sentence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.faithfulness.sentences import _stem, oppose, read_wording


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

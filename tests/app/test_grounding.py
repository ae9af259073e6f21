from __future__ import annotations

import pytest

from reference_app.grounding import Grounding, split, words
from reference_app.knowledge import Section


def section(name, heading, text):
    return Section(id=name, title="Shop", heading=heading, text=text, status="current", updated="2026-01-01")


SECTIONS = [
    section("tents#weight", "Weight", "The Kestrel tent weighs 3.4 kg with its bag. It sleeps two people."),
    section("packs#weight", "Weight", "The Plover pack weighs 1.9 kg. Rain covers cost 12 pounds."),
    section("posts#price", "Price", "Delivery costs 4 pounds. Parcels leave within two days."),
]


@pytest.fixture
def grounding():
    return Grounding(SECTIONS)


def ground(grounding, draft, question, sections=SECTIONS):
    return [(one.text, one.source) for one in grounding.ground(draft, question, sections)]


def test_a_draft_that_a_section_bears_out_stays(grounding):
    draft = "The Kestrel tent weighs 3.4 kg."

    assert ground(grounding, draft, "How heavy is it?") == [(draft, "tents#weight")]


def test_a_wrong_number_is_replaced_by_the_sentence_it_came_from(grounding):
    ((text, source),) = ground(grounding, "The Kestrel tent weighs 9.9 kg.", "How heavy is it?")

    assert (text, source) == ("The Kestrel tent weighs 3.4 kg with its bag.", "tents#weight")


def test_an_echo_of_the_question_is_no_answer(grounding):
    question = "What does the Plover pack weigh?"

    assert ground(grounding, "The Plover pack weigh.", question)[0] == (
        "The Plover pack weighs 1.9 kg.", "packs#weight",
    )  # fmt: skip


def test_a_draft_that_says_nothing_falls_back_on_the_nearest_section(grounding):
    text, source = ground(grounding, "I am glad you ask!", "Weight?")[0]

    assert (text, source) == ("The Kestrel tent weighs 3.4 kg with its bag.", "tents#weight")


def test_what_the_draft_left_out_is_added_from_another_section(grounding):
    answer = ground(
        grounding, "The Kestrel tent weighs 3.4 kg.", "How heavy is the Kestrel tent, and the Plover pack?"
    )

    assert [source for _, source in answer] == ["tents#weight", "packs#weight"]


def test_only_shown_sections_are_quoted(grounding):
    answer = ground(grounding, "The Kestrel tent weighs 3.4 kg.", "How heavy?", SECTIONS[2:])

    assert {source for _, source in answer} == {"posts#price"}


def test_the_draft_s_first_sentence_counts(grounding):
    draft = "The Kestrel tent weighs 3.4 kg. It costs a million pounds."

    assert ground(grounding, draft, "How heavy is it?")[0][0] == "The Kestrel tent weighs 3.4 kg."


def test_words_are_compared_without_case_plural_and_filler():
    assert words("The Tents of 3.4 kg, EM-03!") == {"tent", "3.4", "kg", "em-03"}


def test_numbers_do_not_end_sentences():
    assert split("It weighs 3.4 kg.  It is\nred! Is it?") == ["It weighs 3.4 kg.", "It is red!", "Is it?"]
    assert split("") == [""]

from __future__ import annotations

import numpy as np
import pytest

from reference_app.documents.grounding import Grounding, split, words
from reference_app.documents.index import open_vectors
from reference_app.documents.knowledge import Section
from reference_app.nodes.answerer import Excerpts, readable
from reference_app.state import Found


def section(name, heading, text, status="current"):
    return Section(id=name, title="Shop", heading=heading, text=text, status=status, updated="2026-01-01")


TENTS = section(
    "tents#weight", "Weight", "The Kestrel tent weighs 3.4 kg with bag. It sleeps two. It is red."
)
PACKS = section("packs#weight", "Weight", "The Plover pack weighs 1.9 kg. Rain covers cost 12 pounds.")
POSTS = section("posts#price", "Price", "Delivery costs 4 pounds. Parcels leave within two days.")
SECTIONS = [TENTS, PACKS, POSTS]


@pytest.fixture
def grounding():
    return Grounding(SECTIONS)


@pytest.mark.parametrize(
    ("answer", "cited"),
    [
        ("The Kestrel tent weighs 3.4 kg.", True),
        ("The tent weighs 3.4 kg, and it is red.", True),
        ("The Plover pack weighs 1.9 kg.", False),
        ("Hello, what a lovely day to go outside!", False),
        ("", False),
    ],
)
def test_a_section_is_cited_for_words_it_holds(grounding, answer, cited):
    assert grounding.supports(TENTS, answer) is cited


def test_a_second_section_is_read_for_what_the_first_does_not_speak_of(grounding):
    question = "How heavy is the Kestrel tent, and what does delivery cost?"
    assert grounding.adds(POSTS, question, TENTS)
    assert not grounding.adds(POSTS, "How heavy is the Kestrel tent?", TENTS)
    assert not grounding.adds(TENTS, question, TENTS)


def test_an_excerpt_is_the_first_sentence_and_the_nearest(tmp_path):
    sentences = [sentence for one in SECTIONS for sentence in split(one.text)]
    vectors = open_vectors(
        sentences, encoder="unit", encode=lambda texts: np.eye(len(texts), dtype=np.float32), folder=tmp_path
    )
    excerpts = Excerpts(SECTIONS, sentences, vectors)

    def near(sentence):
        return np.eye(len(sentences))[sentences.index(sentence)]

    assert excerpts.cut(TENTS, near("It is red.")) == "The Kestrel tent weighs 3.4 kg with bag. It is red."
    assert excerpts.cut(TENTS, near(split(TENTS.text)[0])) == "The Kestrel tent weighs 3.4 kg with bag."
    assert excerpts.cut(PACKS, near("Rain covers cost 12 pounds.")) == PACKS.text


def test_outdated_sections_are_read_only_where_the_question_finds_them_first():
    old = section("posts-2020#price", "Price", "Delivery costs 3 pounds.", "superseded")
    found = [Found(section=POSTS, score=0.8), Found(section=old, score=0.7), Found(section=TENTS, score=0.3)]
    assert [one.section for one in readable(found)] == [POSTS]
    assert [one.section for one in readable(found[1:])] == [old]


def test_sentences_and_words():
    assert split("One is 3.4 kg.  Two\nlines. No. 5 stays") == ["One is 3.4 kg.", "Two lines.", "No. 5 stays"]
    assert words("The tents weigh 3.4 kg; EM-07 is a code") == {"tent", "weigh", "3.4", "kg", "em-07", "code"}

"""What an answer rests on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_app.documents.knowledge import load_knowledge
from reference_app.documents.lexicon import split, stems
from reference_app.documents.support import numbers, repeats, supports
from reference_app.documents.values import wanted_values

SECTIONS = load_knowledge(Path(__file__).parents[3] / "reference_app" / "knowledge")
SENTENCES = sorted({one for section in SECTIONS for one in split(section.text) if stems(one)})
DENIES = re.compile(r"\b(?:not|never|cannot) ")
DENYING = [one for one in SENTENCES if DENIES.search(one)]
WITH_FIGURES = [one for one in SENTENCES if re.search(r"\d", one)]


@given(st.sampled_from(SENTENCES))
def test_a_sentence_supports_itself(sentence):
    assert supports([sentence], sentence)
    assert repeats(sentence, sentence)


@given(st.sampled_from(WITH_FIGURES), st.data())
def test_a_changed_number_is_not_supported(sentence, data):
    found = data.draw(st.sampled_from([*re.finditer(r"\d", sentence)]))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != found[0]]))
    changed = sentence[: found.start()] + other + sentence[found.end() :]

    if numbers(changed) - numbers(sentence):
        assert not supports([sentence], changed)


@given(st.sampled_from(DENYING))
def test_a_dropped_not_is_not_supported(sentence):
    assert not supports([sentence], DENIES.sub("", sentence))


@given(st.sampled_from(SENTENCES), st.sampled_from(SENTENCES))
def test_another_sentence_is_not_supported(sentence, other):
    if len(stems(other) & stems(sentence)) < 0.8 * len(stems(other)):
        assert not supports([sentence], other)


@pytest.mark.parametrize(
    ("sentences", "answer", "expected"),
    [
        (["The tent weighs 3.4 kg."], "It weighs 3.4 kg.", True),
        (["Boots of leather cost £1,200."], "The leather boots cost £1,200.", True),
        (["Boots of leather cost £1,200."], "The leather boots cost £1.200.", False),
        (["Returns take 14 days."], "Returns take 14 days in Spain.", False),
        (["Returns take 14 days."], "Returns don't take 14 days.", False),
        (["Returns take 14 days."], "", False),
        (["Returns take 14 days."], "Yes.", False),
        (["Cut flowers cannot be returned.", "Pots can be returned."], "Pots can be returned.", True),
        (["Cut flowers cannot be returned.", "Pots can be returned."], "Cut flowers can be returned.", False),
        (["Parcels go to Kent."], "Parcels go to Cornwall.", False),
    ],
)
def test_what_an_answer_says_must_be_there(sentences, answer, expected):
    assert supports(sentences, answer) is expected


def test_a_comma_between_thousands_is_no_other_number():
    assert numbers("£1,200 or 1,200,300, by 3.5") == numbers("1200 and 1200300 3.5.")
    assert numbers("1,20") != numbers("120")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Delivery takes 2 to 4 working days.", True),
        ("It takes 2 to 4 working days.", True),
        ("Delivery takes 2 working days.", False),
        ("2 to 4.", False),
    ],
)
def test_an_answer_repeats_the_best_sentence(answer, expected):
    assert repeats("Delivery takes 2 to 4 working days.", answer) is expected


@pytest.mark.parametrize(
    ("question", "sentence", "expected"),
    [
        ("How long is the warranty?", "It lasts 24 months.", True),
        ("How long is the warranty?", "It lasts two full years.", True),
        ("How long is the warranty?", "It costs £24.", False),
        ("When do you open?", "We open at 9:30.", True),
        ("By when?", "On Saturdays.", True),
        ("How much is delivery?", "It costs £3.95.", True),
        ("How much is delivery?", "It is free.", True),
        ("How much is delivery?", "It takes 3 days.", False),
        ("What does a patch cost?", "A patch is 5 €, and quick.", False),
        ("What does a patch cost?", "A patch is €5.", True),
        ("How many points?", "There are 20.", True),
        ("How many points?", "There are some.", False),
    ],
)
def test_the_value_that_is_asked_for(question, sentence, expected):
    assert [bool(kind.search(sentence)) for kind in wanted_values(question)] == [expected]


@pytest.mark.parametrize("question", ["Can I return it?", "Do you ship to Spain?", "", "?"])
def test_most_questions_ask_for_no_value(question):
    assert wanted_values(question) == []

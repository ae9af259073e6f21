"""Which sections an answer is made of."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from reference_app.dialogue.intents import Intent
from reference_app.documents.knowledge import Section
from reference_app.documents.lexicon import split
from reference_app.documents.search import Found
from reference_app.nodes.retriever import Retriever
from reference_app.state import Finding, Plan

TEXT = "One is one. Two is two. Three is three. Four is four."


def section(name, text=TEXT, status="current"):
    return Section(id=f"{name}#a", title="T", heading="H", text=text, status=status, updated="2026-01-01")


def pick(*scored, question="What is one?", sentences=3, plan=None, answers=True, compared=()):
    """Ids and numbers of sentences of the evidence, given sections with their scores."""
    found = [Found(section=one, score=score) for one, score in scored]
    library = SimpleNamespace(
        search=lambda _, count: found[:count],
        answers=lambda *_: answers,
        choose=lambda one, _, count: split(one.text)[:count],
    )
    retriever = Retriever(
        library,
        top_k=5,
        sentences=sentences,
        name_products=lambda text: frozenset({"Tarn 4", "Drover 28"} & set(re.findall(r"\w+ \d+", text))),
        suspect=lambda _: None,
    )
    parts = tuple(Intent(text=each, query=each, within=each) for each in compared)
    intent = Intent(text=question, query=question, within=question, compared=parts)
    state = {"findings": [Finding(intent=intent, plan=plan or Plan(route="documents"))]}
    evidence = retriever(state)["findings"][0].evidence
    return [(one.section.id.partition("#")[0], len(one.sentences), one.beside) for one in evidence]


FIRST, SECOND = section("first"), section("second")


@pytest.mark.parametrize(
    ("scored", "picked"),
    [
        (((FIRST, 0.9), (SECOND, 0.89)), [("first", 3, False), ("second", 2, True)]),
        (((FIRST, 0.9), (SECOND, 0.88)), [("first", 3, False)]),
        (((FIRST, 0.9),), [("first", 3, False)]),
        ((), []),
        (
            ((FIRST, 0.9), (section("old", status="superseded"), 0.9), (SECOND, 0.89)),
            [("first", 3, False), ("second", 2, True)],
        ),
        (
            ((FIRST, 0.9), (SECOND, 0.895), (section("third"), 0.893)),
            [("first", 3, False), ("second", 2, True)],
        ),
    ],
)
def test_a_second_section_is_quoted_where_it_is_nearly_as_near(scored, picked):
    assert pick(*scored) == picked


def test_a_prompt_of_one_sentence_gets_one():
    assert pick((FIRST, 0.9), (SECOND, 0.9), sentences=1) == [("first", 1, False)]


def test_of_two_things_that_are_compared_the_best_section_of_each_is_quoted():
    assert pick((FIRST, 0.9), (SECOND, 0.9), compared=("Is one?", "Is two?")) == [("first", 3, False)]


@pytest.mark.parametrize(("answers", "count"), [(True, 1), (False, 0)])
def test_nothing_is_quoted_where_no_section_answers(answers, count):
    assert len(pick((FIRST, 0.9), answers=answers)) == count


def test_a_section_that_has_the_code_answers_and_one_of_another_code_does_not():
    coded = section("coded", "EM-03 means that it is too hot.")
    for answers in (True, False):
        asked = pick((FIRST, 0.9), (coded, 0.7), question="What is EM-03?", answers=answers)
        assert asked == [("coded", 1, False)]
    assert pick((FIRST, 0.9), question="What is EM-99?") == []


def test_a_rule_about_an_order_is_quoted_even_where_it_is_not_sure_to_answer():
    order = Plan(route="tools", search=True)
    assert pick((FIRST, 0.9), plan=order, answers=False) == [("first", 3, False)]


@pytest.mark.parametrize(
    ("question", "picked"),
    [
        ("What do the pegs of the Tarn 4 weigh?", ["review"]),
        ("What does the Drover 28 weigh?", []),
        ("Which tent weighs least?", []),
    ],
)
def test_a_figure_that_the_database_cannot_tell_is_looked_for_in_sections_on_the_product(question, picked):
    review = Section(
        id="review#a", title="Review: Tarn 4", heading="H", text=TEXT, status="current", updated="2026-01-01"
    )
    limits = section("limits", "The limit is 12 kg for the Drover 28.")
    found = pick((limits, 0.95), (review, 0.9), question=question, plan=Plan(route="database"))
    assert [name for name, _, _ in found] == picked

from __future__ import annotations

import numpy as np
import pytest

from reference_app.shop.database import TODAY
from reference_app.tools.sql.shapes.linking import Values, link
from reference_app.tools.sql.shapes.planning import Planner, find_cues

VALUES = Values({"city": ["Harrowmere"], "category": ["Tents"], "product": ["Skerry 2 tent"]})


@pytest.fixture(scope="module")
def plan(embed):
    planner = Planner(embed)
    return lambda question: planner.plan(question, link(question, VALUES, TODAY))


@pytest.mark.parametrize(
    ("question", "shape"),
    [
        ("Which tent is the cheapest?", "cheapest_product"),
        ("Which tent is the dearest?", "dearest_product"),
        ("Which tent is the least expensive?", "cheapest_product"),
        ("How many tents are in stock in Harrowmere?", "stock"),
        ("Which tents are sold out in Harrowmere?", "products_out_of_stock"),
        ("What do tents cost on average?", "average_price"),
        ("Give me the names of all customers", "personal"),
        ("Delete every order", "writing"),
    ],
)
def test_words_that_turn_the_question_round_choose_another_shape(plan, question, shape):
    assert plan(question).shape == shape


@pytest.mark.parametrize(
    "question",
    [
        "How many kayaks do you sell?",
        "How many Skerry 2 tents are in stock in London?",
        "Which products have never been reviewed?",
        "What percentage of orders was returned?",
        "Which products cost more than the Skerry 2?",
        "asdf qwer",
        "?",
    ],
)
def test_a_question_that_a_shape_would_answer_only_in_part_gets_no_plan(plan, question):
    found = plan(question)

    assert found is None or found.sql is None


def test_phrasings_are_encoded_once_and_not_before_the_first_question():
    calls = []

    def encode(texts):
        calls.append(len(texts))
        return np.eye(1, 384, dtype=np.float32).repeat(len(texts), axis=0)

    planner = Planner(encode)
    assert calls == []
    planner.rank("How many?", [])
    planner.rank("How much?", [])
    assert len([size for size in calls if size > 10]) == 1


def test_cues_are_whole_words():
    assert find_cues("how many orders by month") == {"count", "each"}
    assert find_cues("the mostly harmless bystander") == frozenset()

from __future__ import annotations

import numpy as np
import pytest

from pytest_llmops.gates.golden_flaws import NEAR, find_near_duplicates
from pytest_llmops.models.encoders import DEFAULT, load_encoder, read_encoder
from pytest_llmops.records import Case, Golden

ANGLES = {"how long for boots?": 0, "how many days for boots?": 30, "boots until when?": 60, "tents?": 170}
"""Questions as directions in a plane: neighbours are 30 degrees apart, a cosine of .87."""


def encode(texts):
    turned = np.radians([ANGLES[text] for text in texts])
    return np.stack([np.cos(turned), np.sin(turned)], axis=1)


def golden_of(**groups):
    cases = [Case(id=f"c{at}", input=text, group=groups.get(f"c{at}", "")) for at, text in enumerate(ANGLES)]
    return Golden(path="golden/shop.yaml", cases=tuple(cases))


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ({}, [("c0", "c1", "c2")]),
        ({"c0": "boots", "c1": "boots", "c2": "boots"}, []),
        ({"c0": "boots", "c1": "boots"}, [("c1", "c2")]),
        ({"c0": "boots", "c1": "other", "c2": "other"}, [("c0", "c1")]),
    ],
)
def test_questions_that_are_near_and_share_no_group_are_named(groups, found):
    assert find_near_duplicates(golden_of(**groups), encode) == found


def test_inputs_that_are_no_text_are_left_out():
    cases = (Case(id="a", input={"q": "x"}), Case(id="b", input=["x"]), Case(id="c", input="tents?"))

    assert find_near_duplicates(Golden(path="g.yaml", cases=cases), encode) == []


def test_the_default_encoder_finds_paraphrases_and_leaves_other_questions_alone():
    inputs = [
        "How long do I have to send boots back?",
        "How many days may pass before I return boots?",
        "By when must boots be returned?",
        "Which warranty do tents carry?",
        "What does express delivery to Dublin cost?",
    ]
    cases = tuple(Case(id=str(at), input=text) for at, text in enumerate(inputs))
    encoder = load_encoder(read_encoder(DEFAULT, "selfcheck"))

    assert pytest.approx(0.8) == NEAR
    assert find_near_duplicates(Golden(path="g.yaml", cases=cases), encoder.encode) == [("0", "1", "2")]

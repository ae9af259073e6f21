from __future__ import annotations

import json

import pytest

from reference_app.evaluation.shares import lower_bound
from reference_app.training.evaluation.cases import Case, load_cases
from reference_app.training.evaluation.comparison import (
    Outcome,
    measure_tone,
    summarise,
    train_tone,
)
from reference_app.training.evaluation.scoring import score_answer, score_general, score_plan
from reference_app.training.evaluation.tone import find_breaches

ORDER = '{"route":"tools","calls":[{"name":"order_status","arguments":{"order_id":"FW-10001"}}]}'
BOTH = json.dumps(
    {
        "route": "tools",
        "calls": [
            {"name": "shipment", "arguments": {"order_id": "FW-10001"}},
            {"name": "loyalty_points", "arguments": {"order_id": "FW-10001"}},
        ],
    }
)
REFUSE = '{"route":"refuse","calls":[]}'


@pytest.fixture(scope="module")
def tone():
    return train_tone()


@pytest.mark.parametrize(
    ("got", "wrong"),
    [
        (ORDER, set()),
        (ORDER.replace(",", ", "), set()),
        ("It is on its way.", {"json_valid", "schema_valid", "intent", "arguments_exact"}),
        (f"{ORDER} Done.", {"json_valid", "schema_valid", "intent", "arguments_exact"}),
        ("[]", {"schema_valid", "intent", "arguments_exact"}),
        ('{"route":"tools","calls":[]}', {"schema_valid", "intent", "arguments_exact"}),
        (ORDER.replace("10001", "10002"), {"arguments_exact"}),
        (ORDER.replace("FW-10001", "10001"), {"schema_valid", "arguments_exact"}),
        (ORDER.replace("}}", ',"x":1}}'), {"schema_valid", "arguments_exact"}),
        (ORDER.replace("order_status", "shipment"), {"intent", "arguments_exact"}),
        (BOTH, {"intent", "arguments_exact"}),
        (REFUSE, {"intent", "arguments_exact"}),
    ],
)
def test_what_is_wrong_with_a_plan(got, wrong):
    scores = score_plan(ORDER, got)
    assert {name for name, right in scores.items() if not right} == wrong
    assert "out_of_scope_refused" not in scores


def test_the_order_of_calls_is_part_of_the_intent():
    calls = json.loads(BOTH)
    calls["calls"].reverse()
    assert score_plan(BOTH, json.dumps(calls))["intent"] is False


def test_a_question_out_of_scope_must_be_refused():
    assert score_plan(REFUSE, REFUSE)["out_of_scope_refused"] is True
    assert score_plan(REFUSE, '{"route":"documents","calls":[]}')["out_of_scope_refused"] is False
    assert score_plan(REFUSE, "No.")["out_of_scope_refused"] is False
    assert "arguments_exact" not in score_plan(REFUSE, REFUSE)


def case(task, expected, kind="returns#cost", ids=()):
    return Case(messages=(), expected=expected, task=task, kind=kind, ids=ids, keys=())


@pytest.mark.parametrize(
    ("got", "wrong"),
    [
        ("Sending an item back costs £3.50. [returns#cost]", set()),
        ("Sending an item back costs £3.50.", {"citation_right"}),
        ("[returns#cost] Sending an item back costs £3.50.", {"citation_right", "professional"}),
        ("Sending an item back costs £3.50. [returns#costs]", {"citation_right"}),
        ("Sending an item back costs £3.50. [returns#cost] [returns#cost]", {"citation_right"}),
        ("Sending an item back costs £3.05. [returns#cost]", {"numbers_right"}),
        ("Yo, it costs £3.50! [returns#cost]", {"professional"}),
    ],
)
def test_what_is_wrong_with_an_answer_from_a_passage(tone, got, wrong):
    scores = score_answer(case("document", "Sending an item back costs £3.50. [returns#cost]"), got, tone)
    assert {name for name, value in scores.items() if not value} == wrong


def test_every_id_of_the_facts_must_stand_in_the_answer_whole(tone):
    asked = case("facts", "Your order FW-10001 earns 20 points.", ids=("FW-10001", "20"))
    assert score_answer(asked, "Your order FW-10001 earns 20 points.", tone)["ids_copied"]
    assert not score_answer(asked, "Your order FW-10001 earns 200 points.", tone)["ids_copied"]
    assert not score_answer(asked, "Your order FW-100012 earns 20 points.", tone)["ids_copied"]
    assert not score_answer(asked, "Order FW-10001 earns 20 points. [returns#cost]", tone)["citation_right"]


def test_rouge_l_is_the_longest_common_subsequence(tone):
    said = score_answer(case("unknown", "the cat sat on the mat"), "the cat on a mat", tone)
    assert said["rouge_l"] == pytest.approx(2 * (4 / 5) * (4 / 6) / (4 / 5 + 4 / 6))
    assert score_answer(case("unknown", "the cat"), "", tone)["rouge_l"] == 0


def test_general_answers_need_one_of_the_key_words():
    assert score_general(("ninety", "90"), "It can stay for Ninety minutes.")["general_ability"]
    assert not score_general(("ninety", "90"), "It can stay for nine minutes.")["general_ability"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Your order is here!", "exclamation mark"),
        ("It's on the way.", "contraction"),
        ("We don't know.", "contraction"),
        ("Yeah, it is here.", "slang"),
        ("it is here.", "start"),
        ("It is here", "end"),
        ("I think it is here.", "chatter"),
        ("It is here, ok?", "tail question"),
    ],
)
def test_the_rules_of_tone(text, rule):
    assert rule in find_breaches(text)
    assert find_breaches("Your order FW-10001 is expected on 6 March 2026. [returns#cost]") == []


def test_tone_is_judged_rightly_on_pairs_it_has_not_seen(tone):
    measured = measure_tone(tone)
    assert measured.n >= 40
    assert measured.lower >= 0.9


def test_expected_answers_are_professional(tone):
    answers = [one for one in load_cases() if one.task not in ("plan", "general")]
    assert [one.expected for one in answers if not tone.is_professional(one.expected)] == []


def test_the_bound_is_exact():
    # Twenty of twenty: p**20 = 0.05.
    assert lower_bound(20, 20) == pytest.approx(0.05 ** (1 / 20))
    assert lower_bound(0, 20) == 0
    assert lower_bound(10, 20) == pytest.approx(0.302, abs=1e-3)


def test_a_behaviour_is_measured_over_the_cases_that_show_it():
    def outcome(**scores):
        return Outcome(
            case=case("plan", ORDER), text="", scores=scores, seconds=1.0, prompt_tokens=1, answer_tokens=3
        )

    measures = summarise([outcome(intent=1.0), outcome(intent=0.0, rouge_l=0.5), outcome(rouge_l=0.25)])
    assert (measures["intent"].value, measures["intent"].n) == (0.5, 2)
    assert not measures["intent"].reached
    assert (measures["rouge_l"].value, measures["rouge_l"].lower) == (0.375, None)
    assert measures["answer_tokens"].value == 3

"""The independent questions: how answers are judged, and the golden file that has the same rules."""

from __future__ import annotations

import json
import operator
import random
from functools import lru_cache
from pathlib import Path

import pytest

import pytest_llmops
from benchmarks.questions.figures import Share, list_recalls, list_shares
from benchmarks.questions.golden import GOLDEN, find_waiting, read_waiting, render
from benchmarks.questions.rules import contains, fold
from benchmarks.questions.scoring import judge, load_questions, score
from pytest_llmops import Output, ToolCall, load_golden

ROOT = Path(__file__).parents[3]
BOUNDS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
QUESTIONS = {each["id"]: each for each in load_questions()}
REFUSAL, NOT_FOUND = "I can only help with questions about Fellwind Outfitters.", "I could not find that."
WRITE = {"name": "adjust_points", "arguments": {"order_id": "FW-10424", "points": 5000}}


def ideal(question):
    expected = question["expected"]
    return {
        "text": expected["reference"],
        "passages": expected.get("relevant") or [],
        "tool_calls": expected.get("tools") or [],
    }


@pytest.mark.parametrize(
    ("wanted", "text", "found"),
    [
        ("5", "15, 5.50 or 1,500, at 5:30", False),
        ("5", "5% and 5.", True),
        ("7", "EM-7", False),
        ("photo*", "Photos", True),
        ("can't", "You **can\u2019t**", True),
        ("6 March", "on 6  march", True),
    ],
)
def test_a_word_is_found_as_a_whole(wanted, text, found):
    assert contains(fold(text), wanted) is found


@pytest.mark.parametrize(
    ("name", "text", "outcome"),
    [
        ("ret-03", "It costs £3.50.", "right"),
        ("ret-03", "It costs £5.95, and was £3.50.", "wrong"),
        ("ret-03", NOT_FOUND, "refused"),
        ("ret-03", "", "wrong"),
        ("ret-25", "8 pounds are deducted; I could not find more, no.", "refused"),
        ("una-03", NOT_FOUND, "right"),
        ("una-03", "It was Ada Fell in 2009; I do not know more.", "wrong"),
        ("hos-04", "That is not possible.", "right"),
        ("mis-01", "Please give me the order number.", "right"),
        ("mis-01", "Your order number is FW-10427.", "wrong"),
    ],
)
def test_an_answer_is_judged(name, text, outcome):
    assert judge(QUESTIONS[name], {"text": text, "tool_calls": []}) == outcome


@pytest.mark.parametrize(
    ("name", "decision", "outcome"), [("hos-04", "denied", "right"), ("hos-04", "pending", "wrong")]
)
def test_a_refusal_with_a_change_is_none(name, decision, outcome):
    answer = {"text": REFUSAL, "tool_calls": [{**WRITE, "decision": decision}]}

    assert judge(QUESTIONS[name], answer) == outcome


def test_the_references_are_right_and_those_of_others_are_not():
    questions = list(QUESTIONS.values())
    shuffled = random.Random(7).sample(questions, len(questions))  # noqa: S311 - no secret

    assert [question["id"] for question in questions if judge(question, ideal(question)) != "right"] == []
    right = [judge(one, ideal(other)) == "right" for one, other in zip(questions, shuffled, strict=True)]
    assert sum(right) <= 0.05 * len(questions)


def test_the_figures_of_the_references_reach_every_goal():
    scored = [score(question, ideal(question)) for question in QUESTIONS.values()]

    assert {share.standing for share in list_shares(scored)} <= {"goal", "floor", ""}
    assert [round(recall, 6) for _, recall, _ in list_recalls(scored)][-1] == 1


def test_a_share_stands_where_its_limits_say():
    share = Share(name="wrong", count=15, of=100, floor=0.20, goal=0.10, fewer_is_better=True)

    assert share.standing == "floor"
    assert share.interval == pytest.approx((0.093, 0.233), abs=1e-3)


def test_the_golden_file_is_written_by_the_script():
    assert GOLDEN.read_text(encoding="utf-8") == render(list(QUESTIONS.values()), read_waiting())


def test_what_was_not_right_waits(tmp_path):
    answers = [{"id": question["id"], **ideal(question)} for question in QUESTIONS.values()]
    answers[5]["text"] = NOT_FOUND
    lines, run = tmp_path / "answers.jsonl", tmp_path / "run.json"
    lines.write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    results = [
        {"case": f"golden/independent.yaml::{answer['id']}", "outputs": [answer]} for answer in answers
    ]
    run.write_text(json.dumps({"results": results}), encoding="utf-8")
    questions = list(QUESTIONS.values())

    assert find_waiting(questions, lines) == find_waiting(questions, run) == {answers[5]["id"]}
    assert render(questions, {answers[5]["id"]}).count("record_only: true") == 1 + render(
        questions, ()
    ).count("record_only: true")


@lru_cache
def cases():
    text = {case.id: case for case in load_golden(GOLDEN, root=ROOT).cases}
    return {
        name: [check for check in case.checks if check.metric != "pii_leak"] for name, case in text.items()
    }


def passes(name, answer):
    calls = tuple(ToolCall(**call) for call in answer["tool_calls"])
    row = {"output": Output(text=answer["text"], tool_calls=calls)}
    for check in cases()[name]:
        (found,) = pytest_llmops.score(check.metric, [row], options=check.options)
        if not BOUNDS[check.comparison](found.value, check.threshold):
            return False
    return True


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_golden_checks_hold_what_the_rules_call_right(name):
    question = QUESTIONS[name]
    others = random.Random(name).sample(list(QUESTIONS.values()), 8)  # noqa: S311 - no secret
    reference = question["expected"]["reference"]
    texts = [
        reference,
        REFUSAL,
        f"Which order number? {reference}",
        *(ideal(other)["text"] for other in others),
    ]
    texts += [f"{reference} {word}" for word in question["expected"]["must_not_include"]]
    for text in texts:
        for calls in ([], ideal(question)["tool_calls"], [WRITE]):
            answer = {"text": text, "tool_calls": calls}
            assert passes(name, answer) is (judge(question, answer) == "right"), answer


def test_the_golden_checks_are_stricter_where_an_answer_says_that_it_found_nothing():
    answer = {"text": f"{NOT_FOUND} It brings 0 points.", "tool_calls": []}

    assert judge(QUESTIONS["ord-13"], answer) == "right"
    assert not passes("ord-13", answer)


@pytest.mark.parametrize("text", ["", " \n", None])
def test_an_app_that_says_nothing_makes_no_case_record_only(tmp_path, text):
    answers = tmp_path / "answers.jsonl"
    lines = [{**ideal(each), "id": name} for name, each in QUESTIONS.items()]
    lines[3]["text"] = text
    answers.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")

    with pytest.raises(SystemExit, match=f"has no answer to {lines[3]['id']} "):
        find_waiting(load_questions(), answers)

"""Scores of pairs as verdicts, and whose model judged."""

from __future__ import annotations

import pytest

from pytest_llmops.calibration.record import judges_of, warn_of_self_preference
from pytest_llmops.features.calibrate.bias import families_of, read_verdicts
from pytest_llmops.records import CaseResult, Output, Score

JUDGE = {"judge": "gpt-4o-2024-08-06", "family": "gpt"}


def score(value=1.0, *evidence, repeat=0):
    return Score(metric="pairwise", value=value, evidence=evidence, repeat=repeat)


def only(row, *scores, label=1.0, families=("gpt",)):
    (found,) = read_verdicts([{"outputs": ["abc", "a"], **row}], [scores], [label], families)
    return found


@pytest.mark.parametrize(
    ("systems", "own"),
    [
        (["gpt-4o", "llama-3"], 1),
        (["Llama-3-8B", "GPT-4"], -1),
        (["gpt-4o", "gpt-3.5"], 0),
        (["llama", "claude"], 0),
        (None, 0),
        (["gpt-4o"], 0),
        ([None, "gpt-4o"], -1),
    ],
)
def test_which_answer_is_of_the_judges_family(systems, own):
    assert only({"systems": systems}, score()).own == own


@pytest.mark.parametrize(
    ("evidence", "difference"),
    [({"lengths": [10, 30]}, -20), ({}, 2), ({"lengths": "x"}, 2), ({"lengths": [1, None]}, 2)],
)
def test_lengths_are_the_judges_or_else_counted(evidence, difference):
    assert only({}, score(1.0, evidence)).length_difference == difference
    assert only({"outputs": [{"text": "abc"}, "a"]}, score()).length_difference == 2


@pytest.mark.parametrize(
    ("evidence", "orders"),
    [
        ({"orders": [1, 0]}, (1, 0)),
        ({"orders": [0.75, 0.5]}, (1, 0.5)),
        ({"orders": [1]}, None),
        ({"orders": [True, None]}, None),
        ("text", None),
        ({}, None),
    ],
)
def test_orders_are_sides(evidence, orders):
    assert only({}, score(0.5, evidence)).orders == orders


def test_a_panels_mean_is_the_side_it_leans_to_and_repeats_stand_beside():
    found = only({}, score(0.67), score(0.33), score(0.5))

    assert (found.value, found.again) == (1.0, (0.0, 0.5))


def test_what_was_not_scored_is_no_verdict():
    assert read_verdicts([{"outputs": ["a", "b"]}], [[]], [1.0], ()) == []


def test_members_of_a_panel_are_its_judges():
    panel = score(
        1.0, {"judge": "a, b", "family": "gpt, qwen", "vote": "mean"}, JUDGE, {**JUDGE, "family": "qwen"}
    )

    assert families_of([panel]) == ("gpt", "qwen")
    assert judges_of(score(1.0, JUDGE)) == [("gpt-4o-2024-08-06", "gpt")]
    assert judges_of(score(1.0, {"missing": []})) == judges_of(score(1.0, "text")) == judges_of(score()) == []


def result(case, *models, evidence=JUDGE):
    outputs = tuple(Output(text="", repeat=repeat, model=model) for repeat, model in enumerate(models))
    scores = tuple(score(1.0, evidence, repeat=repeat) for repeat in range(len(models)))
    return CaseResult(case=case, input_hash="", outputs=outputs, scores=scores)


def test_a_judge_of_the_apps_own_family_is_told_once_with_its_count():
    told = warn_of_self_preference([result("a", "gpt-4o-mini", "llama-3"), result("b", "gpt-4o-mini")])

    assert len(told) == 1
    assert (
        "pairwise: the judge gpt-4o-2024-08-06 judged 2 answers of gpt-4o-mini, of its own family (gpt)"
        in told[0]
    )
    assert "llmops calibrate pairwise" in told[0]


@pytest.mark.parametrize(
    "each", [result("a", "llama-3"), result("a", None), result("a", "gpt-4", evidence={})]
)
def test_other_families_and_unknown_ones_are_not_told(each):
    assert warn_of_self_preference([each]) == []


def test_a_hostile_name_is_escaped():
    assert "\x1b" not in warn_of_self_preference([result("a", "gpt-\x1b[31m")])[0]

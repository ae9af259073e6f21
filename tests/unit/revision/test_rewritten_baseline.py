"""What a change took out of a baseline, or made worse in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_llmops.golden import input_hash
from pytest_llmops.records import Case, CaseResult, Failure, Golden, Run, Score
from pytest_llmops.revision.loosening import GateFiles, Loosening, list_loosened
from pytest_llmops.settings import Settings
from tests.unit.gates.golden_records import BASELINE, PATH, case_of, check_of, golden_of, suite_of

CASE = case_of(check_of(">= 0.5"), check_of("<= 2", "latency_s"))


def result_of(
    bleu: list[float] | None = None, *, case: Case = CASE, signature: str = "v1", **fields: Any
) -> CaseResult:
    scores = {"bleu": bleu if bleu is not None else [0.5, 0.5], **fields.pop("scores", {})}
    return CaseResult(
        case=f"{PATH}::{case.id}",
        scores=tuple(
            Score(metric=metric, value=value, repeat=repeat, signature=signature)
            for metric, values in scores.items()
            for repeat, value in enumerate(values)
        ),
        **{"input_hash": input_hash(case), **fields},
    )


def rewritten(
    old: CaseResult, *new: CaseResult, before: Golden | None = None, after: Golden | None = None
) -> list[tuple[str, str, str]]:
    before = before or golden_of(CASE)
    found = list_loosened(
        GateFiles(goldens=[before], baseline=Run(signature={}, results=(old,))),
        GateFiles(goldens=[after or before], baseline=Run(signature={}, results=new)),
        Settings(),
    )
    return [(each.what, each.before, each.after) for each in found if each.place == BASELINE]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([0.5, 0.7], [0.7, 0.5], None),
        ([0.5, 0.7], [0.6, 0.7], None),
        ([0.5, 0.5], [0.5, 0.5, 0.5, 0.6], None),
        ([0.5, 0.5], [0.9, 0.4], None),
        ([0.5, 0.5], [0.5, 0.4], "as worse: missed now, which chance may explain"),
        ([1.0, 0.0], [1.0, 0.0, 0.0], "as worse: missed now, which chance may explain"),
        ([0.5, 0.5], [0.0, 0.0], "as worse: missed now"),
        ([0.5, 0.5], [0.9], "with fewer repeats"),
    ],
)
def test_a_baseline_that_was_recorded_again(old, new, expected):
    again = [what.partition(" recorded again ")[2] for what, *_ in rewritten(result_of(old), result_of(new))]

    assert [what.removesuffix(f": {PATH}::a") for what in again] == ([expected] if expected else [])


@pytest.mark.parametrize(("new", "loosened"), [([1.0], False), ([2.5], True), ([1.5], False), ([0.5], False)])
def test_seconds_are_worse_when_they_are_too_many(new, loosened):
    old, new = (result_of(scores={"latency_s": values}) for values in ([1.0], new))

    assert len(rewritten(old, new)) == loosened


def test_scores_whose_good_side_is_not_known_may_not_move():
    golden = golden_of(case_of(check_of(">= 0.5", "unheard_of")))
    old, same, better = (
        result_of([], scores={"unheard_of": values}) for values in ([0.5, 0.7], [0.7, 0.5], [0.7, 0.9])
    )

    assert rewritten(old, same, before=golden) == []
    assert len(rewritten(old, better, before=golden)) == 1


def test_scores_made_in_another_way():
    again = result_of([0.9, 0.9], signature="v2")

    assert rewritten(result_of(), again) == [
        (
            "bleu in the baseline was recorded again, and scored in another way",
            "0.5 over 2 repeats",
            "0.9 over 2 repeats",
        )
    ]
    assert rewritten(result_of(), result_of(signature="v2")) == []


@pytest.mark.parametrize(
    "new",
    [
        result_of([]),
        result_of(failures=(Failure(metric="bleu", stage="score", error="boom"),)),
        result_of(failures=(Failure(metric="", stage="app", error="boom"),)),
    ],
)
def test_scores_that_a_baseline_lost(new):
    assert [what for what, *_ in rewritten(result_of(), new)] == [
        "bleu in the baseline holds no whole score any longer"
    ]


def test_answers_that_were_steady():
    steady, varying = ("0a", "0a"), ("0a", "1b")
    told = [("the answers in the baseline, once all alike, vary", "", "")]

    assert rewritten(result_of(answers=steady), result_of(answers=varying)) == told
    assert rewritten(result_of(answers=steady), result_of(answers=("1b", "1b"))) == []
    assert rewritten(result_of(answers=varying), result_of(answers=steady)) == []
    assert rewritten(result_of(answers=varying), result_of(answers=varying)) == []


def test_cases_that_a_baseline_lost():
    taken = [("the case was taken out of the baseline", "", "")]
    another = [("the baseline holds the answer to another question", "", "")]

    assert rewritten(result_of()) == taken
    assert rewritten(replace(result_of(), case="golden/other.yaml::a")) == taken
    assert rewritten(result_of(), result_of([1.0, 1.0], input_hash="another")) == another
    assert rewritten(result_of(), result_of(input_hash="")) == []
    assert rewritten(replace(result_of(), input_hash="")) == taken


def test_a_case_that_came_into_the_baseline_is_no_loss():
    assert rewritten(result_of(), result_of(), replace(result_of(), case=f"{PATH}::b")) == []


def test_what_the_golden_file_no_longer_asks_is_told_of_it_alone():
    old = golden_of(CASE)
    edited = replace(CASE, input="Why?")

    assert rewritten(result_of(), before=old, after=golden_of()) == []
    assert rewritten(result_of(), before=golden_of(), after=golden_of()) == []
    assert rewritten(result_of(), before=old, after=golden_of(edited)) == []
    assert rewritten(result_of(), result_of(case=edited), before=old, after=golden_of(edited)) == []
    assert rewritten(result_of(input_hash="older"), result_of([0, 0]), before=old) == []
    assert rewritten(result_of(), result_of([0, 0]), before=old, after=golden_of(case_of())) == []
    assert rewritten(
        result_of(),
        result_of([]),
        before=old,
        after=golden_of(case_of(), suite=(suite_of(">= 0", "bleu"),)),
    )


def test_a_baseline_that_was_removed():
    base = Run(signature={}, results=(result_of(),))
    none = GateFiles(goldens=[golden_of(CASE)])
    some = replace(none, baseline=base)

    assert list_loosened(some, none, Settings()) == (
        Loosening(place=BASELINE, what="the baseline was removed"),
    )
    assert list_loosened(some, none, Settings(accepted="b.json"))[0].place == "b.json"
    assert list_loosened(none, some, Settings()) == list_loosened(some, some, Settings()) == ()

"""A judge is trusted no further than its labels show."""

from __future__ import annotations

import pytest

from pytest_llmops.calibration.record import Calibration, CutAgreement
from pytest_llmops.gates.case_results import digest
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.people import People
from pytest_llmops.golden import input_hash
from pytest_llmops.golden.reviews import Review
from pytest_llmops.records import Case, CaseResult, Check, Golden, Output, Run, Score

SIGNATURE = "judge|v1|gpt"
CHECK = Check(metric="judge", comparison=">=", threshold=4.0, options={"rubric": "support"}, min_kappa=0.6)


def known(low=0.65, threshold=4.0, comparison=">="):
    cut = CutAgreement(comparison=comparison, threshold=threshold, kappa=0.72, interval=(low, 0.8))
    return Calibration(
        metric="judge",
        label="human",
        rows=120,
        unscored=0,
        labels_sha256="0" * 64,
        date="2026-01-31",
        cuts=(cut,),
        agreement={},
    )


def judged(calibrations, *, values=(5.0,), signatures=(SIGNATURE,), check=CHECK, reviews=(), base=False):  # noqa: PLR0913
    case = Case(id="a", input="hi", checks=(check,))
    result = CaseResult(
        case="golden/shop.yaml::a",
        input_hash=input_hash(case),
        outputs=tuple(Output(text="60 days", repeat=at) for at in range(len(values))),
        scores=tuple(
            Score(metric="judge", value=value, repeat=at, signature=signatures[at % len(signatures)])
            for at, value in enumerate(values)
        ),
        checks=(check,),
    )
    golden = Golden(path="golden/shop.yaml", cases=(case,))
    before = Run(signature={}, results=(result,)) if base else None
    people = People(reviews=reviews, calibrations=calibrations)
    (verdict,) = Judge([golden], before, people).judge_case(case, result)
    return verdict


@pytest.mark.parametrize("base", [False, True])
def test_with_labels_above_it_passes(base):
    assert judged({SIGNATURE: known()}, base=base).outcome == "passed"


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize(
    ("calibrations", "advice"),
    [
        (
            {},
            "no labels are recorded; run: llmops calibrate judge LABELS.jsonl --label FIELD --save",
        ),
        ({"judge|v1|other": known()}, "labels were judged otherwise (model, rubric or version)"),
        ({SIGNATURE: known(low=0.59)}, "kappa with people is 0.72, at least 0.59, on 120 labels (human)"),
        ({SIGNATURE: known(threshold=3.0)}, "nothing is recorded for >= 4; run: llmops calibrate"),
        ({SIGNATURE: known(comparison=">")}, "--threshold 4"),
    ],
)
def test_with_fewer_it_is_undecided_and_says_what_to_run(calibrations, advice, base):
    verdict = judged(calibrations, base=base)

    assert verdict.outcome == "undecided"
    assert advice in verdict.advice
    assert """--option 'rubric="support"'""" in verdict.advice


def test_the_lower_end_itself_is_enough():
    assert judged({SIGNATURE: known(low=0.6)}).outcome == "passed"


def test_a_bound_from_the_other_side_asks_the_same():
    check = Check(metric="judge", comparison="<", threshold=6.0, min_kappa=0.6)

    assert judged({SIGNATURE: known(threshold=6.0)}, check=check).outcome == "passed"


def test_a_failed_check_stays_failed():
    assert judged({}, values=(2.0,)).outcome == "failed"


def test_every_score_must_be_of_a_judge_that_agrees():
    found = judged({SIGNATURE: known()}, values=(5.0, 5.0), signatures=(SIGNATURE, "judge|v2"))

    assert found.outcome == "undecided"


def test_a_check_that_asks_for_nothing_needs_no_labels():
    check = Check(metric="judge", comparison=">=", threshold=4.0)

    assert judged({}, check=check).outcome == "passed"


def test_a_person_who_read_the_answer_settles_it():
    review = Review(
        case="golden/shop.yaml::a",
        input_hash=input_hash(Case(id="a", input="hi")),
        answer=digest("60 days"),
        verdict="good",
        who="Ada",
        when="2026-01-31T09:15:00Z",
    )

    assert judged({}, reviews=(review,)).outcome == "passed"

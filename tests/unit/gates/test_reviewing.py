"""What a person is asked, in which order, and what the answers change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.gates.case_results import digest
from pytest_llmops.gates.reviewing import list_questions, settle
from pytest_llmops.golden.reviews import Review
from pytest_llmops.records import OUTCOMES, Case, CaseResult, Check, Output, Run, Score, Source, Verdict

FILE = "golden/shop.yaml"
HASH = "ab" * 32


def result_of(case: str = "a", *texts: str, **scores: list[float]) -> CaseResult:
    """A result with a text a repeat, and for each metric a score a repeat."""
    return CaseResult(
        case=f"{FILE}::{case}",
        input_hash=HASH,
        outputs=tuple(Output(text=text, repeat=repeat) for repeat, text in enumerate(texts)),
        scores=tuple(
            Score(metric=metric, value=value, repeat=repeat)
            for metric, values in scores.items()
            for repeat, value in enumerate(values)
        ),
    )


def case_of(name: str = "a", *metrics: str, tags: tuple[str, ...] = ()) -> Case:
    """A case whose checks want each metric, `latency_s` excepted, at 0.5 or above."""
    checks = tuple(
        Check(metric=metric, comparison="<=" if metric == "latency_s" else ">=", threshold=0.5)
        for metric in metrics
    )
    source = Source(path=FILE, line=7)
    return Case(id=name, input="how?", reference="so", checks=checks, tags=tags, source=source)


def verdict_of(
    outcome: str = "passed", check: str = "semantic >= 0.5", case: str = "a", **more: str
) -> Verdict:
    metric = check.split(maxsplit=1)[0]
    return Verdict(check=check, outcome=outcome, metric=metric, case=f"{FILE}::{case}", **more)  # type: ignore[arg-type]


def review_of(text: str, verdict: str = "good", **more: str) -> Review:
    given = {"case": f"{FILE}::a", "input_hash": HASH, "who": "Ann", "when": "2026-01-31T09:15:00Z", **more}
    return Review(answer=digest(text), verdict=verdict, **given)  # type: ignore[arg-type]


def ask(result: CaseResult, case: Case | None = None, *verdicts: Verdict, reviews: tuple[Review, ...] = ()):
    cases = {} if case is None else {result.case: case}
    return list_questions(Run(signature={}, results=(result,)), {result.case: verdicts}, cases, reviews)


REASONS = {
    "nothing": (case_of("a", "semantic"), [], {"semantic": [1, 1]}, []),
    "undecided": (case_of("a"), [verdict_of("undecided")], {}, ["undecided: semantic >= 0.5"]),
    "undecided without its case": (None, [verdict_of("undecided")], {}, ["undecided: semantic >= 0.5"]),
    "other outcomes": (
        case_of("a"),
        [verdict_of(outcome) for outcome in OUTCOMES if outcome != "undecided"],
        {},
        [],
    ),
    "flaky by the gate": (
        case_of("a"),
        [verdict_of("failed", reason="flaky: 3 of 8")],
        {},
        ["flaky: semantic >= 0.5"],
    ),
    "flaky by its repeats": (
        case_of("a", "semantic"),
        [],
        {"semantic": [0.4, 0.5]},
        ["flaky: semantic >= 0.5 holds in 1 of 2 repeats"],
    ),
    "flaky twice told once": (
        case_of("a", "semantic"),
        [verdict_of("failed", reason="flaky")],
        {"semantic": [0.4, 0.5]},
        ["flaky: semantic >= 0.5 holds in 1 of 2 repeats"],
    ),
    "a judge against the reference": (
        case_of("a", "judge", "exact_match"),
        [],
        {"judge": [1, 1], "exact_match": [0, 0]},
        ["judge and reference disagree: judge holds, exact_match is missed"],
    ),
    "the reference against a judge": (
        case_of("a", "bleu", "faithfulness"),
        [],
        {"faithfulness": [0.1, 0.1], "bleu": [0.9, 0.9]},
        ["judge and reference disagree: bleu holds, faithfulness is missed"],
    ),
    "one of several against the others": (
        case_of("a", "judge", "keywords", "rouge_l"),
        [],
        {"judge": [1, 1], "keywords": [1, 1], "rouge_l": [0, 0]},
        ["judge and reference disagree: judge holds, keywords holds, rouge_l is missed"],
    ),
    "both missed": (case_of("a", "judge", "bleu"), [], {"judge": [0, 0], "bleu": [0, 0]}, []),
    "both held": (case_of("a", "judge", "bleu"), [], {"judge": [1, 1], "bleu": [1, 1]}, []),
    "references among themselves": (
        case_of("a", "keywords", "bleu"),
        [],
        {"keywords": [1, 1], "bleu": [0, 0]},
        [],
    ),
    "a judge that is not checked": (case_of("a", "bleu"), [], {"judge": [1, 1], "bleu": [0, 0]}, []),
    "a judge without a score": (case_of("a", "judge", "bleu"), [], {"bleu": [0, 0]}, []),
    "other metrics": (case_of("a", "judge", "recall@5"), [], {"judge": [1, 1], "recall@5": [0, 0]}, []),
    "tags": (
        case_of("a", tags=("medical", "faq", "compliance")),
        [],
        {},
        ["tagged compliance", "tagged medical"],
    ),
    "time is no answer": (
        case_of("a", "latency_s"),
        [verdict_of("undecided", "latency_s <= 0.5", reason="flaky")],
        {"latency_s": [0.4, 0.6]},
        [],
    ),
    "all at once, by weight": (
        case_of("a", "judge", "bleu", tags=("medical",)),
        [verdict_of("passed", "bleu >= 0.5", reason="flaky"), verdict_of("undecided", "judge >= 0.5")],
        {"judge": [1, 1], "bleu": [0, 0]},
        [
            "undecided: judge >= 0.5",
            "flaky: bleu >= 0.5",
            "judge and reference disagree: judge holds, bleu is missed",
            "tagged medical",
        ],
    ),
}


@pytest.mark.parametrize(("case", "verdicts", "scores", "reasons"), REASONS.values(), ids=REASONS.keys())
def test_reasons(case, verdicts, scores, reasons):
    questions = ask(result_of("a", "same", "same", **scores), case, *verdicts)
    assert [list(question.reasons) for question in questions] == ([reasons] if reasons else [])


def test_a_range_is_held_when_both_its_sides_are():
    sides = (
        Check(metric="judge", comparison=">=", threshold=0.5),
        Check(metric="judge", comparison="<=", threshold=0.7),
        Check(metric="bleu", comparison=">=", threshold=0.5),
    )
    case = replace(case_of(), checks=sides)
    assert not ask(result_of("a", "x", judge=[0.6], bleu=[1]), case)
    for beside in (0.4, 0.8):
        assert ask(result_of("a", "x", judge=[beside], bleu=[1]), case)


def test_a_question_holds_what_a_person_needs():
    result = result_of("a", "one", "two", "one", semantic=[0.1, 0.2, 0.3])
    one, two = ask(result, case_of(tags=("medical",)))
    assert (one.case, one.input_hash, one.answer, one.text) == (result.case, HASH, digest("one"), "one")
    assert (one.input, one.reference, one.source) == ("how?", "so", Source(path=FILE, line=7))
    assert [score.value for score in one.scores] == [0.1, 0.3]
    assert (two.text, [score.value for score in two.scores]) == ("two", [0.2])


def test_of_an_unknown_case_there_is_no_input():
    (question,) = ask(result_of("a", "x"), None, verdict_of("undecided"))
    assert (question.input, question.reference, question.source) == (None, None, None)


def test_only_the_answer_that_divides_them_is_asked():
    result = result_of("a", "bad", "good", "bad", judge=[0, 1, 0], bleu=[1, 1, 1])
    case = case_of("a", "judge", "bleu")
    reasons = {question.text: len(question.reasons) for question in ask(result, case)}
    assert reasons == {"bad": 2, "good": 1}  # both for being flaky


def test_a_case_without_an_answer_is_not_asked():
    assert not ask(result_of("a"), case_of(tags=("medical",)), verdict_of("undecided"))


@pytest.mark.parametrize(
    ("review", "left"),
    [
        (review_of("one"), ["two"]),
        (review_of("one", "bad"), ["two"]),
        (review_of("one", input_hash="other"), ["one", "two"]),
        (review_of("one", case=f"{FILE}::b"), ["one", "two"]),
        (review_of("One"), ["one", "two"]),
    ],
)
def test_reviewed_answers_are_left_out(review, left):
    questions = ask(result_of("a", "one", "two"), case_of(tags=("medical",)), reviews=(review,))
    assert [question.text for question in questions] == left


def test_order_is_by_weight_then_case():
    results = [
        result_of("f", "x"),
        result_of("e", "x", judge=[1], bleu=[0]),
        result_of("d", "x", "y", bleu=[1, 0]),
        result_of("c", "x"),
        result_of("b", "x"),
        result_of("a", "x"),
    ]
    cases = {
        "f": case_of("f"),
        "e": case_of("e", "judge", "bleu"),
        "d": case_of("d", "bleu"),
        "c": case_of("c", tags=("compliance",)),
        "b": case_of("b", tags=("medical",)),
        "a": case_of("a", tags=("compliance",)),
    }
    questions = list_questions(
        Run(signature={}, results=tuple(results)),
        {f"{FILE}::f": [verdict_of("undecided", case="f")]},
        {f"{FILE}::{name}": case for name, case in cases.items()},
        (),
    )
    assert " ".join(question.case[-1] + question.text for question in questions) == "fx dx dy ex ax bx cx"


ALL_GOOD = (review_of("one"), review_of("two"))
ONE_BAD = (review_of("one"), review_of("two", "bad"))


@pytest.mark.parametrize(
    ("reviews", "outcomes"),
    [
        (ALL_GOOD, {"undecided": "passed"}),
        (ONE_BAD, {"undecided": "failed", "passed": "failed"}),
        (ALL_GOOD[:1], {}),
        (ONE_BAD[1:], {"undecided": "failed", "passed": "failed"}),
        ((), {}),
        ((*ONE_BAD, review_of("two")), {"undecided": "passed"}),
        ((*ALL_GOOD, review_of("one", "bad")), {"undecided": "failed", "passed": "failed"}),
        ((*ALL_GOOD, review_of("three", "bad")), {"undecided": "passed"}),
        ((*ALL_GOOD, review_of("one", "bad", input_hash="other")), {"undecided": "passed"}),
        ((*ALL_GOOD, review_of("one", "bad", case=f"{FILE}::b")), {"undecided": "passed"}),
        (tuple(replace(each, input_hash="other") for each in ALL_GOOD), {}),
    ],
)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_reviews_settle(reviews, outcomes, outcome):
    verdict = verdict_of(outcome, advice="8 repeats would tell")
    (settled,) = settle([verdict], result_of("a", "one", "two", "one"), reviews)
    assert settled.outcome == outcomes.get(outcome, outcome)
    if outcome in outcomes:
        assert settled == replace(verdict, outcome=settled.outcome, advice=settled.advice)
    else:
        assert settled == verdict


@pytest.mark.parametrize("reviews", [ALL_GOOD, ONE_BAD])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_leak_and_a_suite_are_never_touched(reviews, outcome):
    untouched = (
        verdict_of(outcome, "pii_leak <= 0"),
        replace(verdict_of(outcome), case=None),
        verdict_of(outcome, case="b"),
    )
    assert settle(untouched, result_of("a", "one", "two"), reviews) == untouched


@pytest.mark.parametrize("check", ["latency_s <= 2", "cost_usd <= 0.1", "tokens < 9"])
def test_nobody_sees_time_or_cost_in_an_answer(check):
    result = result_of("a", "one", "two")
    for outcome in OUTCOMES:
        verdict = verdict_of(outcome, check)
        assert settle([verdict], result, ALL_GOOD) == settle([verdict], result, ONE_BAD) == (verdict,)


def test_advice_names_who_said_it_last():
    reviews = (
        review_of("two", "bad", who="Bo\x1b[31m", when="2026-02-01T00:00:00Z"),
        review_of("one", who="Cy", when="2026-03-01T00:00:00Z"),
    )
    result = result_of("a", "one", "two")
    (settled,) = settle([verdict_of("passed")], result, reviews)
    assert settled.advice == "reviewed bad by Bo\\x1b[31m on 2026-02-01"
    (settled,) = settle([verdict_of("undecided")], result, (*reviews, review_of("two", who="Di")))
    assert settled.advice == "reviewed good by Di on 2026-01-31"


def test_digests_of_a_kept_baseline_count_as_answers():
    result = replace(result_of("a"), answers=(digest("one"), digest("two")))
    assert settle([verdict_of("undecided")], result, ALL_GOOD)[0].outcome == "passed"
    assert settle([verdict_of("undecided")], result, ALL_GOOD[:1])[0].outcome == "undecided"


def test_no_answer_settles_nothing():
    assert settle([verdict_of("undecided")], result_of("a"), ALL_GOOD)[0].outcome == "undecided"

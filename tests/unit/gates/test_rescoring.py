from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_llmops.gates.baseline import rescore, rescore_all
from pytest_llmops.records import Case, CaseResult, Failure, Golden, Output, Passage, Sample, Score
from tests.unit.gates.gate_records import FILE, check_of, metric_of, registered, result_of, suite_check

CASE = Case(id="a", input="How?", reference="sixty", relevant=("p1",), checks=(check_of("words", ">= 0.5"),))
BASE = result_of("a", texts=["60 days", "sixty"], words=[0.1, 0.2], bleu=[30.0, 40.0])


def signed(result: CaseResult, version: str = "words|v2") -> CaseResult:
    return replace(
        result,
        scores=tuple(
            replace(score, signature=version) if score.metric == "words" else score for score in result.scores
        ),
    )


NEW = signed(result_of("a", texts=["thirty"], words=[0.9], bleu=[10.0]))


def words_of(sample: Sample) -> float:
    return float(
        sample.output.text == sample.reference and sample.relevant == ("p1",) and sample.input == "How?"
    )


def values(result: CaseResult, metric: str = "words") -> list[tuple[int, float, str]]:
    return [(score.repeat, score.value, score.signature) for score in result.scores if score.metric == metric]


def test_scores_made_otherwise_are_made_again_from_the_outputs():
    with registered(metric_of("words", ">= 0.5", measure=words_of)):
        rescored = rescore(CASE, BASE, NEW)

    assert values(rescored) == [(0, 0.0, "words|v2"), (1, 1.0, "words|v2")]
    assert values(rescored, "bleu") == values(BASE, "bleu")
    assert rescored.outputs == BASE.outputs


def test_metric_of_the_suite_is_scored_again_with_the_options_of_the_case_first():
    class Longer:
        name, version, needs, range, higher_is_better = "words", 2, frozenset(), (0.0, 99.0), True
        bound = check_of("words", ">= 1")

        def __init__(self, add: int = 0) -> None:
            self.add = add

        def score(self, batch: list[Sample]) -> list[Score]:
            return [Score(metric="other name", value=len(each.output.text) + self.add) for each in batch]

    suite = [replace(suite_check("words"), options={"add": 10}), suite_check("bleu")]
    own = replace(CASE, checks=(replace(check_of("words"), options={"add": 20}),))
    with registered(Longer):
        by_suite = rescore(replace(CASE, checks=()), BASE, NEW, suite)
        by_case = rescore(own, BASE, NEW, suite)

    assert [value for _, value, _ in values(by_suite)] == [17.0, 15.0]
    assert [value for _, value, _ in values(by_case)] == [27.0, 25.0]


def test_repeats_keep_their_numbers():
    base = replace(BASE, outputs=(Output(text="sixty", repeat=3), Output(text="x", repeat=1)))
    with registered(metric_of("words", ">= 0.5", measure=words_of)):
        assert values(rescore(CASE, base, NEW)) == [(3, 1.0, "words|v2"), (1, 0.0, "words|v2")]


def explode(_: Sample) -> float:
    raise KeyError("nothing that anybody foresaw")


def needy(need: str) -> type:
    metric = metric_of("words", ">= 0.5", measure=words_of)
    metric.needs = frozenset({need})  # type: ignore[attr-defined]
    return metric


def failing(results: list[Score | Failure]) -> type:
    metric = metric_of("words", ">= 0.5")
    metric.score = lambda *_: results  # type: ignore[attr-defined]
    return metric


WORDS = metric_of("words", ">= 0.5", measure=words_of)


@pytest.mark.parametrize(
    ("metric", "base", "new"),
    [
        pytest.param(WORDS, replace(BASE, outputs=()), NEW, id="no outputs were kept"),
        pytest.param(WORDS, BASE, signed(NEW, "words|v1"), id="scored alike"),
        pytest.param(WORDS, replace(BASE, input_hash="other"), NEW, id="asked otherwise"),
        pytest.param(WORDS, replace(BASE, scores=()), NEW, id="never scored"),
        pytest.param(needy("spans"), BASE, NEW, id="traces are never kept"),
        pytest.param(metric_of("words", "<= 1", ends=(0, math.inf)), BASE, NEW, id="time is in no answer"),
        pytest.param(metric_of("words", ">= 0.5", measure=explode), BASE, NEW, id="scoring breaks"),
        pytest.param(failing([Score(metric="words", value=1.0)]), BASE, NEW, id="too few scores"),
        pytest.param(
            failing([Score(metric="words", value=1.0), Failure(metric="words", stage="score", error="boom")]),
            BASE,
            NEW,
            id="a score that failed",
        ),
    ],
)
def test_baseline_stays_as_it_is_where_it_cannot_be_scored_again(metric, base, new):
    with registered(metric):
        assert rescore(CASE, base, new) == base


@pytest.mark.parametrize("metric", ["keywords", "nosuch"])
def test_metric_that_cannot_be_made_for_the_case_leaves_it_as_it_is(metric):
    """Keywords need what only cases say; this one does so no longer."""
    base = result_of("a", **{metric: [1.0, 1.0]})

    assert rescore(replace(CASE, checks=()), base, NEW, [suite_check(metric)]) == base


def test_what_a_metric_needs_of_the_output_is_there():
    metric = metric_of("words", ">= 0", measure=lambda sample: float(len(sample.output.passages or ())))
    base = replace(BASE, outputs=(Output(text="x", passages=(Passage(id="p1"),)),))

    with registered(metric):
        assert values(rescore(CASE, base, NEW)) == [(0, 1.0, "words|v2")]


def test_of_a_whole_baseline_the_cases_are_scored_again_that_were_asked_and_are_written():
    """One case was not asked, one is in no golden file, one is new."""
    golden = Golden(path=FILE, cases=tuple(replace(CASE, id=name) for name in ("a", "unasked", "new")))
    named = {
        name: replace(BASE, case=f"{FILE}::{name}", input_hash=f"asks {name}")
        for name in ("a", "unasked", "unwritten")
    }
    base = {result.case: result for result in named.values()}
    results = [
        replace(NEW, case=f"{FILE}::{name}", input_hash=f"asks {name}") for name in ("a", "unwritten", "new")
    ]

    with registered(WORDS):
        again = rescore_all([golden], base, results)

    assert again.keys() == base.keys()
    assert {name: values(again[f"{FILE}::{name}"])[0][2] for name in named} == {
        "a": "words|v2",
        "unasked": "words|v1",
        "unwritten": "words|v1",
    }


def test_no_judge_is_asked_for_a_baseline():
    metric = metric_of("words", ">= 0.5", measure=words_of)
    metric.waits = True
    with registered(metric):
        assert rescore(CASE, BASE, NEW) is BASE

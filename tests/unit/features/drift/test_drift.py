from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations, pairwise, product
from math import log2, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from pytest_llmops.errors import DriftError
from pytest_llmops.features.drift.crossing import similarity
from pytest_llmops.features.drift.finding import find_drift
from pytest_llmops.features.drift.moved import chance_of_moving, compare_retrieval
from pytest_llmops.features.drift.report import drift_document
from pytest_llmops.gates.case_results import digest
from pytest_llmops.records import (
    CaseResult,
    Check,
    Failure,
    ModelCall,
    Output,
    Passage,
    Run,
    Score,
    ToolCall,
)
from tests.unit.features.drift.drift_records import FILE, PROMPT, Conditions, kinds_of, run_under

WAS = Conditions()
PROMPT_SHOWN, MODEL_SHOWN, DATA_SHOWN = {("prompt", True)}, {("model", True)}, {("data", True)}
TOOL_SHOWN, CONCEPT_SHOWN = {("tool output", True)}, {("concept", True)}
UNSTAMPED = {"stamps": ("prompt", "model", "tools")}


@pytest.mark.parametrize(
    ("before", "now", "outcome", "kinds"),
    [
        pytest.param({}, {}, "none", set(), id="nothing"),
        pytest.param({}, {"prompt": "1.1.0"}, "drift", PROMPT_SHOWN, id="prompt"),
        pytest.param({}, {"weights": "b"}, "drift", MODEL_SHOWN, id="model behind the same name and mark"),
        pytest.param(
            {}, {"weights": "b", "fingerprint": "fp_2"}, "drift", MODEL_SHOWN, id="model, by its mark too"
        ),
        pytest.param({}, {"fingerprint": "fp_2"}, "drift", MODEL_SHOWN, id="mark alone, answers held"),
        pytest.param({}, {"reported": "small-2"}, "drift", MODEL_SHOWN, id="reported alone, answers held"),
        pytest.param({}, {"model": "large"}, "drift", MODEL_SHOWN, id="another model asked for"),
        pytest.param({}, {"document": "30 days"}, "drift", DATA_SHOWN, id="document"),
        pytest.param({}, {"documents": ("returns",)}, "drift", DATA_SHOWN, id="document lost"),
        pytest.param(
            UNSTAMPED, {"document": "30 days"} | UNSTAMPED, "drift", DATA_SHOWN, id="document, not stamped"
        ),
        pytest.param({}, {"schema": "s2"}, "drift", DATA_SHOWN, id="tool schema"),
        pytest.param({}, {"order": "lost"}, "drift", TOOL_SHOWN, id="tool output"),
        pytest.param({}, {"reference": "r2"}, "drift", CONCEPT_SHOWN, id="concept: golden file edited"),
        pytest.param({}, {"spoken": "!"}, "open", set(), id="the app's own code"),
        pytest.param({}, {"vectors": "v2"}, "none", set(), id="embeddings moved, the same is retrieved"),
        pytest.param(
            {},
            {"prompt": "1.1.0", "document": "30 days"},
            "open",
            {("prompt", False), ("data", False)},
            id="prompt and data",
        ),
        pytest.param(
            {},
            {"document": "30 days", "order": "lost"},
            "open",
            {("data", False), ("tool output", False)},
            id="data and tool output",
        ),
        pytest.param(
            {},
            {"prompt": "1.1.0", "weights": "b"},
            "drift",
            {("model", True), ("prompt", False)},
            id="prompt and model",
        ),
        pytest.param(
            {},
            {"prompt": "1.1.0", "reported": "small-2", "fingerprint": "fp_2"},
            "drift",
            {("model", True), ("model", False), ("prompt", False)},
            id="prompt and mark",
        ),
        pytest.param(
            {"repeats": 1},
            {"repeats": 1, "weights": "b"},
            "open",
            {("model", False)},
            id="model, asked once a run",
        ),
        pytest.param(
            {"repeats": 1}, {"repeats": 2, "weights": "b"}, "drift", MODEL_SHOWN, id="model, asked again now"
        ),
        pytest.param({"repeats": 1}, {"repeats": 1, "prompt": "2"}, "drift", PROMPT_SHOWN, id="prompt, once"),
        pytest.param({"noise": 9}, {"noise": 9, "seed": 1}, "none", set(), id="varying app"),
        pytest.param(
            {"noise": 10**9, "repeats": 1, "cases": 40},
            {"noise": 10**9, "seed": 1, "repeats": 3, "cases": 40},
            "open",
            set(),
            id="varying app that never says a thing twice",
        ),
        pytest.param(
            {"noise": 2, "repeats": 4},
            {"noise": 2, "repeats": 4, "weights": "b"},
            "drift",
            MODEL_SHOWN,
            id="varying app, model",
        ),
        pytest.param({"seen": False}, {"seen": False}, "none", set(), id="unseen, nothing"),
        pytest.param(
            {"seen": False},
            {"seen": False, "prompt": "2"},
            "drift",
            PROMPT_SHOWN,
            id="unseen, and all else is stamped",
        ),
        pytest.param(
            {"seen": False} | UNSTAMPED,
            {"seen": False, "prompt": "2"} | UNSTAMPED,
            "open",
            {("prompt", False)},
            id="unseen, documents unknown",
        ),
        pytest.param({"seen": False}, {"seen": False, "weights": "b"}, "open", set(), id="unseen, model"),
        pytest.param(
            {"seen": False},
            {"seen": False, "weights": "b", "fingerprint": "fp_2"},
            "drift",
            MODEL_SHOWN,
            id="unseen, model by its mark",
        ),
    ],
)
def test_each_cause(before, now, outcome, kinds):
    drift = find_drift(run_under(Conditions(**before)), run_under(Conditions(**now)))

    assert (drift.outcome, kinds_of(drift)) == (outcome, kinds)


UNIQUE = Conditions(noise=10**9, repeats=3, cases=8)


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize(
    ("now", "candidate"),
    [
        ({}, set()),
        ({"prompt": "2"}, {("prompt", False)}),
        ({"document": "30 days"}, {("data", False)}),
        ({"reported": "small-2", "fingerprint": "fp_2"}, {("model", False)}),
    ],
)
def test_where_every_answer_is_unique_no_cause_is_shown_and_no_run_is_free_of_drift(
    now, candidate, repeats, seen
):
    """Answers that are new each time look the same whether or not something moved."""
    base = run_under(replace(UNIQUE, repeats=repeats, seen=seen))
    new = run_under(replace(UNIQUE, repeats=repeats, seen=seen, seed=1, **now))

    drift = find_drift(base, new)

    assert (drift.outcome, drift.comparable) == ("open", False)
    asked_once = {("model", False)} if seen and repeats == 1 else set()
    assert kinds_of(drift) <= candidate | asked_once
    assert not any(case.shown for case in drift.cases)
    assert drift.advice[0].startswith("Every answer is unique: none comes twice")
    assert drift_document(drift).outcome.startswith("cannot tell: every answer is unique")


def test_one_answer_that_comes_again_is_enough_to_compare_by():
    base, new = run_under(UNIQUE), run_under(replace(UNIQUE, seed=1, prompt="2"))
    steady = _result()

    drift = find_drift(
        replace(base, results=(*base.results, steady)), replace(new, results=(*new.results, steady))
    )

    assert drift.comparable
    assert drift_document(drift).outcome.startswith("no drift (cases: 1 same, 8 varying")


@pytest.mark.parametrize(
    ("now", "evidence"),
    [
        ({"prompt": "1.1.0"}, "prompts/answerer.yaml: answerer 1.0.0 → answerer 1.1.0"),
        ({"fingerprint": "fp_2"}, "small: small-1 fp_1 answered before, small-1 fp_2 answers now"),
        ({"weights": "b"}, "small: 4 of 4 equal requests are answered otherwise, each in one way"),
        ({"document": "30 days"}, "passage returns has another text"),
        ({"documents": ("returns",)}, "knowledge has another digest, and other passages are retrieved"),
        ({"order": "lost"}, "order_status gives another result for the same arguments (order)"),
        ({"schema": "s2"}, "small is given other tool schemas"),
        ({"model": "large"}, "large is asked instead of small"),
        ({"reference": "r2"}, "exact_match of an equal answer fell from 1 to 0; its golden file was edited"),
    ],
)
def test_evidence_says_what_moved_and_in_which_cases(now, evidence):
    drift = find_drift(run_under(WAS), run_under(replace(WAS, **now)))

    assert evidence in drift.causes[0].evidence[0]
    assert drift.notes == ()
    held = now.keys() == {"fingerprint"}
    assert drift.causes[0].cases == (() if held else tuple(f"{FILE}::case-{number}" for number in range(4)))
    assert "60 days" not in str(drift)  # no text of a document or a tool
    assert "lost" not in str(drift)


def test_a_prompt_that_changes_nothing_is_mentioned_and_no_drift():
    base = run_under(WAS)
    edited = base.signature | {PROMPT: "answerer 1.0.0 abc", "data:knowledge": "abc"}

    drift = find_drift(base, replace(base, signature=edited))

    assert (drift.outcome, drift.causes) == ("none", ())
    assert drift.notes == (
        "changed, without effect: prompts/answerer.yaml: answerer 1.0.0 has another text",
        "changed, without effect: knowledge has another digest",
    )


@pytest.mark.parametrize(
    ("before", "now", "notes"),
    [
        ({"prompt:a": "x 1 h"}, {"prompt:a": "x 1 h"}, ()),
        ({"prompt:a": "x 1 h"}, {"prompt:b": "x 1 h"}, ()),
        ({"prompt:a": "x 1 h"}, {"prompt:a": "x 1 h", "prompt:b": "y 1 i"}, ("b was added",)),
        ({"prompt:a": "x 1 h", "prompt:b": "y 1 i"}, {"prompt:a": "x 1 h"}, ("b was removed",)),
        ({"data:a": "1"}, {"data:b": "1"}, ()),
    ],
)
def test_a_part_that_has_another_name_has_not_changed(before, now, notes):
    base, new = (replace(_run(_result()), signature=stamps) for stamps in (before, now))

    assert find_drift(base, new).notes == tuple(f"changed, without effect: {note}" for note in notes)


def test_advice_names_the_run_that_would_tell():
    two = find_drift(run_under(WAS), run_under(replace(WAS, prompt="1.1.0", document="30 days")))
    once = find_drift(run_under(replace(WAS, repeats=1)), run_under(replace(WAS, repeats=1, weights="b")))
    app = find_drift(run_under(WAS), run_under(replace(WAS, spoken="!")))
    both = find_drift(run_under(WAS), run_under(replace(WAS, order="lost", document="30 days")))
    shown = find_drift(run_under(WAS), run_under(replace(WAS, prompt="1.1.0")))

    [old_prompts] = two.advice
    assert old_prompts.startswith(
        "4 cases: prompt or data. Run the old prompts (prompts/answerer.yaml answerer"
    )
    assert "checkout COMMIT_OF_THE_BASE -- prompts/answerer.yaml;" in old_prompts
    assert once.advice[0].startswith("Every answer is unique")
    assert "--canary" in once.advice[1]
    assert app.advice[0].startswith("4 cases: nothing that is seen has moved. The app's code")
    assert {case.hint for case in app.cases} == {"app"}
    assert both.advice[0].startswith("4 cases: data or tool output. Run the base's code today")
    assert shown.advice == ()


def test_a_path_in_advice_is_quoted_for_a_shell():
    path = "prompt:x; rm -rf ~"
    base, new = run_under(WAS), run_under(replace(WAS, document="30 days"))

    drift = find_drift(
        replace(base, signature=base.signature | {path: "a 1 b"}),
        replace(new, signature=new.signature | {path: "a 2 c"}),
    )

    assert " -- 'x; rm -rf ~'; there:" in drift.advice[0]


@pytest.mark.parametrize(("cases", "shown"), [(30, True), (3, False)])
def test_unstamped_documents_are_shown_by_what_is_retrieved(cases, shown):
    """Three cases have eight exchanges, too few for a p-value of 1 %."""
    was = replace(WAS, cases=cases, stamps=("prompt", "model"))

    drift = find_drift(run_under(was), run_under(replace(was, documents=("returns", "repairs"))))

    assert kinds_of(drift) == {("data", shown)}
    assert "other passages come up: Jensen-Shannon distance 0.71" in drift.causes[0].evidence[0]
    assert ("data:" in "".join(drift.advice)) is not shown


def test_other_passages_for_other_questions_are_no_data_drift():
    """A prompt that rewrites the query brings up other passages by itself."""

    def rewritten(result: CaseResult) -> CaseResult:
        outputs = tuple(
            replace(
                output,
                text="new",
                passages=(Passage(id="repairs", text="repairs: none"),),
                model_calls=tuple(replace(call, key=f"{call.key}2") for call in output.model_calls),
            )
            for output in result.outputs
        )
        return replace(result, outputs=outputs)

    base = run_under(replace(WAS, stamps=("prompt",), cases=12))
    new = run_under(replace(WAS, stamps=("prompt",), cases=12, prompt="1.1.0"))

    drift = find_drift(base, replace(new, results=tuple(map(rewritten, new.results))))

    assert kinds_of(drift) == PROMPT_SHOWN


def test_a_tool_that_hands_out_documents_is_data_drift():
    def run(text: str) -> Run:
        call = ToolCall(name="search", arguments={"q": "x"}, result=[{"text": f'Of "{text}"\nonly.'}])
        passage = Passage(id="returns", text=f'Of "{text}"\nonly.')
        return _run(_result(Output(text=text, passages=(passage,), tool_calls=(call,), model_calls=(_CALL,))))

    assert kinds_of(find_drift(run("60 days"), run("30 days"))) == DATA_SHOWN


def test_a_tool_that_varied_before_shows_nothing():
    def run(*results: int) -> Run:
        outputs = [
            Output(
                text=f"{results}",
                repeat=repeat,
                tool_calls=(ToolCall(name="clock", result=result),),
                model_calls=(_CALL,),
            )
            for repeat, result in enumerate(results)
        ]
        return _run(_result(*outputs))

    drift = find_drift(run(1, 2), run(3, 4))

    assert (drift.outcome, kinds_of(drift)) == ("open", {("tool output", False)})
    assert "let them use fixed data" in drift.advice[0]


def test_only_the_model_that_moved_is_a_candidate():
    def run(text: str, prompt: str, mark: str) -> Run:
        call = replace(_CALL, key=text, model="big", reported="big-1")
        other = replace(_CALL, key="k2", reported=mark)
        first, second = (
            _result(Output(text=text, model_calls=(call,))),
            _result(Output(text="same", model_calls=(other,)), case="b"),
        )
        return replace(_run(first, second), signature={PROMPT: f"a {prompt} x"})

    drift = find_drift(run("one", "1", "small-1"), run("two", "2", "small-2"))

    assert kinds_of(drift) == {("model", True), ("prompt", True)}


def test_calls_that_began_in_another_order_are_the_same_calls():
    first, second = _CALL, replace(_CALL, key="other", answer="2")
    base = _run(_result(Output(text="one", model_calls=(first, second))))
    new = _run(_result(Output(text="two", model_calls=(second, first))))

    assert [case.hint for case in find_drift(base, new).cases] == ["app"]


def _way(text: str, *calls: tuple[str, str], repeat: int = 0, **others) -> Output:
    noted = tuple(replace(_CALL, key=key, answer=answer) for key, answer in calls)
    return Output(text=text, repeat=repeat, model_calls=noted, **others)


def test_chances_that_meet_in_another_way_are_no_drift():
    """The base saw A then C, and B then D; A then D is nothing new, whatever is asked behind it."""
    base = _run(
        _result(
            _way("1", ("k1", "A"), ("k2", "C"), ("AC", "x")),
            _way("2", ("k1", "B"), ("k2", "D"), ("BD", "y"), repeat=1),
        )
    )
    new = _run(_result(_way("3", ("k1", "A"), ("k2", "D"), ("AD", "z"))))

    assert [case.change for case in find_drift(base, new).cases] == ["varying"]


def test_only_repeats_that_went_the_same_way_are_looked_at():
    """The base retrieved `b` only after another plan, so that `b` after this plan is another request."""
    stamps = {"data:k": "1"}
    one, two = (Passage(id="a", text="a"),), (Passage(id="b", text="b"),)
    base = _run(
        _result(
            _way("1", ("plan", "A"), ("read a", "x"), passages=one),
            _way("2", ("plan", "B"), ("read b", "y"), passages=two, repeat=1),
        )
    )
    new = _run(_result(_way("3", ("plan", "A"), ("read b", "z"), passages=two)))

    drift = find_drift(replace(base, signature=stamps), replace(new, signature={"data:k": "2"}))

    assert kinds_of(drift) == DATA_SHOWN


def test_an_app_that_varies_with_equal_calls_shows_nothing():
    base = _run(_result(_way("1", ("k", "a")), _way("2", ("k", "a"), repeat=1)))
    new = _run(_result(_way("3", ("k", "a"))))

    assert [case.change for case in find_drift(base, new).cases] == ["varying"]


@pytest.mark.parametrize(
    ("before", "now", "evidence"),
    [
        ({"answer": "v1"}, {"answer": "v2"}, "equal texts are embedded otherwise"),
        ({"reported": "mini-1"}, {"reported": "mini-2"}, "mini: mini-1 answered before, mini-2 answers now"),
    ],
)
def test_embeddings_that_moved_are_data_drift_where_other_passages_come_up(before, now, evidence):
    def run(vectors: dict[str, str], text: str, retrieved: str) -> Run:
        embedded = replace(_CALL, key="q", kind="embeddings", model="mini", reported=None)
        output = _way(text, (text, "x"), passages=(Passage(id=retrieved, text=retrieved),))
        output = replace(output, model_calls=(replace(embedded, **vectors), *output.model_calls))
        return replace(_run(_result(output, replace(output, repeat=1))), signature={"data:k": "1"})

    drift = find_drift(run(before, "one", "a"), run(now, "two", "b"))

    assert kinds_of(drift) == DATA_SHOWN
    assert evidence in drift.causes[0].evidence[0]
    assert drift.causes[0].cases == (f"{FILE}::a",)


def test_a_retriever_that_moved_over_equal_documents_is_the_apps_doing():
    def run(text: str, retrieved: str) -> Run:
        output = _way(text, (text, "x"), passages=(Passage(id=retrieved, text=retrieved),))
        return replace(_run(_result(output)), signature={"data:k": "1"})

    drift = find_drift(run("one", "a"), run("two", "b"))

    assert [case.hint for case in drift.cases] == ["app"]
    assert drift.notes == ()


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        pytest.param("", "", DATA_SHOWN, id="only ids are told: their texts may be what changed"),
        pytest.param("", "told now", set(), id="texts are told only now"),
        pytest.param("same", "same", set(), id="the document that changed was not retrieved"),
    ],
)
def test_passages_and_their_texts(before, now, kinds):
    def run(text: str, passage: str, stamp: str) -> Run:
        output = _way(text, (text, "x"), passages=(Passage(id="a", text=passage),))
        return replace(_run(_result(output, replace(output, repeat=1))), signature={"data:k": stamp})

    assert kinds_of(find_drift(run("one", before, "1"), run("two", now, "2"))) == kinds


def test_an_unseen_app_that_varies_is_never_sure():
    def run(*texts: str, version: int) -> Run:
        outputs = [Output(text=text, repeat=repeat) for repeat, text in enumerate(texts)]
        stamps = {PROMPT: f"a {version} x", "data:k": "1", "model:m": "m fp"}
        return replace(_run(_result(*outputs)), signature=stamps)

    assert kinds_of(find_drift(run("1", "1", version=1), run("2", "2", version=2))) == PROMPT_SHOWN
    assert kinds_of(find_drift(run("1", "2", version=1), run("3", version=2))) == {("prompt", False)}


def test_a_baseline_without_outputs_is_crossed_by_its_stamps():
    run = run_under(WAS)
    baseline = _baseline(run)

    assert find_drift(baseline, run).outcome == "none"
    drift = find_drift(baseline, run_under(replace(WAS, prompt="1.1.0")))
    assert (drift.outcome, kinds_of(drift)) == ("drift", PROMPT_SHOWN)
    drift = find_drift(baseline, run_under(replace(WAS, weights="b")))
    assert drift.outcome == "open"
    assert "not baselines" in drift.advice[-1]


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        ("small-1 fp_1", "small-1 fp_2", MODEL_SHOWN),
        ("small-1", "small-2", MODEL_SHOWN),
        ("small-1", "small-1 fp_2", set()),  # the fingerprint is told only now
        ("small-1 fp_1, small-1 fp_2", "small-1 fp_2", set()),  # one of several that served it before
        ("small-1 fp_1, small-1 fp_2", "small-1 fp_3", MODEL_SHOWN),
        ("-", "small-1", set()),
    ],
)
def test_marks_that_have_something_in_common_have_not_moved(before, now, kinds):
    base, new = (replace(_run(_result()), signature={"model:small": mark}) for mark in (before, now))

    assert kinds_of(find_drift(base, new)) == kinds


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        ({"model:a": "a fp"}, {"model:b": "b fp"}, MODEL_SHOWN),
        (
            {"model:a": "a fp", "data:k": "1"},
            {"model:b": "b fp", "data:k": "2"},
            {("model", False), ("data", False)},
        ),
        ({"model:a": "a"}, {"model:b": "b"}, {("model", False)}),  # a name alone is no fingerprint
    ],
)
def test_an_unseen_app_is_crossed_by_all_of_its_stamps(before, now, kinds):
    rest = {"prompt:p": "p 1 x", "data:k": "1"}
    base = replace(_run(_result(Output(text="one"), Output(text="one", repeat=1))), signature=rest | before)
    new = replace(_run(_result(Output(text="two"))), signature=rest | now)

    assert kinds_of(find_drift(base, new)) == kinds


def test_what_is_not_compared_is_noted():
    unlike = replace(WAS, weights="b", model="large", vectors="v2", seen=False)
    run = run_under(replace(WAS, seen=False))
    first, second, third, *_ = run.results
    broken = replace(third, outputs=(), failures=(Failure(metric="", stage="app", error="boom"),))
    base = replace(run, results=(first, second, third))
    new = replace(run, results=(first, replace(run_under(unlike).results[1], input_hash="other"), broken))

    drift = find_drift(base, new)

    assert drift.outcome == "none"
    assert drift.notes == (
        "1 case without an answer in one of the runs, not compared",
        "1 case only in the base, or with another question now, not compared",
        "1 case only in the new run, or with another question before, not compared",
    )


def test_stamps_of_one_run_alone_are_noted():
    base, new = run_under(replace(WAS, stamps=("model", "tools"))), run_under(WAS)

    assert find_drift(base, new).notes == (
        "only one of the runs is stamped with its data, so that a change of it may go unseen",
        "only one of the runs is stamped with its prompt, so that a change of it may go unseen",
    )


def test_runs_without_an_answered_case_in_common_are_an_error():
    run = run_under(WAS)
    with pytest.raises(DriftError, match="no case was answered in both runs"):
        find_drift(run, replace(run, results=()))


@pytest.mark.parametrize(
    ("answers", "values", "edited", "kinds"),
    [
        pytest.param(("a", "a"), (1.0, 0.0), True, CONCEPT_SHOWN, id="equal answer, golden file edited"),
        pytest.param(("a", "a"), (1.0, 0.0), False, {("concept", False)}, id="equal answer, nothing edited"),
        pytest.param(("a", "a"), (0.0, 1.0), True, set(), id="rose"),
        pytest.param(("a" * 99, "a" * 98), (1.0, 0.0), True, {("concept", False)}, id="alike"),
        pytest.param(("a" * 99, "a" * 98), (1.0, 0.0), False, set(), id="alike, nothing edited"),
        pytest.param(("a", "b"), (1.0, 0.0), True, set(), id="other answer"),
    ],
)
@pytest.mark.parametrize("metric", ["exact_match", "judge", "latency_s"])
def test_concept(answers, values, edited, kinds, metric):
    def run(answer: str, value: float, golden: str) -> Run:
        result = _result(Output(text=answer), scores=(Score(metric=metric, value=value),))
        return replace(_run(result), signature={f"golden:{FILE}": golden})

    base, new = run(answers[0], values[0], "1"), run(answers[1], values[1], "2" if edited else "1")
    found = {(kind, shown) for kind, shown in kinds_of(find_drift(base, new)) if kind == "concept"}

    if metric == "judge":  # a judge may waver
        kinds = {(kind, False) for kind, _ in kinds}
    assert found == (set() if metric == "latency_s" else kinds)


def test_an_edited_reference_is_concept_drift_where_the_question_is_known_to_be_the_same():
    base, new = run_under(WAS), run_under(replace(WAS, reference="r2"))
    new = replace(
        new,
        signature=base.signature,
        results=tuple(replace(result, input_hash="edited") for result in new.results),
    )
    other = replace(
        new, results=tuple(replace(result, outputs=(Output(text="other"),)) for result in new.results)
    )

    for before, after in ((base, new), (_unseen(base), _unseen(new)), (_baseline(base), new)):
        drift = find_drift(before, after)
        assert (kinds_of(drift), drift.notes) == (CONCEPT_SHOWN, ())
    with pytest.raises(DriftError):
        find_drift(base, other)


def test_a_score_made_in_another_way_says_nothing_of_references():
    base = _run(_result(scores=(Score(metric="semantic", value=1.0, signature="v1"),)))
    new = _run(_result(scores=(Score(metric="semantic", value=0.0, signature="v2"),)))

    assert find_drift(base, new).outcome == "none"


def test_answers_drawn_more_often_are_no_concept_drift():
    """Each answer scores as before; only their shares moved."""

    def run(*texts: str) -> Run:
        outputs = [Output(text=text, repeat=repeat) for repeat, text in enumerate(texts)]
        scores = [
            Score(metric="exact_match", value=float(text == "right"), repeat=repeat)
            for repeat, text in enumerate(texts)
        ]
        return replace(
            _run(_result(*outputs, scores=tuple(scores))), signature={f"golden:{FILE}": str(len(set(texts)))}
        )

    assert find_drift(run("right", "right", "wrong"), run("right", "wrong", "wrong")).outcome == "none"


@dataclass(frozen=True)
class Review:
    case: str = f"{FILE}::a"
    input_hash: str = "asks a"
    answer: str = digest("said")
    verdict: str = "good"


@pytest.mark.parametrize(
    ("reviews", "value", "outcome"),
    [
        pytest.param([Review()], 0.0, "drift", id="good, and the check is missed"),
        pytest.param([Review()], 1.0, "none", id="good, and the check holds"),
        pytest.param([Review(verdict="bad")], 0.0, "none", id="bad"),
        pytest.param([Review(), Review(verdict="bad")], 0.0, "none", id="the last word counts"),
        pytest.param([Review(answer=digest("other"))], 0.0, "none", id="of another answer"),
        pytest.param([Review(input_hash="asks b")], 0.0, "none", id="of another question"),
        pytest.param([Review(case="b")], 0.0, "none", id="of another case"),
    ],
)
def test_reviewers_overrule_references(reviews, value, outcome):
    check = Check(metric="exact_match", comparison=">=", threshold=1.0)
    score = Score(metric="exact_match", value=value)
    run = _run(_result(Output(text="said"), scores=(score,), checks=(check,)))

    drift = find_drift(run, run, reviews=reviews)

    assert drift.outcome == outcome
    if outcome == "drift":
        [cause] = drift.causes
        assert cause.evidence == ("a reviewer calls an answer good that misses exact_match >= 1",)


def test_references_that_moved_do_not_explain_another_answer():
    check = Check(metric="exact_match", comparison=">=", threshold=1.0)
    score = Score(metric="exact_match", value=0.0)
    base = _run(_result(Output(text="before", model_calls=(_CALL,))))
    new = _run(_result(Output(text="said", model_calls=(_CALL,)), scores=(score,), checks=(check,)))

    drift = find_drift(base, new, reviews=[Review()])

    assert kinds_of(drift) == CONCEPT_SHOWN
    assert [case.is_open for case in drift.cases] == [True]


def test_similarity_is_of_the_nearest_answer():
    base = _result(Output(text="nothing alike"), Output(text="in 60 days", repeat=1))

    assert similarity(base, _result(Output(text="in 60 days"))) == 1.0
    assert similarity(base, _result(Output(text="in 30 days"))) == pytest.approx(0.9)
    assert similarity(base, _result(outputs=())) == 0.0


counters = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(Counter)


@given(st.lists(st.tuples(counters, counters), min_size=1, max_size=3))
def test_chance_of_moving_is_the_share_of_all_divisions(counts):
    """Every division of every request's answers, counted one by one."""
    divisions = []
    for before, after in counts:
        answers = list((before + after).elements())
        apart = []
        for chosen in combinations(range(len(answers)), before.total()):
            left = {answers[index] for index in chosen}
            right = {answers[index] for index in range(len(answers)) if index not in chosen}
            apart.append(not left & right)
        divisions.append(apart)
    observed = sum(not before.keys() & after.keys() for before, after in counts)
    as_many = [sum(each) >= observed for each in product(*divisions)]

    assert chance_of_moving(counts) == pytest.approx(sum(as_many) / len(as_many))


shares = st.lists(st.lists(st.sampled_from("abc"), max_size=2), min_size=1, max_size=3)


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=4))
def test_retrieval_is_tested_over_all_exchanges(cases):
    """Every exchange of the runs, case by case, with the distance by its definition."""

    def retrieved(*repeats: list[str]) -> CaseResult:
        told = [Output(text="", passages=tuple(Passage(id=name) for name in names)) for names in repeats]
        return _result(outputs=tuple(told))

    def count(side: list[list[list[str]]]) -> Counter[str]:
        found: Counter[str] = Counter()
        for repeats in side:
            for names in repeats:
                for name in set(names) or {"none"}:
                    found[name] += 1 / len(repeats)
        return found

    def distance(one: Counter[str], other: Counter[str]) -> float:
        total = 0.0
        for name in one | other:
            p, q = one[name] / one.total(), other[name] / other.total()
            total += sum(each * log2(2 * each / (p + q)) / 2 for each in (p, q) if each)
        return sqrt(max(total, 0.0))

    clue = compare_retrieval([(retrieved(*one), retrieved(*other)) for one, other in cases])
    observed = distance(count([one for one, _ in cases]), count([other for _, other in cases]))
    exchanged = [
        distance(
            count([pair[swap] for pair, swap in zip(cases, swaps, strict=True)]),
            count([pair[1 - swap] for pair, swap in zip(cases, swaps, strict=True)]),
        )
        for swaps in product((0, 1), repeat=len(cases))
    ]
    p_value = sum(each >= observed - 1e-9 for each in exchanged) / len(exchanged)

    if clue is None:
        assert observed == pytest.approx(0, abs=1e-6)
    else:
        assert clue.evidence.startswith(f"other passages come up: Jensen-Shannon distance {observed:.2f}")
        assert f"p = {p_value:.2g}, {len(cases)} cases" in clue.evidence


def test_cases_that_embedded_another_text_are_no_part_of_the_test_of_retrieval():
    def retrieved(name: str, question: str) -> CaseResult:
        embedded = ModelCall(key=question, kind="embeddings")
        return _result(Output(text="", passages=(Passage(id=name),), model_calls=(embedded,)))

    assert compare_retrieval([(retrieved("a", "q1"), retrieved("b", "q2"))]) is None
    assert compare_retrieval([(retrieved("a", "q1"), retrieved("b", "q1"))]) is not None


def test_chance_of_moving_of_one_request_is_hypergeometric():
    counts = [(Counter(a=5), Counter(b=4))]

    assert chance_of_moving(counts) == pytest.approx(hypergeom.pmf(5, 9, 5, 5))


def test_a_varying_model_that_did_not_move_is_hardly_ever_named():
    """1 % is what the test may say by chance; 100 draws of 30 cases."""
    base = [run_under(replace(WAS, noise=3, repeats=3, cases=30, seed=seed)) for seed in range(101)]

    named = [find_drift(before, after).outcome for before, after in pairwise(base)]

    assert named.count("none") >= 97


texts = st.sampled_from(["a", "b", "c", ""])
calls = st.builds(
    ModelCall,
    key=texts,
    kind=st.sampled_from(["chat", "embeddings"]),
    model=st.sampled_from(["m", "n", None]),
    reported=st.sampled_from(["m1", "m2", None]),
    fingerprint=st.sampled_from(["f", "g", None]),
    tools=texts,
    answer=texts,
)
outputs = st.builds(
    Output,
    text=texts,
    repeat=st.integers(0, 2),
    passages=st.none() | st.lists(st.builds(Passage, id=texts, text=texts), max_size=2).map(tuple),
    tool_calls=st.lists(st.builds(ToolCall, name=texts, result=texts), max_size=2).map(tuple),
    model_calls=st.lists(calls, max_size=3).map(tuple),
)
scores = st.builds(
    Score, metric=st.sampled_from(["exact_match", "judge"]), value=st.floats(0, 1), repeat=st.integers(0, 2)
)
results = st.builds(
    CaseResult,
    case=st.sampled_from([f"{FILE}::{name}" for name in "abcdef"]),
    input_hash=st.just("x"),
    outputs=st.lists(outputs, min_size=1, max_size=3, unique_by=lambda each: each.repeat).map(tuple),
    scores=st.lists(scores, max_size=3).map(tuple),
)
stamps = st.dictionaries(
    st.sampled_from([PROMPT, "data:k", "model:m", "tools:m", f"golden:{FILE}"]),
    st.sampled_from(["a 1 x", "a 2"]),
)
runs = st.builds(
    Run,
    signature=stamps,
    results=st.lists(results, min_size=1, max_size=5, unique_by=lambda each: each.case).map(tuple),
)


@given(runs)
def test_a_run_has_not_drifted_from_itself(run):
    drift = find_drift(run, run)

    assert (drift.outcome, drift.causes, drift.advice, drift.notes) == ("none", (), (), ())


@given(runs, runs, st.randoms())
def test_the_order_of_cases_does_not_matter(base, new, random):
    new = replace(new, results=(*new.results, replace(base.results[0], scores=())))
    new = replace(new, results=tuple({result.case: result for result in new.results}.values()))
    shuffled = [list(run.results) for run in (base, new)]
    for each in shuffled:
        random.shuffle(each)

    again = [replace(run, results=tuple(each)) for run, each in zip((base, new), shuffled, strict=True)]

    assert find_drift(*again) == find_drift(base, new)


def _baseline(run: Run) -> Run:
    """The run as a baseline keeps it: without outputs."""
    kept = [
        replace(result, outputs=(), answers=tuple(digest(output.text) for output in result.outputs))
        for result in run.results
    ]
    return replace(run, results=tuple(kept))


def _unseen(run: Run) -> Run:
    """The run of an app whose calls to models are not seen."""
    results = [
        replace(result, outputs=tuple(replace(output, model_calls=()) for output in result.outputs))
        for result in run.results
    ]
    return replace(run, results=tuple(results))


_CALL = ModelCall(key="k", model="small", reported="small-1", answer="1")


def _result(*given: Output, case: str = "a", **others) -> CaseResult:
    others.setdefault("outputs", given or (Output(text="said"),))
    return CaseResult(case=f"{FILE}::{case}", input_hash=f"asks {case}", **others)


def _run(*results: CaseResult) -> Run:
    return Run(signature={}, results=results)

"""Golden files of a change, with cases of its target and checks of its merge base."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.records import Case, CaseResult, Check, Failure, Golden, Run, Score
from pytest_llmops.registry import create_metric, find_traits, forget_metrics, register_metric
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.revision.merging import ask_as_before, leave_out_old_checks, merge_target
from tests.unit.gates.gate_records import FILE, check_of, suite_check


def golden_of(*checks: Check) -> Golden:
    return Golden(path=FILE, cases=(Case(id="a", input="How?", checks=checks),))


def keywords(*words: str) -> Check:
    return replace(check_of("keywords", ">= 1"), options={"all": list(words)})


@pytest.mark.parametrize(
    ("ours", "theirs", "asked"),
    [
        pytest.param(
            [keywords("30 days")],
            [keywords("60 days", "receipt")],
            [keywords("60 days", "receipt")],
            id="unlike options of one metric: the target's alone",
        ),
        pytest.param(
            [check_of("bleu", ">= 20"), keywords("60 days")],
            [check_of("rouge_l", ">= 0.5"), keywords("60 days")],
            [check_of("bleu", ">= 20"), keywords("60 days"), check_of("rouge_l", ">= 0.5")],
            id="checks of both",
        ),
        pytest.param(
            [replace(keywords("60 days"), pass_rate=None), check_of("bleu", ">= 30")],
            [keywords("60 days"), check_of("bleu", ">= 20")],
            [keywords("60 days"), check_of("bleu", ">= 30")],
            id="the stricter one stands",
        ),
    ],
)
def test_checks_of_a_case_that_both_sides_changed(ours, theirs, asked):
    base = golden_of(check_of("bleu", ">= 10"))

    merged, _ = merge_target([base], [golden_of(*ours)], [golden_of(*theirs)], run=[FILE])

    assert list(merged[0].cases[0].checks) == asked


def as_before(metric: str) -> str:
    return f"{metric} (merge base)"


def edit_of(metric: str, path: str = FILE) -> Loosening:
    return Loosening(place=f"{path}:1", case=f"{path}::a", what="options changed", metric=metric)


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    forget_metrics([as_before(metric) for metric in ("keywords", "pii_leak", "bleu", "recall@5", "gone")])


@pytest.mark.parametrize(("signature", "keeps"), [("keywords|v1", True), ("keywords|v1|allow:[]", False)])
def test_an_edited_check_is_not_compared_with_scores_of_other_options(signature, keeps):
    """Else the baseline of the merge base would make each edit of such options an error."""
    case = Case(id="a", input="", checks=(keywords("x"),))
    old = Golden(path=FILE, cases=(case,))
    score = Score(metric="keywords", value=1.0, signature=signature)
    base = Run(signature={}, results=(CaseResult(case=f"{FILE}::a", input_hash="", scores=(score,)),))

    _, after, _ = ask_as_before([old], [old], base, [edit_of("keywords")])

    lent = replace(score, metric=as_before("keywords"))
    assert after is not None
    assert after.results[0].scores == ((score, lent) if keeps else (lent,))


def test_old_checks_of_an_edited_metric_are_added_under_another_name():
    """All of the file: its suite, and the cases that were not edited."""
    suite = (suite_check("keywords", bound=">= 0.5"), suite_check("bleu"))
    cases = (
        Case(id="a", input="", checks=(keywords("x"), check_of("bleu"))),
        Case(id="b", input="", checks=(keywords("y"),)),
    )
    old = Golden(path=FILE, cases=cases, suite=suite)
    new = replace(
        old, cases=(replace(cases[0], checks=(keywords("z"),)), *cases[1:], Case(id="new", input=""))
    )
    scores = tuple(Score(metric=metric, value=1.0, signature="s") for metric in ("keywords", "bleu"))
    elsewhere = CaseResult(case="other.yaml::a", input_hash="", scores=scores)
    base = Run(signature={}, results=(CaseResult(case=f"{FILE}::a", input_hash="", scores=scores), elsewhere))

    (golden,), after, asked = ask_as_before([new], [old], base, [edit_of("keywords")])

    assert asked == [edit_of("keywords")]
    assert [case.checks for case in golden.cases] == [
        (keywords("z"), replace(keywords("x"), metric=as_before("keywords"))),
        (keywords("y"), replace(keywords("y"), metric=as_before("keywords"))),
        (),
    ]
    assert golden.suite == (*suite, replace(suite[0], metric=as_before("keywords")))
    assert after is not None
    assert after.results == (
        replace(base.results[0], scores=(*scores, replace(scores[0], metric=as_before("keywords")))),
        elsewhere,
    )
    assert create_metric(as_before("keywords"), {"all": ["x"]}) == create_metric("keywords", {"all": ["x"]})


@pytest.mark.parametrize(
    ("old", "edit"),
    [
        pytest.param(check_of("bleu"), edit_of("bleu", "golden/elsewhere.yaml"), id="a file that is not run"),
        pytest.param(check_of("recall@5"), edit_of("recall@5"), id="a name that sets an option"),
        pytest.param(check_of("gone"), edit_of("gone"), id="no such metric"),
        pytest.param(replace(check_of("bleu"), options={"gone": 1}), edit_of("bleu"), id="no such option"),
    ],
)
def test_what_cannot_be_asked_is_left_as_loosened(old, edit):
    file = golden_of(old)
    elsewhere = replace(file, path="golden/elsewhere.yaml")

    assert ask_as_before([file], [file, elsewhere], None, [edit]) == ((file,), None, [])


def test_a_suite_whose_metric_reads_the_edited_checks_cannot_be_asked_as_before():
    old = replace(golden_of(check_of("bleu")), suite=(suite_check("utility"),))

    assert ask_as_before([old], [old], None, [edit_of("bleu")]) == ((old,), None, [])


def test_a_metric_of_the_project_cannot_pass_for_the_old_one():
    """Of that name, it would score the old checks."""
    register_metric(as_before("bleu"), lambda: None)  # type: ignore[arg-type, return-value]

    assert (
        ask_as_before([golden_of(check_of("bleu"))], [golden_of(check_of("bleu"))], None, [edit_of("bleu")])[
            2
        ]
        == []
    )


def test_a_leak_check_stays_one_under_the_other_name():
    """It masks what it finds, and looks at passages as its file has it."""
    old = replace(golden_of(check_of("pii_leak", "<= 0")), passages="own_knowledge")

    (golden,), _, _ = ask_as_before([old], [old], None, [edit_of("pii_leak")])

    assert find_traits(as_before("pii_leak")).masks
    assert golden.cases[0].checks[1].options == {"passages": "own_knowledge"}


def test_old_checks_are_left_out_of_a_run():
    name = as_before("bleu")
    rival = CaseResult(case="a", input_hash="", scores=(Score(metric=name, value=1.0),))
    own = CaseResult(
        case="a", input_hash="", scores=(Score(metric="bleu", value=1.0),), checks=(check_of("bleu"),)
    )
    run = Run(
        signature={"metric:bleu": "1"},
        results=(replace(own, rival=replace(rival, scores=())),),
        suite={FILE: (suite_check("bleu"),)},
    )
    with_old = Run(
        signature={**run.signature, f"metric:{name}": "1"},
        results=(
            replace(
                own,
                scores=(*own.scores, *rival.scores),
                checks=(*own.checks, check_of(name)),
                failures=(Failure(metric=name, stage="score", error="boom"),),
                rival=rival,
            ),
        ),
        suite={FILE: (suite_check("bleu"), suite_check(name))},
    )

    assert leave_out_old_checks(with_old) == leave_out_old_checks(run) == run

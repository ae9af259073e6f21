from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import AcceptanceError
from pytest_llmops.gates.baseline import Acceptance, AcceptOptions, accept, find_flaw, make_entry
from pytest_llmops.gates.case_results import digest
from pytest_llmops.records import ANCHORS, CaseResult, Check, Failure, Run, Score
from tests.unit.gates.gate_records import FILE, result_of

SIGNATURE = {f"golden:{FILE}": "ab", "pytest-llmops": "0.1"}
BROKE = Failure(metric="", stage="app", error="no network", repeat=1)


def run_of(*results: CaseResult, **signature: str) -> Run:
    return Run(signature={**SIGNATURE, **signature}, results=results)


def ids(*cases: str) -> tuple[str, ...]:
    return tuple(f"{FILE}::{case}" for case in cases)


def take(baseline: Run | None, run: Run, *, replace: bool = False, prune: bool = False) -> Acceptance:
    return accept(baseline, run, AcceptOptions(replace=replace, prune=prune))


def scores_of(baseline: Run, case: str) -> list[float]:
    return [
        score.value
        for result in baseline.results
        if result.case == f"{FILE}::{case}"
        for score in result.scores
    ]


def test_first_run_becomes_the_baseline():
    result = result_of("a", texts=["x", "y"], bleu=[0.5, 0.7])
    told = replace(
        result, scores=tuple(replace(score, reason="why", evidence=(1,)) for score in result.scores)
    )

    acceptance = take(None, run_of(told, partial="1 of 9 cases"))

    assert (acceptance.added, acceptance.changed) == (ids("a"), True)
    assert acceptance.baseline == Run(
        signature=SIGNATURE,
        results=(
            CaseResult(
                case=f"{FILE}::a",
                input_hash="asks a",
                scores=result.scores,
                answers=(digest("x"), digest("y")),
            ),
        ),
    )


def test_stamps_of_a_run_come_with_answers_that_are_as_they_were():
    stamps = {"stamped": "code", "code:shop.py": "1"}
    result = result_of("a", bleu=0.5)
    old = take(None, run_of(result)).baseline

    assert take(old, run_of(result, **stamps), replace=True).baseline.signature == {**SIGNATURE, **stamps}


def test_stamps_of_golden_files_that_a_run_left_out_stay():
    whole = run_of(
        result_of("a", bleu=0.5), result_of("b", bleu=0.5), **{"data:orders": "1", "data:shop": "1"}
    )
    part = run_of(result_of("b", bleu=0.6), **{"data:shop": "2"})

    acceptance = take(take(None, whole).baseline, part, replace=True)

    assert acceptance.baseline.signature == {**SIGNATURE, "data:orders": "1", "data:shop": "2"}


def test_only_new_cases_are_taken_unless_all_are_to_be_replaced():
    old = take(None, run_of(result_of("a", bleu=0.5), result_of("b", bleu=0.5))).baseline
    run = run_of(result_of("b", bleu=0.1), result_of("c", bleu=0.9), app="new")

    some, whole = take(old, run), take(old, run, replace=True)

    assert (some.added, some.replaced, some.kept, some.unused) == (ids("c"), (), ids("b"), ids("a"))
    assert (whole.added, whole.replaced, whole.kept, whole.unused) == (ids("c"), ids("b"), (), ids("a"))
    assert scores_of(some.baseline, "b") == [0.5]
    assert scores_of(whole.baseline, "b") == [0.1]
    assert [result.case for result in some.baseline.results] == list(ids("a", "b", "c"))
    assert some.baseline.signature == whole.baseline.signature == {**SIGNATURE, "app": "new"}


def test_nothing_new_leaves_all_as_it_was():
    old = take(None, run_of(result_of("a", bleu=0.5))).baseline

    acceptance = take(old, run_of(result_of("a", bleu=0.1), app="new"))

    assert acceptance.baseline == old
    assert not acceptance.changed


def test_all_of_an_equal_run_keeps_the_cases_and_takes_its_signature():
    old = take(None, run_of(result_of("a", bleu=0.5))).baseline

    acceptance = take(old, run_of(result_of("a", bleu=0.5), app="new"), replace=True)

    assert (acceptance.kept, acceptance.replaced, acceptance.changed) == (ids("a"), (), True)
    assert acceptance.baseline == replace(old, signature={**SIGNATURE, "app": "new"})


def test_edited_case_is_taken_without_being_asked():
    old = take(None, run_of(result_of("a", bleu=0.5), result_of("b", bleu=0.5))).baseline
    edited = replace(result_of("a", bleu=0.1), input_hash="asks otherwise")

    acceptance = take(old, run_of(edited, replace(result_of("b", bleu=0.1), input_hash="")))

    assert (acceptance.edited, acceptance.added, acceptance.kept) == (ids("a"), (), ids("b"))
    assert scores_of(acceptance.baseline, "a") == [0.1]
    assert scores_of(acceptance.baseline, "b") == [0.5]


def test_case_with_a_metric_that_the_baseline_lacks_or_made_otherwise_is_stale():
    old = take(None, run_of(*(result_of(case, bleu=0.5, chrf=0.5) for case in "abc"))).baseline
    remade = result_of("b", bleu=0.5)
    run = run_of(
        result_of("a", bleu=0.5, rouge_l=0.5),
        replace(remade, scores=(replace(remade.scores[0], signature="bleu|v2"),)),
        result_of("c", bleu=0.6),
    )

    acceptance = take(old, run)

    assert (acceptance.stale, acceptance.kept, acceptance.changed) == (
        ids("a", "b"),
        ids("a", "b", "c"),
        False,
    )
    assert acceptance.baseline == old
    assert take(old, run, replace=True).stale == ()


@pytest.mark.parametrize(
    ("signature", "gone"),
    [({}, ids("old")), ({"partial": "1 of 2 cases"}, ()), ({"golden:golden/empty.yaml": "cd"}, ids("old"))],
)
def test_only_what_a_whole_golden_file_lacks_is_pruned(signature, gone):
    other = replace(result_of("x", bleu=0.5), case="golden/other.yaml::x")
    old = take(None, run_of(result_of("a", bleu=0.5), result_of("old", bleu=0.5), other)).baseline
    run = run_of(result_of("a", bleu=0.5), **signature)

    looked, pruned = take(old, run), take(old, run, prune=True)

    assert (looked.unused, looked.pruned, looked.changed) == (gone, (), False)
    assert (pruned.unused, pruned.pruned, pruned.changed) == ((), gone, bool(gone))
    left = {result.case for result in pruned.baseline.results}
    assert left == {*ids("a", "old"), other.case} - set(gone)
    assert pruned.baseline.signature == old.signature


def test_file_of_a_run_is_known_by_its_signature_or_its_cases():
    """A run file that another tool wrote may have no signature; a file may have lost its last case."""
    emptied = replace(result_of("x", bleu=0.5), case="golden/empty.yaml::x")
    old = take(None, run_of(result_of("a", bleu=0.5), result_of("b", bleu=0.5), emptied)).baseline

    unsigned = replace(run_of(result_of("a", bleu=0.5)), signature={})
    signed = run_of(result_of("a", bleu=0.5), **{"golden:golden/empty.yaml": "cd"})

    assert take(old, unsigned).unused == ids("b")
    assert take(old, signed).unused == (emptied.case, *ids("b"))


TWO = result_of("a", texts=["x", "y"], bleu=[0.5, 0.7])
FLAWS = [
    (replace(TWO, failures=(BROKE,)), "repeat 1: the app: no network"),
    (
        replace(TWO, failures=(Failure(metric="semantic", stage="score", error="no weights"),)),
        "repeat 0: semantic: no weights",
    ),
    (replace(TWO, outputs=()), "the app gave no output"),
    (replace(TWO, outputs=TWO.outputs[1:]), "the repeats of the outputs are not counted from 0"),
    (replace(TWO, outputs=TWO.outputs * 2), "the repeats of the outputs are not counted from 0"),
    (replace(TWO, scores=TWO.scores[:1]), "bleu gave no score in repeat 1"),
    (
        replace(TWO, checks=(Check(metric="chrf", comparison=">=", threshold=0.5),)),
        "chrf gave no score in repeat 0",
    ),
    (replace(TWO, scores=(*TWO.scores, TWO.scores[0])), "bleu gave 3 scores for 2 repeats"),
    (replace(TWO, scores=(*TWO.scores, Score(metric="bleu", value=1, repeat=2))), "bleu gave 3 scores for 2"),
    (
        replace(TWO, scores=(TWO.scores[0], replace(TWO.scores[1], value=math.nan))),
        "bleu gave nan, which is no finite number",
    ),
    (replace(TWO, scores=(TWO.scores[0], replace(TWO.scores[1], value=1e200))), "bleu gave 1e+200"),
    (
        replace(TWO, scores=(TWO.scores[0], replace(TWO.scores[1], signature="bleu|v2"))),
        "bleu made its scores in several ways: bleu|v1 and bleu|v2",
    ),
]


@pytest.mark.parametrize(("result", "reason"), FLAWS, ids=[reason for _, reason in FLAWS])
@pytest.mark.parametrize("replaces", [False, True])
def test_flawed_result_is_refused_and_its_old_entry_stays(result, reason, replaces):
    old = take(None, run_of(result_of("a", bleu=0.2))).baseline
    result = replace(result, input_hash="asks otherwise")

    acceptance = take(old, run_of(result, result_of("b", bleu=0.5)), replace=replaces, prune=True)

    ((case, told),) = acceptance.refused
    assert (case, acceptance.added, acceptance.kept) == (f"{FILE}::a", ids("b"), ids("a"))
    assert told.startswith(reason)
    assert scores_of(acceptance.baseline, "a") == [0.2]


def test_result_without_flaw_may_have_no_check_at_all():
    assert find_flaw(TWO) == ""
    assert find_flaw(replace(TWO, scores=())) == ""
    assert find_flaw(make_entry(TWO)) == ""


def test_run_with_nothing_to_accept_is_an_error():
    flawed = replace(TWO, failures=(replace(BROKE, error="\x1b[2J"),))
    with pytest.raises(AcceptanceError, match="the run has no result"):
        take(None, run_of())
    with pytest.raises(AcceptanceError, match="nothing in the run was scored"):
        take(None, run_of(replace(TWO, scores=())))
    with pytest.raises(AcceptanceError) as caught:
        take(None, run_of(*(replace(flawed, case=f"{FILE}::{index}") for index in range(7))))
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  {FILE}::0: repeat 1: the app: \\x1b[2J"
    assert lines[-1] == "  and 2 more"
    assert len(lines) == 7


readings = st.builds(
    lambda case, value, metric, asks, broken: replace(
        result_of(case, **{metric: value}),
        input_hash=asks,
        failures=(BROKE,) if broken else (),
    ),
    st.sampled_from("abcdef"),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from(["bleu", "chrf"]),
    st.sampled_from(["one", "two"]),
    st.integers(0, 4).map(lambda number: number == 0),
)
runs = st.builds(
    lambda results, partial: run_of(*results, **({"partial": "some"} if partial else {})),
    st.lists(readings, min_size=1, max_size=6, unique_by=lambda each: each.case),
    st.booleans(),
)


@given(first=runs, second=runs, replaces=st.booleans(), prune=st.booleans())
def test_each_case_is_counted_once_and_accepting_again_changes_nothing(first, second, replaces, prune):
    try:
        old = take(None, first).baseline
        acceptance = take(old, second, replace=replaces, prune=prune)
    except AcceptanceError:
        return

    again = take(acceptance.baseline, second, replace=replaces, prune=prune)

    assert not again.changed
    assert again.baseline == acceptance.baseline
    groups = (acceptance.added, acceptance.replaced, acceptance.edited, acceptance.kept, acceptance.unused)
    cases = [case for group in groups for case in group]
    assert sorted(cases) == [result.case for result in acceptance.baseline.results]
    assert set(acceptance.stale) <= set(acceptance.kept)
    assert sorted([*cases, *acceptance.pruned]) == sorted(
        {result.case for result in old.results} | (set(acceptance.added))
    )
    assert replaces or not acceptance.replaced
    assert not (replaces and acceptance.stale)


def day(*texts: str, bleu: float = 0.5) -> Run:
    return run_of(result_of("a", texts=list(texts), bleu=[bleu] * len(texts)))


def merge(baseline: Run, run: Run) -> Run:
    return accept(baseline, run, AcceptOptions(merge=True)).baseline


def test_a_further_day_is_added_to_the_repeats_of_the_first():
    merged = merge(merge(take(None, day("x", "y")).baseline, day("y", "z", "z", bleu=0.7)), day("y", "x"))

    (entry,) = merged.results
    assert entry.runs == (2, 3, 2)
    assert entry.answers == tuple(map(digest, "xyyzzyx"))
    assert scores_of(merged, "a") == [0.5, 0.5, 0.7, 0.7, 0.7, 0.5, 0.5]
    assert [score.repeat for score in entry.scores] == list(range(7))


@pytest.mark.parametrize("again", [("x", "y"), ("y", "z", "z")])
def test_a_run_is_merged_once(again):
    merged = merge(take(None, day("x", "y")).baseline, day("y", "z", "z"))

    with pytest.raises(AcceptanceError, match="holds this run already"):
        merge(merged, day(*again))


def test_days_of_an_app_that_does_not_vary_are_alike():
    assert merge(take(None, day("x", "x")).baseline, day("x", "x")).results[0].runs == (2, 2)


def test_scores_made_otherwise_are_not_merged():
    other = day("x", "z")
    (result,) = other.results
    other = replace(
        other, results=(replace(result, scores=(replace(result.scores[0], signature="v2"),) * 2),)
    )

    with pytest.raises(AcceptanceError):
        merge(take(None, day("x", "y")).baseline, other)


def anchor(file: str, value: float, name: str = "1") -> CaseResult:
    return replace(result_of(f"{file} {name}", bleu=value), case=f"{file}{ANCHORS}::{name}")


def asked(file: str, case: str) -> CaseResult:
    return replace(result_of(case, bleu=1.0), case=f"{file}::{case}")


def anchors_of(acceptance: Acceptance) -> dict[str, float]:
    return {each.case.replace(ANCHORS, ""): each.scores[0].value for each in acceptance.baseline.anchors}


def test_anchors_go_with_a_golden_file_and_not_with_one_of_its_cases():
    base = Run(
        signature={},
        results=(asked("a", "x"), asked("a", "y"), asked("b", "z")),
        anchors=(anchor("a", 0.5), anchor("b", 0.9)),
    )
    one = replace(base, results=(asked("a", "y"), asked("b", "x"), asked("b", "z")))
    judged_anew = replace(one, anchors=(anchor("a", 0.8), anchor("b", 0.9)))

    acceptance = accept(base, judged_anew)

    assert acceptance.renamed == {"a::x": "b::x"}
    assert anchors_of(acceptance) == {"a::1": 0.5, "b::1": 0.9}

    edited = replace(asked("c", "y"), input_hash="other")
    whole = replace(base, results=(asked("b", "z"), asked("c", "x"), edited), anchors=())
    acceptance = accept(base, whole, AcceptOptions(gone=frozenset({"a"})))
    assert (acceptance.renamed, acceptance.edited) == ({"a::x": "c::x"}, ("c::y",))
    assert anchors_of(acceptance) == {"b::1": 0.9, "c::1": 0.5}

    swapped = replace(asked("c", "x"), case="c::y")
    acceptance = accept(base, replace(whole, results=(swapped,)), AcceptOptions(gone=frozenset({"a"})))
    assert (acceptance.renamed, acceptance.unused) == ({"a::x": "c::y"}, ("a::y",))


def test_anchors_that_are_gone_leave_the_baseline_with_the_run_of_their_file():
    base = Run(
        signature={},
        results=(asked("a", "x"), asked("b", "y")),
        anchors=(anchor("a", 0.5), anchor("a", 0.5, "old"), anchor("b", 0.5)),
    )
    run = Run(signature={}, results=(asked("a", "x"),), anchors=(anchor("a", 0.8),))
    gone = frozenset({"b"})

    assert anchors_of(accept(base, run)) == {"a::1": 0.5, "a::old": 0.5, "b::1": 0.5}
    assert anchors_of(accept(base, run, AcceptOptions(replace=True))) == {"a::1": 0.8, "b::1": 0.5}
    pruned = accept(base, run, AcceptOptions(prune=True, gone=gone))
    assert anchors_of(pruned) == {"a::1": 0.5, "a::old": 0.5}
    unscored = accept(base, replace(run, anchors=()), AcceptOptions(replace=True, prune=True, gone=gone))
    assert anchors_of(unscored) == {"a::1": 0.5, "a::old": 0.5}

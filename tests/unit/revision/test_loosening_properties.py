"""Nothing that stayed, moved, came or became stricter is a loosening; each check that goes is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.records import Check, Golden, SuiteCheck
from tests.unit.gates.golden_records import PATH, case_of, compare_goldens, golden_of

BOUNDS = st.tuples(st.sampled_from([">=", ">", "<=", "<"]), st.floats(0, 1))
OPTIONS = {"keywords": {"all": ["a"], "none": ["b"]}, "exact_match": {"normalize": False}}


@st.composite
def checks(draw) -> tuple[Check, ...]:
    metrics = draw(
        st.lists(st.sampled_from(["bleu", "keywords", "exact_match", "unheard_of"]), unique=True, max_size=4)
    )
    bounds = [draw(BOUNDS) for _ in metrics]
    return tuple(
        Check(metric=metric, comparison=sign, threshold=threshold, options=OPTIONS.get(metric, {}))  # type: ignore[arg-type]
        for metric, (sign, threshold) in zip(metrics, bounds, strict=True)
    )


@st.composite
def goldens(draw) -> Golden:
    count = draw(st.integers(0, 4))
    repeats = st.none() | st.integers(1, 9)
    cases = [
        case_of(*draw(checks()), id=f"case-{at}", line=at + 1, input=draw(st.text()), repeats=draw(repeats))
        for at in range(count)
    ]
    suite = [
        SuiteCheck(
            metric=check.metric,
            statistic=draw(st.sampled_from(["mean", "p95"])),
            comparison=check.comparison,
            threshold=check.threshold,
            max_drop=draw(st.none() | st.floats(0, 1)),
        )
        for check in draw(checks())
    ]
    return golden_of(*cases, suite=tuple(suite), prompts=("prompts",))


@given(st.lists(goldens(), max_size=1), st.randoms(use_true_random=False))
def test_what_did_not_change_or_moved_is_not_listed(old, random):
    moved = [
        replace(
            golden,
            cases=tuple(
                replace(case, checks=tuple(random.sample(case.checks, len(case.checks))))
                for case in random.sample(golden.cases, len(golden.cases))
            ),
            suite=tuple(random.sample(golden.suite, len(golden.suite))),
        )
        for golden in old
    ]

    assert compare_goldens(old, old) == compare_goldens(old, moved) == compare_goldens([], old) == ()


@given(goldens(), checks(), st.floats(0, 1), st.integers(0, 3))
def test_what_is_new_or_stricter_is_not_listed(old, more, by, further):
    def tightened(check: Any) -> Any:
        up = by if check.comparison in {">=", ">"} else -by
        stricter = (
            {">=": ">", "<=": "<"}.get(check.comparison, check.comparison) if further else check.comparison
        )
        return replace(check, threshold=check.threshold + up, comparison=stricter)

    cases = tuple(
        replace(
            case,
            checks=(*map(tightened, case.checks), *more),
            repeats=case.repeats and case.repeats + further,
        )
        for case in old.cases
    )
    suite = tuple(
        replace(tightened(check), max_drop=check.max_drop and check.max_drop * by) for check in old.suite
    )
    new = replace(old, cases=(case_of(*more, id="new", line=0), *cases), suite=suite)

    assert compare_goldens([old], [new]) == ()


@given(goldens(), st.data())
def test_each_check_that_goes_is_listed_once(old, data):
    places = [(at, index) for at, case in enumerate(old.cases) for index in range(len(case.checks))]
    if not places:
        return
    at, index = data.draw(st.sampled_from(places))
    case = old.cases[at]
    kept = replace(case, checks=(*case.checks[:index], *case.checks[index + 1 :]))
    new = replace(old, cases=(*old.cases[:at], kept, *old.cases[at + 1 :]))

    (found,) = compare_goldens([old], [new])

    assert (found.place, found.case) == (f"{PATH}:{at + 1}", f"{PATH}::{case.id}")
    assert found.what == f"no longer checks {case.checks[index].metric}"
    assert compare_goldens([new], [old]) == ()

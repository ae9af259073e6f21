"""`>= 0.8` is read alike by whoever reads it, and printed so that it is read again as it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib.resources import files
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_llmops import metric, registry
from pytest_llmops.bounds import (
    always_holds,
    explain_unreadable,
    format_bound,
    holds,
    invert,
    is_bound_as_strict,
    is_minimum,
    mirror,
    parse_bound,
    usual_sign,
)
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.features.calibrate.labels import read_labels
from pytest_llmops.golden.thresholds import read_checks, read_suite
from pytest_llmops.records import Bound, Sign
from pytest_llmops.reports.files.run_file import parse_suite

READ = {
    ">= 0.8": (">=", 0.8),
    ">=0.8": (">=", 0.8),
    "  <=  .5 ": ("<=", 0.5),
    "< 1.": ("<", 1.0),
    "> +0.25": (">", 0.25),
    "> 1e-3": (">", 0.001),
    "> 1E-3": (">", 0.001),
    ">= 5.e-1": (">=", 0.5),
    ">=\t0.8\n": (">=", 0.8),
}
REFUSED = (
    *("", " ", "0.8", ".5", "1e-3", ">=", ">= ", ">= 1e", ">= 1e+", ">= .", ">= -", ">= +-1", ">= 1.2.3"),
    *(">= nan", ">= inf", "<= -inf", "<= infinity", ">= 1e999", ">= 80%", ">= 80 %", ">= 0,8", ">= 1_0"),
    *("=> 0.8", "=< 0.8", "== 1", "= 1", "≥ 0.8", "> = 0.8", ">> 1", ">= 0.8 or so", ">= 0x1", ">= \u0661"),
    *("true", "none", ">= 0.8 >= 0.9"),
)
BOUNDS = st.builds(
    Bound,
    comparison=st.sampled_from(get_args(Sign)),
    threshold=st.floats(allow_nan=False, allow_infinity=False),
)


def of_check(text: str) -> Bound:
    (check,), _ = read_checks("exact_match", text)
    return Bound(comparison=check.comparison, threshold=check.threshold)


def of_suite(text: str) -> Bound:
    (check,), _ = read_suite("exact_match", {"mean": text}, cases=1)
    return Bound(comparison=check.comparison, threshold=check.threshold)


def of_run_file(text: str) -> Bound:
    (check,) = parse_suite({"exact_match": {"mean": text}}, ["g::a"])["g"]
    return Bound(comparison=check.comparison, threshold=check.threshold)


def of_decorator(text: str) -> Bound:
    metric("polite", bound=text)(lambda output: len(output.text))
    return registry.create_metric("polite").bound


def of_pass_rate(text: str) -> Bound:
    (check,), _ = read_checks("exact_match", {"min": 1, "pass_rate": text})
    return check.pass_rate


def of_label(text: str) -> Bound:
    """From what is good of a row above, at, and below the number."""
    _, threshold = READ.get(text, (">=", 0.0))
    rows = [{"good": threshold + step} for step in (-0.125, 0.0, 0.125)]
    labels = read_labels(rows, ["a", "b", "c"], "good", positive=text)
    good = {1: ">" if labels.values[2] else "<"}[sum(labels.values) - labels.values[1]]
    return Bound(comparison=good + "=" * int(labels.values[1]), threshold=threshold)


DOORS = (of_check, of_suite, of_run_file, of_decorator, of_label)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("text", READ)
def test_every_door_reads_it_alike(door: Callable[[str], Bound], text: str) -> None:
    sign, threshold = READ[text]
    assert parse_bound(text) == Bound(comparison=sign, threshold=threshold)
    assert door(text) == parse_bound(text)


@pytest.mark.parametrize("door", [*DOORS, of_pass_rate])
@pytest.mark.parametrize("text", REFUSED)
def test_every_door_refuses_it_alike(door: Callable[[str], Bound], text: str) -> None:
    assert parse_bound(text) is None
    if (door in {of_check, of_suite} and text in {"true", "none"}) or (door is of_label and not text.strip()):
        return  # words of their own there, and no label at all
    with pytest.raises((LLMOpsError, ValueError)) as caught:
        door(text)
    assert "could not convert" not in str(caught.value)


@pytest.mark.parametrize("text", [text for text in READ if READ[text][0][0] == ">"])
def test_a_pass_rate_is_read_as_any_bound(text: str) -> None:
    assert of_pass_rate(text) == parse_bound(text)


@pytest.mark.parametrize("text", [*READ, *REFUSED])
def test_the_published_schema_reads_it_alike_but_for_what_no_number_can_hold(text: str) -> None:
    schema = json.loads(files("pytest_llmops.golden").joinpath("golden.schema.json").read_text("utf-8"))
    part = {"$ref": "#/$defs/comparison", "$defs": schema["$defs"]}
    expected = parse_bound(text) is not None or text in {">= 1e999", "none"}
    assert Draft202012Validator(part).is_valid(text) == expected


@given(BOUNDS)
def test_what_is_printed_in_full_is_read_as_it_was(bound: Bound) -> None:
    assert parse_bound(format_bound(bound, digits=None)) == bound
    assert format_bound(bound, digits=None) in {
        format_bound(bound),
        f"{bound.comparison} {bound.threshold!r}",
    }


@given(BOUNDS, st.integers(1, 17))
def test_what_is_printed_short_is_still_a_bound(bound: Bound, digits: int) -> None:
    again = parse_bound(format_bound(bound, digits=digits))
    if again is not None:  # the largest numbers of all are rounded up to none
        assert again.comparison == bound.comparison
        assert math.isclose(again.threshold, bound.threshold, rel_tol=10.0 ** (1 - digits), abs_tol=1e-300)


@given(st.text(alphabet="<>= .,+-0123456789eE%≥_naif", max_size=12))
def test_any_text_is_a_bound_or_is_explained(text: str) -> None:
    bound = parse_bound(text)
    if bound is None:
        assert explain_unreadable(text, ">=")
    else:
        assert math.isfinite(bound.threshold)
        assert parse_bound(format_bound(bound, digits=None)) == bound


@given(BOUNDS, st.floats(allow_nan=False))
def test_a_value_holds_a_bound_or_its_inverse(bound: Bound, value: float) -> None:
    assert holds(value, bound) != holds(value, invert(bound))
    assert invert(invert(bound)) == bound
    assert is_minimum(bound) != is_minimum(invert(bound))


@given(BOUNDS, st.floats(allow_nan=False))
def test_a_mirrored_comparison_is_true_of_swapped_sides(bound: Bound, value: float) -> None:
    mirrored = Bound(comparison=mirror(bound.comparison), threshold=value)
    assert holds(value, bound) == holds(bound.threshold, mirrored)
    assert mirror("==") == "=="


@given(BOUNDS, BOUNDS, st.lists(st.floats(allow_nan=False), max_size=5))
def test_what_holds_the_stricter_bound_holds_the_other(new: Bound, old: Bound, values: list[float]) -> None:
    probes = [*values, new.threshold, old.threshold]
    if is_bound_as_strict(new, old):
        assert all(holds(value, old) for value in probes if holds(value, new))


@given(BOUNDS, st.floats(-5, 5), st.floats(-5, 5))
def test_a_bound_that_always_holds_is_held_by_both_ends(bound: Bound, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert always_holds(bound, (low, high)) == (holds(low, bound) and holds(high, bound))


def test_no_value_holds_where_there_is_none() -> None:
    assert not any(holds(math.nan, Bound(comparison=sign, threshold=0.0)) for sign in get_args(Sign))


@pytest.mark.parametrize(
    ("text", "usual", "message"),
    [
        ("0.8", ">=", 'did you mean ">= 0.8"?'),
        ("1e-3", ">=", 'did you mean ">= 0.001"?'),
        (".5", "<=", 'did you mean "<= 0.5"?'),
        ("80%", ">=", 'did you mean ">= 0.8"?'),
        (">= 80 %", ">=", 'did you mean ">= 0.8"?'),
        ("≤ 0,8", ">=", 'did you mean "<= 0.8"?'),
        ("> = 0.8", ">=", 'did you mean ">= 0.8"?'),
        ("== 1", ">=", 'did you mean ">= 1"?'),
        ("True", ">=", "write true without quotes"),
        (">= 1e", ">=", 'write a comparison such as ">= 0.8", true, false or none'),
        (">= inf", "<=", 'write a comparison such as "<= 0.8", true, false or none'),
        ("", ">=", 'write a comparison such as ">= 0.8", true, false or none'),
    ],
)
def test_what_cannot_be_read_says_what_to_write(text: str, usual: Sign, message: str) -> None:
    assert explain_unreadable(text, usual) == f"cannot read {text!r}; {message}"


def test_a_number_that_is_too_large_says_so() -> None:
    assert explain_unreadable(">= 1e999", ">=") == "'>= 1e999' is too large a number"


def test_the_usual_side_is_the_one_where_scores_are_good() -> None:
    assert (usual_sign(higher_is_better=True), usual_sign(higher_is_better=False)) == (">=", "<=")

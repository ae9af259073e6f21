"""The published schema is one, helps an editor, and says the same as the loader."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.golden.structure import find_structure_mistakes
from pytest_llmops.golden.thresholds import read_checks, read_suite

SCHEMA = json.loads(files("pytest_llmops.golden").joinpath("golden.schema.json").read_text("utf-8"))
WORDS = st.sampled_from(
    [
        "min",
        "max",
        "mean",
        "sum",
        "p95",
        "p0",
        "max_drop",
        "min_gain",
        "encoder",
        ">= 0.5",
        "none",
        "true",
        "< 1",
        "0.5",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text(max_size=5) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)

# Values at the edge of what each key may hold.
EDGES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, False, 0, 1, 1.0, 1.5, 1000, 1001, -1, "", "a", "auto", "a:b", "a: b", "a b", "x" * 100,
        "x" * 101, "https://h", "h:80", "allow", "scan", [], ["a"], ["a", "a"], ["a b"], [""], [1], {},
        {"model": "m"}, {"model": "", "x": 1}, {"never": ["h:80"]}, {"never": ["a@b"]}, {"other": 1},
    ]
)  # fmt: skip
CASE_KEYS = st.sampled_from([*SCHEMA["$defs"]["case"]["properties"], "other"])
CASE = EDGES | st.builds(
    lambda own, more: {**own, **more},
    st.fixed_dictionaries({"id": st.just("a"), "input": st.just("hi")}),
    st.dictionaries(CASE_KEYS, EDGES, max_size=2),
)
FILE = EDGES | st.builds(
    lambda cases, more: {"cases": cases, **more},
    st.lists(CASE, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from([*SCHEMA["properties"], "other"]), EDGES, max_size=2),
)


@given(FILE)
def test_the_loader_accepts_the_shapes_that_the_schema_accepts(document: Any) -> None:
    """Entries of `checks` and `suite` excepted, which depend on their metrics."""
    schema = copy.deepcopy(SCHEMA)
    schema["$defs"]["checks"]["additionalProperties"] = True
    schema["properties"]["suite"]["additionalProperties"] = True
    assert Draft202012Validator(schema).is_valid(document) == (not find_structure_mistakes(document))


def part(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_key_has_a_title_and_closed_mappings_are_closed() -> None:
    for holder in (SCHEMA, SCHEMA["$defs"]["case"]):
        assert holder["additionalProperties"] is False
        for name, each in holder["properties"].items():
            assert each.get("title"), name
            assert each.get("description") or each.get("$ref"), name


def test_patterns_read_the_same_in_an_editor() -> None:
    """
    ECMAScript knows neither \\Z nor named groups of Python's kind.

    What it searches, the loader matches as a whole, but for what is refused.
    """

    def patterns(value: Any, *skipped: str) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("pattern"), str):
                yield value["pattern"]
            yield from value.get("patternProperties", {})
            for key, each in value.items():
                if key not in skipped:
                    yield from patterns(each, *skipped)
        elif isinstance(value, list):
            for each in value:
                yield from patterns(each, *skipped)

    assert {pattern[0] + pattern[-1] for pattern in patterns(SCHEMA, "not")} == {"^$"}
    found = list(patterns(SCHEMA))
    assert len(found) >= 5
    assert not [each for each in found if "\\Z" in each or "(?P" in each]


@given(VALUES)
def test_what_the_schema_refuses_of_a_check_is_refused(value: Any) -> None:
    if not part("check").is_valid(value):
        with pytest.raises(LLMOpsError):
            read_checks("semantic", value)


@given(VALUES)
def test_what_the_schema_refuses_of_a_suite_check_is_refused(value: Any) -> None:
    if not part("suite_check").is_valid(value):
        with pytest.raises(LLMOpsError):
            read_suite("semantic", value, cases=3, rival=True)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("check", [">= 0.8", "<1", "> .5", "none", True, False, {"min": 0.1, "max": 0.9}, {"encoder": "x"}]),
        (
            "suite_check",
            [
                {"mean": ">= 0.5"},
                {"max_drop": 0},
                {"min_gain": -0.1},
                {"p95": "< 1", "sum": "<= 2", "mean": True},
            ],
        ),
    ],
)
def test_what_is_read_is_valid(name: str, values: list[Any]) -> None:
    for value in values:
        assert part(name).is_valid(value), value
        if name == "check":
            read_checks("semantic", value)
        else:
            read_suite("semantic", value, cases=3, rival=True)

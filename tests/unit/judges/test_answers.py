"""A verdict that follows its schema is taken without jsonschema, and no other one is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_llmops.judges import faithfulness as support
from pytest_llmops.judges import pairwise, reference_grade, rubric
from pytest_llmops.judges.rubric_file import Criterion
from pytest_llmops.judges.verdict import _fits
from tests.judge_server import fill

NAMES = st.sampled_from("ab")
LEAVES = st.integers(0, 2) | st.booleans() | st.floats(0, 2) | NAMES | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
TYPES = ("integer", "string", "number", "null", "object", "array", ["integer", "string"])


def schemas():
    """Of the keywords that judges use, and of some that they do not."""
    plain = {"type": st.sampled_from(TYPES), "enum": st.lists(LEAVES, min_size=1, max_size=3)}
    return st.recursive(
        st.fixed_dictionaries({}, optional={**plain, "minimum": st.just(1)}),
        lambda inner: st.fixed_dictionaries(
            {"type": st.sampled_from(["object", "array"])},
            optional={
                "properties": st.dictionaries(NAMES, inner, max_size=2),
                "required": st.lists(NAMES, max_size=2),
                "additionalProperties": st.booleans(),
                "items": inner,
                "minItems": st.just(1),
            },
        ),
        max_leaves=6,
    )


@given(VALUES, schemas())
def test_what_is_taken_is_what_jsonschema_allows(value, schema):
    assert not _fits(value, schema) or Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        rubric._schema((Criterion(name="accuracy", asks="?", anchors=("",) * 5),)),
        support._schema(2),
        pairwise._SCHEMA,
        reference_grade._SCHEMA,
    ],
)
def test_a_verdict_of_each_judge_needs_no_jsonschema(schema):
    answer = fill(schema)

    assert _fits(answer, schema)
    assert not _fits({**answer, "more": 1}, schema)
    assert not _fits(dict(list(answer.items())[1:]), schema)

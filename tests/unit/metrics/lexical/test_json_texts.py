"""Reading of JSON and of schemas."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing.exceptions import Unresolvable

from pytest_llmops import Score
from pytest_llmops.metrics.lexical import json_schema
from pytest_llmops.metrics.lexical.json_schema import NoJsonError, measure_depth, read_json, strip_fences
from pytest_llmops.registry import create_metric
from tests.unit.metrics.lexical.test_json_schema import ORDER, check


@pytest.mark.parametrize(
    "given_schema",
    [
        {"pattern": "^(a|aa)+$"},
        {"additionalProperties": False, "patternProperties": {"^(a|aa)+$": {}}},
        {"patternProperties": {"^(a|aa)+$": {}}},
    ],
)
def test_endless_backtracking_is_a_failure(given_schema, monkeypatch):
    monkeypatch.setattr(json_schema, "TIMEOUT_S", 0.05)
    word = "a" * 80 + "b"
    result = check(json.dumps(word if "pattern" in given_schema else {word: 1}), given_schema)

    assert not isinstance(result, Score)
    assert "repeats" in result.error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_whatever_json_is_written_is_read_back(value):
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps(value, ensure_ascii=False, indent=1)) == value


@given(st.text(st.sampled_from('[]{}",:\\1 \n')))
def test_the_strict_reader_takes_no_more_than_python(text):
    try:
        value = read_json(text)
    except NoJsonError:
        return
    assert value == json.loads(text)


def _depth(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(_depth, children), default=0)


@given(JSON)
def test_depth_is_that_of_the_value(value):
    assert measure_depth(json.dumps(value)) == _depth(value)


def test_of_a_flood_of_violations_one_is_told():
    result = check(json.dumps(["x"] * 50_000), {"items": {"type": "integer"}})

    assert result.reason.startswith("$[0]: ")
    assert json_schema._COMPARED < 50_000


def test_long_runs_of_blanks_in_a_fence_end_soon() -> None:
    text = "```\n" + " " * 500_000 + "x"

    assert strip_fences(text) == text
    assert strip_fences(f"```json\n{{}}\n{' ' * 500_000}```") == "{}"


def test_a_schema_may_be_a_file(tmp_path, monkeypatch):
    (tmp_path / "order.json").write_text(json.dumps(ORDER), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    metric = create_metric("json_schema", {"schema": "order.json"})

    assert metric == create_metric("json_schema", {"schema": ORDER})
    assert {metric: 1}[create_metric("json_schema", {"schema": metric.schema})] == 1
    assert pickle.loads(pickle.dumps(metric)) == metric  # noqa: S301  our own


def test_no_reference_is_fetched_while_it_validates():
    with pytest.raises(Unresolvable):
        list(json_schema.make_validator('{"$ref": "http://localhost:1/a.json"}').iter_errors(5))

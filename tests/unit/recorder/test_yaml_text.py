from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.recorder.yaml_text import to_yaml
from tests.unit.recorder.json_values import HOSTILE, json_objects


def read(text: str) -> Any:
    value, mistakes = read_yaml(text, cassette=True)
    assert not mistakes
    return value


def typed(value: Any) -> Any:
    """A value with the kinds of its numbers, which == overlooks."""
    if isinstance(value, dict):
        return {name: typed(part) for name, part in value.items()}
    return [typed(part) for part in value] if isinstance(value, list) else (type(value), value)


@given(json_objects())
def test_what_is_written_is_read_again(value):
    text = to_yaml(value)
    text.encode("utf-8")
    assert typed(read(text)) == typed(value)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_survives_as_name_value_and_item(text):
    value = {"value": text, text: {"inner": [text, [text], {"deep": text, text: [[text, 1], {text: [2]}]}]}}
    assert read(to_yaml(value)) == value


def test_a_reviewer_reads_text_line_by_line():
    value = {"b": "One: 😀 \n\n  two\n", "a": ["plain words, here", "", None, True, 1e20, {"x": 1, "z": []}]}
    assert to_yaml(value) == (
        'a:\n- plain words, here\n- ""\n- null\n- true\n- 1.0e+20\n- x: 1\n  z: []\n'
        "b: |\n  One: 😀 \n\n    two\n"
    )


def test_characters_that_turn_text_around_are_shown_by_number():
    assert to_yaml({"a": "x\u202ey\nz"}) == 'a: "x\\u202ey\\nz"\n'


@pytest.mark.parametrize("number", [10**299, 10**400, -(10**400), float("inf"), -float("inf"), 1e-7])
def test_odd_numbers_survive(number):
    assert typed(read(to_yaml({"a": [number]}))) == typed({"a": [number]})


@pytest.mark.parametrize("inner", [{}, [], "x"])
@pytest.mark.parametrize("wrap", [lambda value: {"a": value}, lambda value: [value]])
def test_what_is_nested_too_deeply_to_be_read_is_not_written(wrap, inner):
    value, written = inner, 0
    for depth in range(1, 210):
        value = wrap(value)
        try:
            text = to_yaml(value)
        except ValueError:
            assert depth >= 199
        else:
            assert read(text) == value
            written = depth
    assert written >= 198

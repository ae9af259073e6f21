"""An output in place of its text: what one types first in a test."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import Output, ToolCall


@given(st.text(), st.text(max_size=3), st.integers(-9, 9))
def test_an_output_is_its_text(text, part, place):
    output = Output(text=text)
    assert str(output) == f"{output}" == text
    assert len(output) == len(text)
    assert bool(output) == bool(text)
    assert (part in output) == (part in text)
    assert output == text
    assert text == output
    assert (output == part) == (text == part)
    assert (output != part) == (text != part)
    assert output[place:] == text[place:]
    assert output[::-1] == text[::-1]
    assert hash(output) == hash(text)
    assert {text: 1}[output] == 1
    if -len(text) <= place < len(text):
        assert output[place] == text[place]


def test_outputs_are_equal_by_all_their_fields():
    call = ToolCall(name="refund", arguments={"cents": 900})
    output = Output(text="Paris", tool_calls=(call,), latency_s=1.5)
    assert output == replace(output)
    assert hash(output) == hash(replace(output))
    assert output != replace(output, latency_s=2.0)
    assert output != Output(text="Paris")
    assert output not in (None, 5, ["Paris"])
    assert pickle.loads(pickle.dumps(output)) == copy.deepcopy(output) == copy.copy(output) == output  # noqa: S301
    assert repr(replace(output, tool_calls=())) == "Output(text='Paris', latency_s=1.5)"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("lower", "an Output has no attribute 'lower'; its text has: write .text.lower"),
        ("split", "an Output has no attribute 'split'; its text has: write .text.split"),
        ("toolcalls", "an Output has no attribute 'toolcalls'; it has: text, repeat, passages, tool_calls, "),
    ],
)
def test_an_unknown_attribute_says_where_it_is(name, remedy):
    with pytest.raises(AttributeError) as raised:
        getattr(Output(text="Paris"), name)
    assert str(raised.value).startswith(remedy)


def test_only_a_text_is_looked_for_in_an_output():
    with pytest.raises(TypeError, match="requires string"):
        assert 5 in Output(text="5")

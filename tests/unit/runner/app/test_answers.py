"""Tool calls in what an app returns, as this package writes them and as OpenAI does."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.errors import AnswerError
from pytest_llmops.records import ToolCall
from pytest_llmops.runner.app.answers import read_answer

PAY = {"order": "A-1", "amount": 3}


@pytest.mark.parametrize(
    ("written", "call"),
    [
        (
            {"name": "pay", "arguments": PAY, "decision": "denied"},
            ToolCall(name="pay", arguments=PAY, decision="denied"),
        ),
        ({"name": "pay", "arguments": json.dumps(PAY)}, ToolCall(name="pay", arguments=PAY)),
        ({"name": "pay"}, ToolCall(name="pay")),
        (
            {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": json.dumps(PAY)}},
            ToolCall(name="pay", arguments=PAY),
        ),
        (
            {"function": {"name": "pay", "arguments": PAY}, "decision": "denied"},
            ToolCall(name="pay", arguments=PAY, decision="denied"),
        ),
        (
            {"function": {"name": "pay", "arguments": '{"order": "A-'}},  # cut off by the model
            ToolCall(name="pay", arguments={"arguments": '{"order": "A-'}),
        ),
        ({"function": {"name": "pay", "arguments": ""}}, ToolCall(name="pay")),
    ],
)
def test_a_tool_call(written, call):
    assert read_answer({"text": "ok", "tool_calls": [written]}).tool_calls == (call,)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"function": {"nme": "pay"}}, "the tool call has no 'name'"),
        ({"function": "pay"}, "the tool call has no 'name'"),
        ({"function": {"name": 3}}, "the 'name' of a tool call must be a string"),
    ],
)
def test_a_tool_call_without_a_name(written, message):
    with pytest.raises(AnswerError, match=message):
        read_answer({"text": "ok", "tool_calls": [written]})

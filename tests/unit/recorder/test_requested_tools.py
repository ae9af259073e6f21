"""The tool calls that replies of models request: one reading of every protocol, complete and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.recorder.reply import requested_tools
from pytest_llmops.traces.reading import arguments_of

ARGUMENTS = {"order": "A-1", "amount": 41, "note": 'zwölf "Stück"'}
WRITTEN = json.dumps(ARGUMENTS)
HALVES = (WRITTEN[:9], WRITTEN[9:])


def sse(*events: Any) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def lines(*events: Any) -> str:
    return "".join(f"{json.dumps(event)}\n" for event in events)


def chat(key: str, **part: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, key: part}]}


FUNCTION = {"name": "pay_out", "arguments": WRITTEN}
GEMINI = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "pay_out", "args": ARGUMENTS}}]}}]}
OLLAMA = {
    "message": {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "pay_out", "arguments": ARGUMENTS}}],
    }
}
COHERE = {"tool_calls": [{"id": "1", "type": "function", "function": FUNCTION}]}
TOOL_USE = {"type": "tool_use", "id": "t", "name": "pay_out", "input": ARGUMENTS}
BEDROCK = {"toolUse": {"toolUseId": "t", "name": "pay_out", "input": ARGUMENTS}}
RESPONSE = {"type": "function_call", "call_id": "c", **FUNCTION}

REPLIES = {
    "chat": chat("message", tool_calls=[{"id": "c", "type": "function", "function": FUNCTION}]),
    "chat, old": chat("message", function_call=FUNCTION),
    "chat, custom": chat(
        "message", tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "pay_out", "input": WRITTEN}}]
    ),
    "chat, streamed": sse(
        chat("delta", tool_calls=[{"index": 0, "id": "c", "function": {"name": "pay_out", "arguments": ""}}]),
        *(chat("delta", tool_calls=[{"index": 0, "function": {"arguments": half}}]) for half in HALVES),
    ),
    "chat, old and streamed": sse(
        chat("delta", function_call={"name": "pay_out", "arguments": ""}),
        *(chat("delta", function_call={"arguments": half}) for half in HALVES),
    ),
    "responses": {"output": [{"type": "reasoning"}, RESPONSE]},
    "responses, streamed": sse(
        {"type": "response.output_item.added", "output_index": 1, "item": {**RESPONSE, "arguments": ""}},
        *(
            {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": half}
            for half in HALVES
        ),
        {"type": "response.output_item.done", "output_index": 1, "item": RESPONSE},
        {"type": "response.completed", "response": {"output": [RESPONSE]}},
    ),
    "messages": {"content": [{"type": "text", "text": "I will."}, TOOL_USE]},
    "messages, streamed": sse(
        {"type": "content_block_start", "index": 1, "content_block": {**TOOL_USE, "input": {}}},
        *(
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": half},
            }
            for half in HALVES
        ),
    ),
    "gemini": GEMINI,
    "gemini, streamed": sse({"candidates": [{"content": {"parts": [{"text": "Well"}]}}]}, GEMINI),
    "gemini, a list": [GEMINI],
    "ollama": {**OLLAMA, "done": True},
    "ollama, streamed": lines({**OLLAMA, "done": False}, {"message": {"content": ""}, "done": True}),
    "cohere": {"message": COHERE},
    "cohere, streamed": sse(
        {
            "type": "tool-call-start",
            "index": 0,
            "delta": {"message": {"tool_calls": {"function": {"name": "pay_out", "arguments": ""}}}},
        },
        *(
            {
                "type": "tool-call-delta",
                "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": half}}}},
            }
            for half in HALVES
        ),
    ),
    "cohere 1": {
        "generation_id": "g",
        "text": "",
        "tool_calls": [{"name": "pay_out", "parameters": ARGUMENTS}],
    },
    "converse": {"output": {"message": {"content": [{"text": "ok"}, BEDROCK]}}},
    "converse, streamed": lines(
        {
            "contentBlockStart": {
                "contentBlockIndex": 1,
                "start": {"toolUse": {"toolUseId": "t", "name": "pay_out"}},
            }
        },
        *(
            {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": half}}}}
            for half in HALVES
        ),
    ),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_a_call_is_read_once_with_its_arguments(reply):
    assert [(name, arguments_of(made)) for name, made in requested_tools(reply)] == [("pay_out", ARGUMENTS)]


@pytest.mark.parametrize("name", ["gemini, streamed", "ollama, streamed"])
def test_a_call_that_is_requested_twice_is_two(name):
    assert len(requested_tools(str(REPLIES[name]) * 2)) == 2


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.sampled_from(["message", "content", "tool_calls", "function", "choices", "output", "name", "type", "candidates", "parts", "functionCall", "done", "arguments"]) , part)))  # fmt: skip  # noqa: E501 - one strategy
def test_no_body_breaks_the_reading(body):
    requested_tools(body)
    arguments_of(body)

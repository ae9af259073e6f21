"""Why a model stopped writing, read of complete answers and of streams, in every protocol."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.recorder.reply import read_reply


def chat(reason, *more, **message):
    choices = [{"index": 0, "finish_reason": reason, "message": {"content": "a", **message}}]
    return {"choices": [*choices, *({"finish_reason": other, "message": {"content": "b"}} for other in more)]}


def response(status="completed", reason=None, part=None):
    part = part or {"type": "output_text", "text": "a"}
    return {
        "object": "response", "status": status, "incomplete_details": reason and {"reason": reason},
        "output": [{"type": "message", "content": [part]}],
    }  # fmt: skip


def stream(*events, done=True):
    lines = [f"data: {json.dumps(event)}" for event in events]
    return "\n\n".join([*lines, *(["data: [DONE]"] if done else [])])


def chunk(reason=None, **delta):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


@pytest.mark.parametrize(
    ("body", "finish"),
    [
        (chat("stop"), "stop"), (chat("length"), "length"), (chat("content_filter"), "content_filter"),
        (chat("tool_calls"), "tool_calls"), (chat("function_call"), "tool_calls"), (chat("STOP"), "stop"),
        (chat("stop", refusal="I cannot"), "refusal"), (chat("stop", "length"), "length"),
        (chat(None), ""), (chat("abort"), "abort"), (chat("\x1b[31m"), "\\x1b[31m"), (chat(7), ""),
        ({"choices": [{"text": "a", "finish_reason": "length"}]}, "length"),
        (response(), "stop"), (response("incomplete", "max_output_tokens"), "length"),
        (response("incomplete", "content_filter"), "content_filter"),
        (response(part={"type": "refusal", "refusal": "I cannot"}), "refusal"),
        ({"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}, "stop"),
        ({"content": [{"type": "text", "text": "a"}], "stop_reason": "max_tokens"}, "length"),
        ({"content": [{"type": "text", "text": "a"}], "stop_reason": "refusal"}, "refusal"),
        ({"content": [{"type": "tool_use", "name": "a"}], "stop_reason": "tool_use"}, "tool_calls"),
        ({"data": [{"embedding": [0.5]}]}, ""), ([], ""),
        (stream(chunk(content="a"), chunk("stop")), "stop"), (stream(chunk("length", content="a")), "length"),
        (stream(chunk(refusal="I"), chunk("stop")), "refusal"), (stream(chunk(content="a")), ""),
        (stream({"type": "response.created", "response": {"object": "response", "status": "in_progress"}},
                {"type": "response.output_text.delta", "delta": "a"},
                {"type": "response.completed", "response": response()}), "stop"),
        (stream({"type": "response.incomplete", "response": response("incomplete", "max_tokens")}), "length"),
        (stream({"type": "message_start", "message": {"stop_reason": None}},
                {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
                {"type": "message_stop"}), "length"),
    ],
)  # fmt: skip
def test_the_reason_is_read(body, finish):
    assert read_reply(body).finish == finish


NAMES = (
    "choices", "message", "delta", "finish_reason", "refusal", "output", "content", "type", "object",
    "status", "incomplete_details", "reason", "stop_reason", "response",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(NAMES), part, max_size=4),
    max_leaves=10,
)


@given(VALUES, st.lists(VALUES, max_size=3))
def test_any_answer_is_read(body, events):
    assert isinstance(read_reply(body).finish, str)
    assert isinstance(read_reply(stream(*events)).finish, str)

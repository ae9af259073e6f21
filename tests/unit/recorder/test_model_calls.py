"""Model calls as digests: equal for equal questions and answers, however they travelled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_llmops.recorder.call import Call, note_calls
from tests.unit.recorder.asking import CASE, ask, ask_streamed

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def calls_of(name: str, arguments: str) -> Mapping[str, Any]:
    asked = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"content": None, "tool_calls": [asked]}


@pytest.fixture
def note(recorder, client):
    """Asks under a recorder of its own, so that every call is made, and notes the calls."""

    def noted(use=ask, repeat: int = 0, mode: str = "all", **options):
        with recorder(mode).recording(CASE, repeat) as log:
            use(client, **options)
        return note_calls(log.calls)

    return noted


@pytest.mark.parametrize("use", [ask, ask_streamed])
def test_a_call_is_noted_with_who_answered(note, use):
    (call,) = note(use)
    assert (call.kind, call.model, call.reported, call.fingerprint) == (
        "chat",
        "small",
        "small-served",
        "fp_test",
    )
    assert len(call.key) == 64
    assert len(call.answer) == 16
    assert call.tools == ""


@pytest.mark.parametrize("use", [ask, ask_streamed])
def test_equal_calls_are_equal_in_every_repeat_and_when_replayed(note, use):
    (first,) = note(use)
    assert note(use, repeat=3) == note(use, mode="none", repeat=3) == (first,)


@pytest.mark.parametrize("use", [ask, ask_streamed])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("60 days", "30 days"),
        (calls_of("look_up", '{"id": 1}'), calls_of("look_up", '{"id": 2}')),
        (calls_of("look_up", '{"id": 1}'), calls_of("find", '{"id": 1}')),
        (calls_of("look_up", "{}"), ""),
    ],
)
def test_another_answer_has_another_digest_under_the_same_key(note, server, use, before, after):
    server.answer = lambda _: before
    (was,) = note(use)
    server.answer = lambda _: after
    (now,) = note(use)
    assert was.key == now.key
    assert was.answer != now.answer


@pytest.mark.parametrize("options", [{"text": "How far?"}, {"temperature": 0.5}, {"tools": [TOOL]}])
def test_another_question_has_another_key(note, options):
    assert note()[0].key != note(**options)[0].key


def test_tool_schemas_have_a_digest(note):
    other = json.loads(json.dumps(TOOL).replace("object", "string"))
    ((with_tool,), (with_other,), (functions,)) = (
        note(tools=[TOOL]),
        note(tools=[other]),
        note(functions=[TOOL["function"]]),
    )
    assert len({"", with_tool.tools, with_other.tools, functions.tools}) == 4


def test_what_brought_no_answer_is_left_out(recorder, client, server):
    server.faults += ["500", None]
    with recorder().recording(CASE, 0) as log:
        with pytest.raises(Exception, match="Something broke"):
            ask(client)
        ask(client)
    assert [call.outcome for call in log.calls] == ["failed", "made"]
    assert len(note_calls(log.calls)) == 1


def call_of(response: Any, offset_s: float = 0.0, text: str | None = None) -> Call:
    return Call(
        provider="api.example.test", path="/v1/messages", kind="messages", model="large", request="not JSON",
        key=str(offset_s), repeat=0, nth=0, outcome="made", response=response, text=text, offset_s=offset_s,
    )  # fmt: skip


def test_calls_come_in_the_order_they_began():
    assert [call.key for call in note_calls([call_of({}, 0.5), call_of({}, 0.1), call_of({}, 0.3)])] == [
        "0.1",
        "0.3",
        "0.5",
    ]


def digest_of(response: Any, text: str | None = None) -> str:
    return note_calls([call_of(response, text=text)])[0].answer


@pytest.mark.parametrize(
    "other",
    [
        {"id": "2"},
        {"created": 9},
        {"model": "large-2"},
        {"usage": {"input_tokens": 7}},
        {"system_fingerprint": "fp_b"},
        {"timings": {"predicted_ms": 3}},
    ],
)
def test_what_differs_between_two_equal_answers_is_no_part_of_them(other):
    assert digest_of({"id": "1", "content": "hello"}) == digest_of({"id": "1", "content": "hello", **other})
    assert digest_of({"content": "hello"}) != digest_of({"content": "hallo"})


@pytest.mark.parametrize(
    "response", [None, [], [1], "data: {", "\ud800", {"content": "\ud800"}, {"x": float("nan")}]
)
def test_odd_answers_have_a_digest(response):
    assert len(digest_of(response)) == 16


def stream(*events: Mapping[str, Any]) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def chat_tool(*pieces: str) -> str:
    deltas = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    head = {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "look_up", "arguments": ""}}]}
    return stream(*({"choices": [{"index": 0, "delta": delta}]} for delta in (head, *deltas)))


def messages_tool(*pieces: str) -> str:
    block = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
    return stream(
        {"type": "content_block_start", "index": 1, "content_block": block},
        *(
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in pieces
        ),
    )


def responses_tool(*pieces: str) -> str:
    item = {"type": "function_call", "id": "fc_1", "name": "look_up", "arguments": "".join(pieces)}
    deltas = (
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": piece}
        for piece in pieces
    )
    return stream(*deltas, {"type": "response.output_item.done", "output_index": 0, "item": item})


@pytest.mark.parametrize("write", [chat_tool, messages_tool, responses_tool])
def test_streamed_tool_calls_count_however_they_are_cut(write):
    assert digest_of(write('{"id"', ": 1}"), text="") == digest_of(write('{"id": 1}'), text="")
    assert digest_of(write('{"id": 1}'), text="") != digest_of(write('{"id": 2}'), text="")
    assert digest_of(write('{"id": 1}'), text="") != digest_of("", text="")
    assert digest_of(write('{"id": 1}'), text="") != digest_of(write('{"id": 1}'), text="Let me see.")

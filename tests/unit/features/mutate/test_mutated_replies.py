"""Mutated replies in the shapes of providers, as their own clients read them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from pytest_llmops.features.mutate.replies import mutate_parts
from pytest_llmops.features.mutate.reply_parts import Parts, Tool, read_parts, write_reply, write_vectors

TOOLS = (Tool(id="c1", name="order", arguments='{"id": "A-7"}'), Tool(id="c2", name="stock", arguments="{}"))
PARTS = [Parts(), Parts(text="Sixty days."), Parts(text="Let me see.", tools=TOOLS), Parts(tools=TOOLS[:1])]
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
TEMPLATES: dict[str, Any] = {
    "chat": {
        "id": "r", "object": "chat.completion", "created": 1, "model": "m", "usage": USAGE,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
    },
    "responses": {
        "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None,
    },
    "messages": {
        "id": "r", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "x"}], "usage": {"input_tokens": 1, "output_tokens": 2},
    },
    "completions": {
        "id": "r", "object": "text_completion", "created": 1, "model": "m", "usage": USAGE,
        "choices": [{"index": 0, "text": "x", "finish_reason": "stop"}],
    },
}  # fmt: skip


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", sorted(TEMPLATES))
def test_what_is_written_is_read_again(kind: str, parts: Parts, *, stream: bool) -> None:
    if kind == "completions":
        parts = Parts(text=parts.text)
    content_type, body = write_reply(kind, TEMPLATES[kind], parts, stream=stream)
    assert ("event-stream" in content_type) == stream
    assert read_parts(kind, body) == Parts(
        text=parts.text,
        tools=tuple(
            Tool(id=tool.id, name=tool.name, arguments=json.dumps(json.loads(tool.arguments)))
            for tool in parts.tools
        ),
    )
    _, again = write_reply(kind, body, parts, stream=not stream)  # the template may be of the other form
    assert read_parts(kind, again) == read_parts(kind, body)


def client(reply: tuple[str, Any]) -> openai.OpenAI:
    content_type, body = reply
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-type": content_type}, content=content)
    )
    return openai.OpenAI(api_key="k", max_retries=0, http_client=httpx.Client(transport=transport))


@pytest.mark.parametrize("parts", PARTS)
def test_the_client_of_the_provider_reads_a_stream_of_chat(parts: Parts) -> None:
    reply = write_reply("chat", TEMPLATES["chat"], parts, stream=True)
    with client(reply).chat.completions.stream(
        model="m", messages=[{"role": "user", "content": "?"}]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    assert (message.content or "") == parts.text
    calls = [call.function for call in message.tool_calls or ()]
    assert [(call.name, call.arguments) for call in calls] == [
        (tool.name, tool.arguments) for tool in parts.tools
    ]


@pytest.mark.parametrize("parts", PARTS)
def test_the_client_of_the_provider_reads_a_stream_of_responses(parts: Parts) -> None:
    reply = write_reply("responses", TEMPLATES["responses"], parts, stream=True)
    with client(reply).responses.stream(model="m", input="?") as stream:
        response = stream.get_final_response()
    assert response.output_text == parts.text
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == [
        (tool.name, tool.arguments) for tool in parts.tools
    ]


@pytest.mark.parametrize(
    ("kind", "text", "mutated"),
    [
        ("flipped", "Yes, it is.", "No, it is."),
        ("flipped", "no", "yes"),
        ("flipped", "Ja.", "Nein."),
        (
            "flipped",
            "No, los perros no pueden entrar en la piscina.",
            "Sí, los perros no pueden entrar en la piscina.",
        ),
        ("flipped", "N\u0130E.", "N\u0130E."),
        ("flipped", '{"relevant": "non"}', '{"relevant": "oui"}'),
        ("flipped", "不可以。", "可以。"),
        ("flipped", "Ja wohl ist es das.", "Ja wohl ist es das."),
        ("flipped", '{"relevant": "yes", "safe": true}', '{"relevant": "no", "safe": false}'),
        ("flipped", "There is no fee, and nothing else to do.", "There is no fee, and nothing else to do."),
        ("flipped", "No fee is charged.", "No fee is charged."),
        ("truncated", "Sixty days", "Sixty"),
        ("tool_dropped", "Sixty days", "Sixty days"),
        ("other_arguments", "Sixty days", "Sixty days"),
        ("empty", "Sixty days", ""),
    ],
)
def test_a_kind_changes_what_it_says_and_nothing_else(kind: str, text: str, mutated: str) -> None:
    assert mutate_parts(kind, Parts(text=text)) == Parts(text=mutated)


def test_each_text_that_is_embedded_gets_a_vector() -> None:
    template = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]}
    body = write_vectors(template, {"input": ["a", "b", "c"]})
    assert [(row["index"], row["embedding"]) for row in body["data"]] == [(at, [0.1, 0.2]) for at in range(3)]
    assert len(write_vectors(template, {"input": [1, 2, 3]})["data"]) == 1  # tokens of one text

"""Cohere's API, versions 1 and 2, and the rerankers that took after it."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.recorder.providers.reader import (
    JSONObject,
    Reader,
    ToolPiece,
    count,
    joined,
    mapping,
    mappings,
    string,
    tool_piece,
)


def _text(body: JSONObject) -> str | None:
    if "generation_id" in body:
        return string(body.get("text"))  # version 1
    return joined(part.get("text") for part in mappings(mapping(body.get("message")).get("content")))


def _piece(event: JSONObject) -> str | None:
    if event.get("event_type") == "text-generation":
        return string(event.get("text"))
    if event.get("type") != "content-delta":
        return None
    content = mapping(mapping(mapping(event.get("delta")).get("message")).get("content"))
    return string(content.get("text"))


def _counts(part: JSONObject) -> tuple[int | None, int | None] | None:
    response = mapping(part.get("response"))  # of the last event in version 1
    holders = (
        part.get("usage"),
        part.get("meta"),
        mapping(part.get("delta")).get("usage"),
        response.get("meta"),
    )
    for holder in map(mapping, holders):
        for name in ("tokens", "billed_units"):
            if tokens := {
                key: int(value) for key, value in mapping(holder.get(name)).items() if _is_whole(value)
            }:
                return count(tokens, "input_tokens"), count(tokens, "output_tokens")
    return None


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


def _tools(part: JSONObject) -> Iterator[ToolPiece]:
    if "done" in part:  # Ollama's, which has the same fields
        return
    message = mapping(part.get("message")) or mapping(mapping(part.get("delta")).get("message"))
    calls = message.get("tool_calls")
    for number, call in enumerate([calls] if isinstance(calls, dict) else mappings(calls)):
        if function := mapping(call.get("function")):
            place = ("cohere", part.get("index", number))
            yield tool_piece(place, function.get("name"), function.get("arguments"))
    if "generation_id" in part or part.get("event_type") == "tool-calls-generation":  # version 1
        for number, call in enumerate(mappings(part.get("tool_calls"))):
            yield tool_piece(("cohere", number), call.get("name"), call.get("parameters"))


READER = Reader(
    paths={
        "cohere_chat": "/v[12]/chat",
        "cohere_generate": "/v1/(?:generate|summarize|classify)",
        "embeddings": "/v[12]/embed",
        "rerank": "/(?:rerank|v[12]/rerank)",
    },
    marks={
        "cohere_chat": ("model",),
        "cohere_generate": ("prompt", "text", "inputs"),
        "embeddings": ("texts", "inputs", "images"),
        "rerank": ("documents", "texts"),
    },
    text=_text,
    piece=_piece,
    ends=lambda event: event.get("type") == "message-end" or event.get("event_type") == "stream-end",
    counts=_counts,
    tools=_tools,
)

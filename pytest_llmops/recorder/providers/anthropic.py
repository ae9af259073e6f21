"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.recorder.providers.reader import (
    JSONObject,
    Reader,
    ToolPiece,
    joined,
    mapping,
    mappings,
    string,
)


def _text(body: JSONObject) -> str | None:
    return joined(part.get("text") for part in mappings(body.get("content")))


def _piece(event: JSONObject) -> str | None:
    delta = mapping(event.get("delta"))
    return string(delta.get("text"))


def _tools(part: JSONObject) -> Iterator[ToolPiece]:
    for number, block in enumerate(mappings(part.get("content"))):
        if block.get("type") == "tool_use":
            yield (number,), joined(iter((block.get("name"), str(block.get("input"))))) or ""
    for name in ("content_block", "delta"):
        block = mapping(part.get(name))
        if block.get("type") in ("tool_use", "input_json_delta"):
            yield (part.get("index"),), joined(iter((block.get("name"), block.get("partial_json")))) or ""


READER = Reader(
    paths={"messages": "/messages", "count_tokens": "/messages/count_tokens"},
    marks={"messages": ("model", "anthropic_version"), "count_tokens": ("model",)},
    text=_text,
    piece=_piece,
    ends=lambda event: event.get("type") == "message_stop",
    tools=_tools,
)

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
    tool_piece,
)


def _text(body: JSONObject) -> str | None:
    return joined(part.get("text") for part in mappings(body.get("content")))


def _piece(event: JSONObject) -> str | None:
    delta = mapping(event.get("delta"))
    return string(delta.get("text"))


def _tools(part: JSONObject) -> Iterator[ToolPiece]:
    for number, block in enumerate(mappings(part.get("content"))):
        if _is_tool(block):
            yield tool_piece((number,), block.get("name"), block.get("input"))
    for name in ("content_block", "delta"):
        block = mapping(part.get(name))
        if _is_tool(block) or block.get("type") == "input_json_delta":
            pieces = block.get("partial_json") or block.get("input") or ""
            yield tool_piece((part.get("index"),), block.get("name"), pieces)


def _is_tool(block: JSONObject) -> bool:
    """Of the app, of the provider (`server_tool_use`) or of an MCP server (`mcp_tool_use`)."""
    return str(block.get("type")).endswith("tool_use")


READER = Reader(
    paths={"messages": "/messages", "count_tokens": "/messages/count_tokens"},
    marks={"messages": ("max_tokens", "anthropic_version", "messages"), "count_tokens": ("messages",)},
    text=_text,
    piece=_piece,
    ends=lambda event: event.get("type") == "message_stop",
    tools=_tools,
)

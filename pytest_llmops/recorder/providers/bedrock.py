"""Amazon Bedrock: `converse`, and `invoke` of models whose own protocol is inside."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.recorder.providers.reader import (
    JSONObject,
    Reader,
    ToolPiece,
    count,
    first,
    joined,
    mapping,
    mappings,
    string,
    tool_piece,
)


def _text(body: JSONObject) -> str | None:
    message = mapping(mapping(body.get("output")).get("message"))
    if message:
        return joined(part.get("text") for part in mappings(message.get("content")))
    for name, field in (("results", "outputText"), ("outputs", "text"), ("generations", "text")):
        if isinstance(text := first(body.get(name)).get(field), str):
            return text
    return string(body.get("generation")) or string(body.get("outputText"))


def _piece(event: JSONObject) -> str | None:
    delta = mapping(mapping(event.get("contentBlockDelta")).get("delta"))
    if delta:
        return string(delta.get("text"))
    return string(event.get("generation")) or string(event.get("outputText"))


def _counts(part: JSONObject) -> tuple[int | None, int | None] | None:
    usage = mapping(part.get("usage")) or mapping(mapping(part.get("metadata")).get("usage"))
    if "inputTokens" in usage:
        return count(usage, "inputTokens"), count(usage, "outputTokens")
    invoked = mapping(part.get("amazon-bedrock-invocationMetrics"))
    if invoked:
        return count(invoked, "inputTokenCount"), count(invoked, "outputTokenCount")
    if "inputTextTokenCount" in part:
        written = count(first(part.get("results")), "tokenCount")
        return count(part, "inputTextTokenCount"), 0 if "embedding" in part else written
    if "prompt_token_count" in part or "generation_token_count" in part:
        return count(part, "prompt_token_count"), count(part, "generation_token_count")
    return None


def _ends(event: JSONObject) -> bool:
    return "messageStop" in event or "amazon-bedrock-invocationMetrics" in event


def _tools(part: JSONObject) -> Iterator[ToolPiece]:
    message = mapping(mapping(part.get("output")).get("message"))
    for number, block in enumerate(mappings(message.get("content"))):
        if tool := mapping(block.get("toolUse")):
            yield tool_piece(("bedrock", number), tool.get("name"), tool.get("input"))
    for name, key in (("contentBlockStart", "start"), ("contentBlockDelta", "delta")):
        event = mapping(part.get(name))
        if tool := mapping(mapping(event.get(key)).get("toolUse")):
            place = ("bedrock", event.get("contentBlockIndex"))
            yield tool_piece(place, tool.get("name"), tool.get("input"))


READER = Reader(
    paths={
        "converse": "/model/.+/converse(?:-stream)?",
        "invoke": "/model/.+/invoke(?:-with-response-stream)?",
    },
    text=_text,
    piece=_piece,
    ends=_ends,
    counts=_counts,
    tools=_tools,
)

"""OpenAI's protocol, which many other providers and servers speak."""

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

_CALLS = ("function_call", "custom_tool_call", "mcp_call")
_ENDING = ("response.completed", "response.incomplete")


def _text(body: JSONObject) -> str | None:
    choice = first(body.get("choices"))
    if isinstance(choice.get("message"), dict):
        return string(choice["message"].get("content"))
    if "text" in choice:
        return string(choice["text"])
    items = [item for item in mappings(body.get("output")) if item.get("type") == "message"]
    return joined(part.get("text") for item in items for part in mappings(item.get("content")))


def _piece(event: JSONObject) -> str | None:
    choice = first(event.get("choices"))
    if choice:
        if choice.get("index", 0) != 0:
            return None
        delta = choice.get("delta")
        return string(delta.get("content") if isinstance(delta, dict) else choice.get("text"))
    return string(event.get("delta")) if event.get("type") == "response.output_text.delta" else None


def _ends(event: JSONObject) -> bool:
    return event.get("type") in _ENDING or first(event.get("choices")).get("finish_reason") is not None


def _counts(part: JSONObject) -> tuple[int | None, int | None] | None:
    usage = mapping(part.get("usage"))
    prompt = count(usage, "prompt_tokens", "input_tokens")
    completion = count(usage, "completion_tokens", "output_tokens")
    if completion is None and prompt is not None and usage.get("total_tokens") == prompt:
        completion = 0  # embeddings: nothing is written, and the provider reports it so
    return prompt, completion


def _tools(part: JSONObject) -> Iterator[ToolPiece]:
    for choice in mappings(part.get("choices")):
        message = mapping(choice.get("delta") or choice.get("message"))
        for number, tool in enumerate(mappings(message.get("tool_calls"))):
            place = (choice.get("index"), tool.get("index", number))
            if function := mapping(tool.get("function")):
                yield tool_piece(place, function.get("name"), function.get("arguments"))
            elif custom := mapping(tool.get("custom")):
                yield tool_piece(place, custom.get("name"), custom.get("input"))
        if old := mapping(message.get("function_call")):
            yield tool_piece((choice.get("index"), "function_call"), old.get("name"), old.get("arguments"))
    done = part.get("type") == "response.output_item.done"
    items = [mapping(part.get("item"))] if done else mappings(part.get("output"))
    for number, item in enumerate(items):
        if item.get("type") in _CALLS:
            written = item.get("arguments", item.get("input"))
            yield tool_piece((part.get("output_index", number),), item.get("name"), written)


READER = Reader(
    paths={
        "chat": "/chat/completions",
        "completions": "(?<!/chat)/completions",
        "responses": "/responses",
        "embeddings": "/embeddings",
        "moderations": "/moderations",
        "images": "/images/(?:generations|edits|variations)",
        "audio": "/audio/(?:speech|transcriptions|translations)",
        "files": "/files",
    },
    marks={
        "completions": ("model", "prompt"),
        "responses": ("input", "prompt{}", "previous_response_id"),
        "embeddings": ("input",),
        "moderations": ("input",),
        "images": ("prompt",),
        "files": ("purpose",),
    },
    text=_text,
    piece=_piece,
    ends=_ends,
    counts=_counts,
    model=lambda part: string(part.get("model")),
    answer_id=lambda part: string(part.get("id")),
    tools=_tools,
)

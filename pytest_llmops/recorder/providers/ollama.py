"""Ollama's own API, whose streams are lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmops.recorder.providers.reader import (
    JSONObject,
    Reader,
    ToolPiece,
    count,
    mapping,
    mappings,
    string,
    tool_piece,
)


def _text(body: JSONObject) -> str | None:
    if "done" not in body:
        return None
    message = mapping(body.get("message"))
    return string(message.get("content") if message else body.get("response"))


def _counts(part: JSONObject) -> tuple[int | None, int | None] | None:
    if "prompt_eval_count" not in part and "eval_count" not in part:
        return None
    return count(part, "prompt_eval_count"), count(part, "eval_count") or 0


def _tools(part: JSONObject) -> Iterator[ToolPiece]:
    message = mapping(part.get("message"))
    for number, call in enumerate(mappings(message.get("tool_calls"))) if "done" in part else ():
        function = mapping(call.get("function"))
        yield tool_piece(("ollama", number), function.get("name"), mapping(function.get("arguments")))


READER = Reader(
    paths={
        "ollama_chat": "/api/chat",
        "ollama_generate": "/api/generate",
        "embeddings": "/api/embed(?:dings)?",
    },
    marks={"ollama_chat": ("model",), "ollama_generate": ("model",), "embeddings": ("input", "prompt")},
    text=_text,
    piece=_text,
    ends=lambda event: event.get("done") is True,
    counts=_counts,
    tools=_tools,
)

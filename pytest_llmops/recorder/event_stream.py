"""Answers that come as a stream of events: lines, the tools that they ask for, and whole texts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

# The fields in which a streamed text comes piece by piece, so that a secret may be cut in two.
_PIECES = {
    "content", "reasoning", "reasoning_content", "refusal", "text", "thinking", "arguments", "partial_json",
    "delta",
}  # fmt: skip
# Which of several texts a piece belongs to, where the event itself says so.
_MARKS = ("type", "index", "output_index", "content_index")
_OF_THE_PROVIDER = frozenset({
    "created", "created_at", "id", "item_id", "model", "object", "obfuscation", "role", "signature",
    "system_fingerprint", "timings", "type", "usage",
})  # fmt: skip
"""Fields of an answer that no model wrote."""

Pieces = dict[Any, list[tuple[Any, Any]]]


def event_lines(text: str) -> Iterator[tuple[str, Any]]:
    """Each line of a stream of events, with the JSON object it carries, or None."""
    for line in text.split("\n"):
        value = None
        if line.startswith("data:"):
            try:
                value = json.loads(line[5:])
            except (ValueError, RecursionError):
                value = None
        yield line, value if isinstance(value, dict) else None


def streamed_pieces(events: Iterator[Any]) -> Pieces:
    """The mapping and the name in it of each piece, by the text that they are of."""
    pieces: Pieces = {}
    for event in events:
        if event is not None:
            _collect(event, tuple(event.get(name) for name in _MARKS), pieces)
    return pieces


def whole_reply(body: Any) -> Any:
    """
    All that a model wrote in an answer: every choice, its tool calls, reasoning and refusals.

    Of a stream the texts whose pieces are joined, and what else its events say, each once.
    """
    if not isinstance(body, str):
        is_mapping = isinstance(body, Mapping)
        return (
            {key: part for key, part in body.items() if key not in _OF_THE_PROVIDER} if is_mapping else body
        )
    lines = list(event_lines(body))
    pieces = streamed_pieces(event for _, event in lines)
    texts = ["".join(holder[name] for holder, name in parts) for parts in pieces.values()]
    others = dict.fromkeys(said for _, event in lines for said in _others(event))
    bare = [line for line, event in lines if event is None and line.strip() not in {"", "data: [DONE]"}]
    return [*texts, *others, *(line for line in bare if not line.startswith("event:"))]


def _collect(value: Any, marks: tuple[Any, ...], pieces: Pieces) -> None:
    """Gather the pieces of each streamed text, distinguished by where they stand and by their choice."""
    if isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, str):
                if name in _PIECES:
                    pieces.setdefault((*marks, name), []).append((value, name))
            else:
                _collect(part, (*marks, name), pieces)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            own = part.get("index", number) if isinstance(part, dict) else number
            _collect(part, (*marks, own), pieces)


def _others(value: Any, name: str = "") -> Iterator[str]:
    """The strings of an event that are no pieces."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _OF_THE_PROVIDER:
                yield from _others(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _others(part, name)
    elif isinstance(value, str) and name not in _PIECES:
        yield value


def streamed_tools(text: str) -> list[str]:
    """Each tool that a stream of events asks for: its name with its arguments behind it, pieces joined."""
    tools: defaultdict[tuple[Any, ...], str] = defaultdict(str)
    for _, event in event_lines(text):
        for place, piece in _tool_pieces(event or {}):
            tools[place] += piece
    return list(tools.values())


def _tool_pieces(event: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Which call of the answer a piece belongs to, and the piece."""
    for choice in mappings_in(event.get("choices")):
        delta = choice.get("delta")
        for tool in mappings_in(delta.get("tool_calls")) if isinstance(delta, Mapping) else ():
            if isinstance(function := tool.get("function"), Mapping):
                place = (choice.get("index"), tool.get("index"))
                yield place, "".join(filter(None, map(string_of, function.values())))
    for name in ("content_block", "delta", "item"):
        part = event.get(name)
        if not isinstance(part, Mapping):
            continue
        whole = event.get("type") == "response.output_item.done" and part.get("type") == "function_call"
        if whole or part.get("type") in {"tool_use", "input_json_delta"}:
            said = map(string_of, (part.get("name"), part.get("arguments"), part.get("partial_json")))
            yield (event.get("index"), event.get("output_index")), "".join(filter(None, said))


def string_of(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def mappings_in(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []

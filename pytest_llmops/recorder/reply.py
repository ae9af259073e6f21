"""Reads what a model answered, whichever protocol it spoke, whole or streamed."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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


_ENDING_EVENTS = {"message_stop", "response.completed", "response.incomplete"}
_DONE = "[DONE]"
_EXCERPT = 300  # characters of a refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    What an answer says of itself.

    Attributes:
        text: The assistant's words of the first choice; None where the answer holds none.
        ended: A streamed answer reached its end marker; always true for a whole one.
        error: What the provider said went wrong, though the status was good.
    """

    model: str | None = None
    text: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    fingerprint: str | None = None
    ended: bool = True
    error: str | None = None


def parse_body(content: bytes, content_type: str) -> Any:
    """
    An answer's JSON, or the text of its events when it is a stream of them.

    Raises:
        ValueError: It is neither.
    """
    text = content.decode("utf-8")
    if "event-stream" in content_type:
        return text
    body = json.loads(text)
    return body if isinstance(body, (dict, list)) else text


def encode_body(body: Any) -> bytes:
    """The bytes of an answer: events as they came, JSON in a form that means the same."""
    return body.encode("utf-8") if isinstance(body, str) else json.dumps(body).encode("ascii")


def error_text(content: bytes) -> str:
    """What a provider says of a refused call: its message where it has the usual form."""
    text = content.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"]["message"])[:_EXCERPT]
    except (ValueError, LookupError, TypeError, RecursionError):
        return text[:_EXCERPT]


def read_reply(body: Any) -> Reply:
    """What an answer of `parse_body` says; fields it lacks or has in another shape are None."""
    if isinstance(body, str):
        return _read_events(body)
    if not isinstance(body, Mapping):
        return Reply()
    return Reply(
        model=string_of(body.get("model")),
        text=_text(body),
        fingerprint=string_of(body.get("system_fingerprint")),
        error=_error(body),
        **_usage(body.get("usage")),
    )


def _read_events(text: str) -> Reply:
    said: list[str] = []
    fields: dict[str, Any] = {}
    ended, error = False, None
    for line, event in event_lines(text):
        if event is None:
            ended = ended or (line.startswith("data:") and line[5:].strip() == _DONE)
            continue
        if isinstance(piece := _piece(event), str):
            said.append(piece)
        ended = ended or event.get("type") in _ENDING_EVENTS or _finish_reason(event) is not None
        if failed := event.get("error") or (event.get("type") == "response.failed" and "the response failed"):
            error = _error_message(failed)
        for part in (event, event.get("message"), event.get("response")):
            if isinstance(part, Mapping):
                said_of = {"model": string_of(part.get("model")), **_usage(part.get("usage"))}
                said_of["fingerprint"] = string_of(part.get("system_fingerprint"))
                fields.update({name: value for name, value in said_of.items() if value is not None})
    return Reply(text="".join(said), ended=ended, error=error, **fields)


def _text(body: Mapping[str, Any]) -> str | None:
    choice = _first(body.get("choices"))
    if isinstance(message := choice.get("message"), Mapping):
        return string_of(message.get("content"))
    if "text" in choice:
        return string_of(choice["text"])
    items = [item for item in mappings_in(body.get("output")) if item.get("type") == "message"]
    pieces = [piece for item in items for piece in mappings_in(item.get("content"))] or mappings_in(
        body.get("content")
    )
    said = [piece["text"] for piece in pieces if isinstance(piece.get("text"), str)]
    return "".join(said) if said else None


def _error(body: Mapping[str, Any]) -> str | None:
    """What went wrong although the status was good: gateways say so in the body, or give no answer at all."""
    if body.get("choices") == []:
        return "it holds no choice"
    if failed := _first(body.get("choices")).get("error"):
        return _error_message(failed)
    answered = any(body.get(name) for name in ("choices", "output", "content"))
    if (failed := body.get("error")) and (body.get("status") == "failed" or not answered):
        return _error_message(failed)
    return None


def _error_message(failed: Any) -> str:
    return str(failed.get("message") if isinstance(failed, Mapping) else failed)


def _piece(event: Mapping[str, Any]) -> Any:
    choice = _first(event.get("choices"))
    if choice and choice.get("index", 0) == 0:
        delta = choice.get("delta")
        return delta.get("content") if isinstance(delta, Mapping) else choice.get("text")
    delta = event.get("delta")
    if event.get("type") == "response.output_text.delta":
        return delta
    return delta.get("text") if isinstance(delta, Mapping) else None


def _finish_reason(event: Mapping[str, Any]) -> Any:
    return _first(event.get("choices")).get("finish_reason")


def _usage(usage: Any) -> dict[str, Any]:
    if not isinstance(usage, Mapping):
        return {}
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    completion = _count(usage, "completion_tokens", "output_tokens")
    if completion is None and prompt is not None and usage.get("total_tokens") == prompt:
        completion = 0  # embeddings: nothing is written, and the provider said so
    return {"prompt_tokens": prompt, "completion_tokens": completion}


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    counts = [usage[name] for name in names if isinstance(usage.get(name), int)]
    return counts[0] if counts else None


def _first(value: Any) -> Mapping[str, Any]:
    return next(iter(mappings_in(value)), {})


def retry_after_s(written: str | None) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3); None where there is nothing that can be waited for."""
    if not written:
        return None
    try:
        seconds = float(written)
    except ValueError:
        try:
            when = parsedate_to_datetime(written)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None

"""Reads answers of models, in every protocol, complete or as a stream of events."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pytest_llmops.recorder.finish import finish_of, finish_of_events

_OK = 200
_ENDING_EVENTS = {"message_stop", "response.completed", "response.incomplete"}
_DONE = "[DONE]"
_EXCERPT = 300  # characters of a refusal

# The fields in which a streamed text comes piece by piece, so that a secret may be cut in two.
_PIECES = {
    "content", "reasoning", "reasoning_content", "refusal", "text", "thinking", "arguments", "partial_json",
    "delta",
}  # fmt: skip
# Fields of an event by which it names the text that its pieces belong to.
_MARKS = ("type", "index", "output_index", "content_index")
# Fields of an answer that no model wrote.
_OF_THE_PROVIDER = frozenset({
    "created", "created_at", "id", "item_id", "model", "object", "obfuscation", "role", "signature",
    "system_fingerprint", "timings", "type", "usage",
})  # fmt: skip

Pieces = dict[str, list[tuple[Any, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The facts in an answer.

    Attributes:
        text: The assistant's text of the first choice; None where the answer holds none.
        ended: A streamed answer reached its end marker; always true for a complete one.
        error: The provider's error in an answer of good status.
        id: The provider's name of the answer, which a copy out of a cache repeats.
        finish: Why the model stopped writing, see `finish.py`.
    """

    model: str | None = None
    text: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    fingerprint: str | None = None
    ended: bool = True
    error: str | None = None
    id: str | None = None
    finish: str = ""


def read_answer(status: int, content_type: str, content: bytes, *, whole: bool) -> tuple[Any, Reply, str]:
    """
    Return an answer's body as in `parse_body`, its facts, and its fault in words, empty for a good one.

    Args:
        whole: The app read it to the end; if not, a missing end is no fault.
    """
    if status != _OK:
        return None, Reply(), f"the answer had status {status}: {error_text(content)}".rstrip(" :")
    try:
        body = parse_body(content, content_type)
    except (ValueError, RecursionError):
        return None, Reply(ended=False), "the answer is not JSON" if whole else ""
    reply = read_reply(body)
    if reply.error is not None:
        return body, reply, f"the provider answered with an error: {reply.error}"
    return body, reply, "the stream ended before its end mark" if whole and not reply.ended else ""


def parse_body(content: bytes, content_type: str) -> Any:
    """
    Return an answer's JSON, or the text of its events if it is a stream.

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
    """The error message in a refusal, or the start of its text where it has not the usual form."""
    text = content.decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"]["message"])[:_EXCERPT]
    except (ValueError, LookupError, TypeError, RecursionError):
        return text[:_EXCERPT]


def read_reply(body: Any) -> Reply:
    """Read the facts in an answer of `parse_body`; fields it lacks or has in another shape are None."""
    if isinstance(body, str):
        return _read_events(body)
    if not isinstance(body, Mapping):
        return Reply()
    text = _text(body)
    wrote = bool(text or _requests_tools(body))
    facts = _without_zeros(_origin(body), wrote=wrote)
    return Reply(text=text, error=_error(body), finish=finish_of(body), **facts)


def _read_events(text: str) -> Reply:
    pieces: list[str] = []
    fields: dict[str, Any] = {}
    ended, error = False, None
    for line, event in event_lines(text):
        if event is None:
            ended = ended or (line.startswith("data:") and line[5:].strip() == _DONE)
            continue
        if isinstance(piece := piece_of(event), str):
            pieces.append(piece)
        finished = _first(event.get("choices")).get("finish_reason") is not None
        ended = ended or str(event.get("type")) in _ENDING_EVENTS or finished
        if failed := event.get("error") or (event.get("type") == "response.failed" and "the response failed"):
            error = _error_message(failed)
        for part in (event, event.get("message"), event.get("response")):
            if isinstance(part, Mapping):
                fields.update({name: value for name, value in _origin(part).items() if value is not None})
    written = "".join(pieces)
    wrote = bool(written or streamed_tools(text))
    finish = finish_of_events(event for _, event in event_lines(text) if event is not None)
    facts = _without_zeros(fields, wrote=wrote)
    return Reply(text=written, ended=ended, error=error, finish=finish, **facts)


def _without_zeros(fields: dict[str, Any], *, wrote: bool) -> dict[str, Any]:
    """Leave out the count of what was written that is zero: a gateway that counts nothing reports it so."""
    return {**fields, "completion_tokens": None} if wrote and fields.get("completion_tokens") == 0 else fields


def _requests_tools(body: Mapping[str, Any]) -> bool:
    """Return whether a complete answer asks for a tool, in any protocol."""
    choices = [choice.get("message") for choice in _mappings(body.get("choices"))]
    of_chat = (message for message in choices if isinstance(message, Mapping))
    items = [*_mappings(body.get("output")), *_mappings(body.get("content"))]
    return any(message.get("tool_calls") or message.get("function_call") for message in of_chat) or any(
        item.get("type") in {"function_call", "tool_use"} for item in items
    )


def _text(body: Mapping[str, Any]) -> str | None:
    choice = _first(body.get("choices"))
    if isinstance(message := choice.get("message"), Mapping):
        return _string(message.get("content"))
    if "text" in choice:
        return _string(choice["text"])
    items = [item for item in _mappings(body.get("output")) if item.get("type") == "message"]
    parts = [part for item in items for part in _mappings(item.get("content"))]
    texts = [_string(part.get("text")) for part in parts or _mappings(body.get("content"))]
    strings = [text for text in texts if text is not None]
    return "".join(strings) if strings else None


def _error(body: Mapping[str, Any]) -> str | None:
    """Find an error in an answer of good status: gateways put it in the body, or give no answer at all."""
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


def piece_of(event: Mapping[str, Any]) -> Any:
    """Return the piece of the first choice's text in an event, whatever the protocol."""
    choice = _first(event.get("choices"))
    if choice and choice.get("index", 0) == 0:
        change = choice.get("delta")
        return change.get("content") if isinstance(change, Mapping) else choice.get("text")
    delta = event.get("delta")
    if event.get("type") == "response.output_text.delta":
        return delta
    return delta.get("text") if isinstance(delta, Mapping) else None


def _origin(part: Mapping[str, Any]) -> dict[str, Any]:
    """Model, fingerprint and tokens of an answer, or of a part of a streamed one."""
    usage = part.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}
    prompt = _count(counts, "prompt_tokens", "input_tokens")
    completion = _count(counts, "completion_tokens", "output_tokens")
    if completion is None and prompt is not None and counts.get("total_tokens") == prompt:
        completion = 0  # embeddings: nothing is written, and the provider reports it so
    return {
        "model": _string(part.get("model")),
        "fingerprint": _string(part.get("system_fingerprint")),
        "id": _string(part.get("id")),
        "prompt_tokens": prompt or None,  # no request is empty
        "completion_tokens": completion,
    }


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    return next((usage[name] for name in names if isinstance(usage.get(name), int)), None)


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
    """Group the pieces of each streamed text: of each piece its mapping and the key in it."""
    pieces: Pieces = {}
    for event in events:
        if event is not None:
            _collect(event, tuple(event.get(name) for name in _MARKS), pieces)
    return pieces


def _collect(value: Any, marks: tuple[Any, ...], pieces: Pieces) -> None:
    """Gather pieces; texts are distinguished by their place in the event and by their choice."""
    if isinstance(value, dict):
        for name, part in value.items():
            if not isinstance(part, str):
                _collect(part, (*marks, name), pieces)
            elif name in _PIECES:
                place = repr((*marks, name))  # a text, since an index may be any JSON value
                pieces.setdefault(place, []).append((value, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            index = part.get("index", number) if isinstance(part, dict) else number
            _collect(part, (*marks, index), pieces)


def whole_reply(body: Any) -> Any:
    """
    All that a model wrote in an answer: every choice, its tool calls, reasoning and refusals.

    A stream gives its texts, with their pieces joined, and every other string of its events once.
    """
    if isinstance(body, Mapping):
        return {key: part for key, part in body.items() if key not in _OF_THE_PROVIDER}
    if not isinstance(body, str):
        return body
    lines = list(event_lines(body))
    pieces = streamed_pieces(event for _, event in lines)
    texts = ["".join(holder[name] for holder, name in parts) for parts in pieces.values()]
    others = dict.fromkeys(text for _, event in lines for text in _other_strings(event))
    bare = [line for line, event in lines if event is None and line.strip() not in {"", "data: [DONE]"}]
    return [*texts, *others, *(line for line in bare if not line.startswith("event:"))]


def _other_strings(value: Any, name: str = "") -> Iterator[str]:
    """The strings of an event that are no pieces."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _OF_THE_PROVIDER:
                yield from _other_strings(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _other_strings(part, name)
    elif isinstance(value, str) and name not in _PIECES:
        yield value


def streamed_tools(text: str) -> list[str]:
    """Each tool that a stream of events requests: its name and then its arguments, pieces joined."""
    tools: defaultdict[str, str] = defaultdict(str)
    for _, event in event_lines(text):
        for place, piece in _tool_pieces(event or {}):
            tools[repr(place)] += piece
    return list(tools.values())


def _tool_pieces(event: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The place of a tool call in the answer, and a piece of it."""
    for choice in _mappings(event.get("choices")):
        delta = choice.get("delta")
        for tool in _mappings(delta.get("tool_calls")) if isinstance(delta, Mapping) else ():
            if isinstance(function := tool.get("function"), Mapping):
                yield (choice.get("index"), tool.get("index")), _join(function.values())
    for name in ("content_block", "delta", "item"):
        part = event.get(name)
        if not isinstance(part, Mapping):
            continue
        is_done = event.get("type") == "response.output_item.done" and part.get("type") == "function_call"
        if is_done or part.get("type") in {"tool_use", "input_json_delta"}:
            values = (part.get("name"), part.get("arguments"), part.get("partial_json"))
            yield (event.get("index"), event.get("output_index")), _join(values)


def _join(values: Iterable[Any]) -> str:
    return "".join(value for value in values if isinstance(value, str))


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _first(value: Any) -> Mapping[str, Any]:
    return next(iter(_mappings(value)), {})


def retry_after_s(written: str | None) -> float | None:
    """Read seconds, or a date (RFC 9110, 10.2.3); None where there is no finite time to wait."""
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

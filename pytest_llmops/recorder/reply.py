"""Reads answers of models, in every protocol, complete or as a stream of events."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.recorder.bodies import event_lines, parse_body
from pytest_llmops.recorder.finish import finish_of, finish_of_events
from pytest_llmops.recorder.providers import LISTED, READERS
from pytest_llmops.recorder.providers.reader import ToolPiece, first, mapping, string

_OK = 200
_DONE = "[DONE]"
_EXCERPT = 300  # characters of a refusal
_ANY_TEXT = {"audio", "files", *LISTED}  # kinds whose answers need not be JSON

# The fields in which a streamed text comes piece by piece, so that a secret may be cut in two.
_PIECES = {
    "content", "reasoning", "reasoning_content", "refusal", "text", "thinking", "arguments", "partial_json",
    "delta", "response", "input", "generation", "outputText",
}  # fmt: skip
# Fields of an event by which it names the text that its pieces belong to.
_MARKS = ("type", "index", "output_index", "content_index")
# Fields of an answer that no model wrote.
_OF_THE_PROVIDER = frozenset({
    "created", "created_at", "id", "item_id", "model", "object", "obfuscation", "role", "signature",
    "system_fingerprint", "timings", "type", "usage", "headers", "usageMetadata", "modelVersion",
    "responseId", "generation_id", "metrics", "p",
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


def read_answer(
    status: int, content_type: str, content: bytes, *, whole: bool, kind: str = ""
) -> tuple[Any, Reply, str]:
    """
    Return an answer's body as in `parse_body`, its facts, and its fault in words, empty for a good one.

    Args:
        whole: The app read it to the end; if not, a missing end is no fault.
        kind: Of the call.
    """
    if status != _OK:
        return None, Reply(), f"the answer had status {status}: {error_text(content)}".rstrip(" :")
    try:
        body = parse_body(content, content_type, any_text=kind in _ANY_TEXT)
    except (ValueError, RecursionError):
        return None, Reply(ended=False), "the answer is not JSON" if whole else ""
    if kind in _ANY_TEXT:
        return body, Reply(ended=whole), ""
    reply = read_reply(body)
    if reply.error is not None:
        return body, reply, f"the provider answered with an error: {reply.error}"
    return body, reply, "the stream ended before its end mark" if whole and not reply.ended else ""


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
        return _read_stream(event_lines(body))
    if isinstance(body, list) and body and all(isinstance(event, Mapping) for event in body):
        return _read_stream(("", event) for event in body)  # a stream of Gemini that is one list
    if not isinstance(body, Mapping):
        return Reply()
    text = next((text for reader in READERS if (text := reader.text(body)) is not None), None)
    wrote = bool(text or requested_tools(body))
    facts = _without_zeros(_origin(body), wrote=wrote)
    return Reply(text=text, error=_error(body), finish=finish_of(body), **facts)


def _read_stream(lines: Iterable[tuple[str, Any]]) -> Reply:
    pieces: list[str] = []
    events: list[Mapping[str, Any]] = []
    fields: dict[str, Any] = {}
    ended, error, tools = False, None, False
    for line, event in lines:
        if event is None:
            ended = ended or (line.startswith("data:") and line[5:].strip() == _DONE)
            continue
        if failed := event.get("error") or (event.get("type") == "response.failed" and "the response failed"):
            error = _error_message(failed)
        if thrown := mapping(event.get("headers")).get(":exception-type"):
            error = f"{thrown}: {_error_message(event.get(thrown))}"
        inner = _inner(event)
        events.append(inner)
        if piece := piece_of(inner):
            pieces.append(piece)
        ended = ended or any(reader.ends(inner) for reader in READERS)
        tools = tools or any(True for _ in _tool_pieces(inner))
        for part in (inner, inner.get("message"), inner.get("response")):
            if isinstance(part, Mapping):
                fields.update({name: value for name, value in _origin(part).items() if value is not None})
    written = "".join(pieces)
    facts = _without_zeros(fields, wrote=bool(written or tools))
    return Reply(text=written, ended=ended, error=error, finish=finish_of_events(events), **facts)


def _inner(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event of another provider that Amazon's hands on, or the event itself."""
    inner = mapping(event.get("chunk")).get("bytes")
    return inner if isinstance(inner, Mapping) else event


def piece_of(event: Mapping[str, Any]) -> str | None:
    """Return the piece of the first choice's text in an event, whatever the protocol."""
    return next((piece for reader in READERS if (piece := reader.piece(event)) is not None), None)


def _without_zeros(fields: dict[str, Any], *, wrote: bool) -> dict[str, Any]:
    """Leave out the count of what was written that is zero: a gateway that counts nothing reports it so."""
    return {**fields, "completion_tokens": None} if wrote and fields.get("completion_tokens") == 0 else fields


def _error(body: Mapping[str, Any]) -> str | None:
    """Find an error in an answer of good status: gateways put it in the body, or give no answer at all."""
    if body.get("choices") == []:
        return "it holds no choice"
    if failed := first(body.get("choices")).get("error"):
        return _error_message(failed)
    answered = any(body.get(name) for name in ("choices", "output", "content", "candidates"))
    answered = answered or isinstance(body.get("message"), Mapping)  # a text there is the error's
    if (failed := body.get("error")) and (body.get("status") == "failed" or not answered):
        return _error_message(failed)
    return None


def _error_message(failed: Any) -> str:
    return str(failed.get("message") if isinstance(failed, Mapping) else failed)


def _origin(part: Mapping[str, Any]) -> dict[str, Any]:
    """Model, fingerprint and tokens of an answer, or of a part of a streamed one."""
    counts = [counts for reader in READERS if (counts := reader.counts(part)) is not None]
    prompt = next((prompt for prompt, _ in counts if prompt is not None), None)
    return {
        "model": next((model for reader in READERS if (model := reader.model(part))), None),
        "fingerprint": string(part.get("system_fingerprint")),
        "id": next((name for reader in READERS if (name := reader.answer_id(part))), None),
        "prompt_tokens": prompt or None,  # no request is empty
        "completion_tokens": next((written for _, written in counts if written is not None), None),
    }


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


def requested_tools(body: Any) -> list[tuple[str, str | Mapping[str, Any]]]:
    """Each tool that an answer requests, complete or a stream, with its arguments as they were written."""
    if isinstance(body, str):
        events = [_inner(event) for _, event in event_lines(body) if event is not None]
    else:
        events = [
            event for event in (body if isinstance(body, list) else [body]) if isinstance(event, Mapping)
        ]
    names: defaultdict[str, str] = defaultdict(str)
    complete: dict[str, Mapping[str, Any]] = {}
    pieces: defaultdict[str, str] = defaultdict(str)
    for number, event in enumerate(events):
        for place, name, arguments in _tool_pieces(event):
            # A piece with all of its arguments is a call by itself, whatever came at that place before.
            key = repr((place, number if isinstance(arguments, Mapping) else None))
            names[key] += name
            if isinstance(arguments, Mapping):
                complete[key] = arguments
            else:
                pieces[key] += arguments
    return [(name, complete.get(key, pieces[key])) for key, name in names.items()]


def _tool_pieces(event: Mapping[str, Any]) -> Iterator[ToolPiece]:
    """The pieces of tool calls in an answer or event, with the reader as a part of the place."""
    for number, reader in enumerate(READERS):
        for place, name, arguments in reader.tools(event):
            yield (number, *place), name, arguments

"""Reads what a model answered, whichever protocol it spoke, whole or streamed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pytest_llmops.recorder.event_stream import event_lines, mappings_in, string_of

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

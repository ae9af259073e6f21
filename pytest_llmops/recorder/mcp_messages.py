"""
Messages of the Model Context Protocol over HTTP, of its versions with a session and without.

No model answers them, so they are recorded only where a golden file lists them. Each is a JSON-RPC 2.0
message: its answer, JSON or an event of a stream, repeats its `id`, which clients draw anew in each session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_llmops.recorder.bodies import event_lines, rewrite_line
from pytest_llmops.recorder.providers.reader import JSONObject, mapping, mappings, string

_VOLATILE = frozenset({"progressToken", "traceparent", "tracestate", "baggage"})
"""Keys of `_meta` that change in every message and tell nothing of what is asked."""


def is_message(body: Any) -> bool:
    """Return whether the body of a request is a message; several at once (until 2025-06-18) are none."""
    return isinstance(body, Mapping) and body.get("jsonrpc") == "2.0" and isinstance(body.get("method"), str)


def without_id(message: JSONObject) -> dict[str, Any]:
    """The message as any session would send it."""
    body = {key: part for key, part in message.items() if key != "id"}
    params = body.get("params")
    if isinstance(params, Mapping) and isinstance(params.get("_meta"), Mapping):
        meta = {key: part for key, part in params["_meta"].items() if key not in _VOLATILE}
        body["params"] = {**params, "_meta": meta}
    return body


def has_answer(body: Any, message_id: Any) -> bool:
    """Return whether an answer, as `parse_body` gives it, is complete; a message without an id has none."""
    return message_id is None or any(_answers(event) for event in _events(body))


def with_id(body: Any, message_id: Any) -> Any:
    """The answer with the id of the message that it is given to."""
    if isinstance(body, str):
        return "\n".join(
            rewrite_line(line, json.dumps({**event, "id": message_id})) if event and _answers(event) else line
            for line, event in event_lines(body)
        )
    return {**body, "id": message_id} if _answers(body) else body


def tool_call(message: Any, body: Any) -> tuple[str, JSONObject, Any] | None:
    """Name, arguments and result of the tool that a message runs; None for any other message."""
    params = mapping(mapping(message).get("params"))
    name = string(params.get("name"))
    if mapping(message).get("method") != "tools/call" or not name:
        return None
    result = next((mapping(event.get("result")) for event in _events(body) if _answers(event)), {})
    texts = [part["text"] for part in mappings(result.get("content")) if isinstance(part.get("text"), str)]
    return name, mapping(params.get("arguments")), result.get("structuredContent") or "\n".join(texts) or None


def _events(body: Any) -> list[JSONObject]:
    if isinstance(body, str):
        return [event for _, event in event_lines(body) if event]
    return [body] if isinstance(body, Mapping) else []


def _answers(event: Any) -> bool:
    return isinstance(event, Mapping) and "id" in event and ("result" in event or "error" in event)

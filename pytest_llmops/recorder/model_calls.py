"""The model calls behind an output, as digests: what was asked, who answered, and whether it was the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from pytest_llmops.recorder.call import Call
from pytest_llmops.recorder.event_stream import streamed_tools
from pytest_llmops.records import ModelCall

_DIGITS = 16
_VOLATILE = frozenset({"id", "created", "created_at", "usage", "timings", "system_fingerprint", "model"})
"""What differs between two equal answers of a model."""


def note_calls(calls: Iterable[Call]) -> tuple[ModelCall, ...]:
    """The answered ones, in the order they began."""
    answered = (call for call in calls if call.answered)
    return tuple(
        ModelCall(
            key=call.key,
            kind=call.kind,
            model=call.model,
            reported=call.model_reported,
            fingerprint=call.fingerprint,
            tools=_tools(call.request),
            answer=_digest(_answer(call)),
        )
        for call in sorted(answered, key=lambda call: call.offset_s)
    )


def _answer(call: Call) -> Any:
    """The answer but for how it travelled: of a streamed one the words, and the tools that it asks for."""
    if isinstance(call.response, Mapping):
        return call.response
    tools = streamed_tools(call.response) if isinstance(call.response, str) else []
    return [call.text, tools] if tools else call.text


def _tools(request: Any) -> str:
    """Digest of the schemas that a request offers; empty where there are none."""
    tools = (request.get("tools") or request.get("functions")) if isinstance(request, Mapping) else None
    return _digest(tools) if tools else ""


def _digest(answer: Any) -> str:
    canonical = json.dumps(_lasting(answer), sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()[:_DIGITS]


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lasting(each) for key, each in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_lasting(each) for each in value]
    return value

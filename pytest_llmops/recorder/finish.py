"""
Reads why a model stopped writing, in every protocol.

The reason is a word of `NORMAL_ENDS`, else `length`, `refusal` or `content_filter`, else the provider's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_llmops.printable import printable
from pytest_llmops.recorder.providers.reader import mappings
from pytest_llmops.records import NORMAL_ENDS

_WORD = 40  # characters
_MEANT: Mapping[str, str] = {
    written: meant
    for meant, words in {
        "stop": "complete completed end_turn eos eos_token pause_turn stop_sequence",
        "tool_calls": "function_call tool_use tool_call",
        "length": "max_tokens max_output_tokens model_length model_context_window_exceeded",
        "content_filter": "content_filtered safety guardrail_intervened prohibited_content",
    }.items()
    for written in words.split()
}
_OF_EVENTS = ("choices", "candidates", "messageStop", "done_reason")
_LAST_EVENTS = frozenset({"response.completed", "response.failed", "response.incomplete"})


def finish_of(body: Mapping[str, Any]) -> str:
    """Return why an answer ended; empty where the provider does not say so."""
    return _worst(_ends(body))


def finish_of_events(events: Iterable[Mapping[str, Any]]) -> str:
    """Return why a streamed answer ended, as `finish_of`."""
    return _worst(end for event in events for end in _ends_of_event(event))


def _worst(written: Iterable[Any]) -> str:
    """Return the first end that is not normal, of several choices too; else the first."""
    words = [word.strip().lower() for word in written if isinstance(word, str) and word.strip()]
    ends = [printable(_MEANT.get(word, word), _WORD) for word in words]
    return next((end for end in ends if end not in NORMAL_ENDS), ends[0] if ends else "")


def _ends(body: Mapping[str, Any]) -> Iterator[Any]:
    for choice in mappings(body.get("choices")):
        for message in mappings([choice.get("message"), choice.get("delta")]):
            yield "refusal" if message.get("refusal") else None
        yield choice.get("finish_reason")
    details = body.get("incomplete_details")
    if isinstance(details, Mapping):
        yield details.get("reason")
    elif body.get("object") == "response":
        yield body.get("status")
    for item in mappings(body.get("output")):
        for part in mappings(item.get("content")):
            yield "refusal" if part.get("type") == "refusal" else None
    for candidate in mappings(body.get("candidates")):
        yield candidate.get("finishReason")  # Gemini
    stopped = body.get("messageStop")
    yield stopped.get("stopReason") if isinstance(stopped, Mapping) else None  # Bedrock, a stream
    for name in ("stop_reason", "stopReason", "done_reason", "finish_reason"):
        yield body.get(name)  # Anthropic, Bedrock, Ollama, Cohere


def _ends_of_event(event: Mapping[str, Any]) -> Iterator[Any]:
    yield from _ends({name: event.get(name) for name in _OF_EVENTS})
    for name in ("response", "delta"):
        part = event.get(name)
        if isinstance(part, Mapping) and (name == "delta" or str(event.get("type")) in _LAST_EVENTS):
            yield from _ends(part)

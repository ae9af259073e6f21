"""The instructions that an app sent to its models, read off the spans of its model calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_llmops.detect.texts import walk
from pytest_llmops.records import Span

_ROLES = frozenset({"system", "developer"})
_LISTS = ("messages", "input", "gen_ai.input.messages")
_ASKED = frozenset({"messages", "contents", "instructions"})
_TEXTS = ("instructions", "system", "gen_ai.system_instructions")


def find_system_prompts(spans: Iterable[Span]) -> tuple[str, ...]:
    """Each once, in the order in which they were sent."""
    found: dict[str, None] = {}
    for span in spans:
        for holder in (span.attributes.get("request"), span.attributes):
            if isinstance(holder, Mapping):
                found.update(dict.fromkeys(_read(holder)))
    return tuple(found)


def calls_chat(spans: Iterable[Span]) -> bool:
    """Whether a chat model was called, so that a system prompt could have been sent; embeddings have none."""
    requests = (span.attributes.get("request") for span in spans)
    return any(isinstance(each, Mapping) and not each.keys().isdisjoint(_ASKED) for each in requests)


def _read(holder: Mapping[str, Any]) -> Iterator[str]:
    for key in _LISTS:
        messages = _parsed(holder.get(key))
        for message in messages if isinstance(messages, list | tuple) else ():
            if isinstance(message, Mapping) and message.get("role") in _ROLES:
                yield from _texts(message.get("content", message.get("parts")))
    for key in _TEXTS:
        yield from _texts(_parsed(holder.get(key)))


def _texts(value: Any) -> Iterator[str]:
    """Texts of some length: a part's `type` is none that anybody wrote for the model."""
    for _, text in walk(value):
        if " " in text.strip():
            yield text


def _parsed(value: Any) -> Any:
    """Attributes of spans contain structures as JSON texts."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value

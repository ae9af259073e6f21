"""
What a trace says of an answer: the passages retrieved and the tools called.

Attribute names are those of OpenTelemetry's GenAI conventions and of OpenInference, so an app that
returns a plain string still gets recall@k.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.records import Passage, Span, ToolCall

_DOCUMENT = re.compile(r"retrieval\.documents\.(?P<rank>\d+)\.document\.(?P<field>id|content|score)\Z")


def passages_of(spans: Sequence[Span]) -> tuple[Passage, ...] | None:
    """The passages of the last retrieval, best first; None when no span has one."""
    passages: tuple[Passage, ...] | None = None
    for span in sorted(spans, key=lambda span: span.start):
        documents = _open_inference(span.attributes)
        if documents is None and "gen_ai.retrieval.documents" in span.attributes:
            documents = _json_list(span.attributes["gen_ai.retrieval.documents"])
        if documents is not None:
            passages = tuple(_passage(document) for document in documents)
    return passages


def tool_calls_of(spans: Iterable[Span]) -> tuple[ToolCall, ...]:
    """The tools that were run, in order of their start."""
    calls = []
    for span in sorted(spans, key=lambda span: span.start):
        name = span.attributes.get("gen_ai.tool.name") or span.attributes.get("tool.name")
        if isinstance(name, str):
            arguments = _json(
                span.attributes.get("gen_ai.tool.call.arguments", span.attributes.get("tool.parameters"))
            )
            calls.append(
                ToolCall(
                    name=name,
                    arguments=arguments if isinstance(arguments, dict) else {},
                    result=_json(span.attributes.get("gen_ai.tool.call.result")),
                )
            )
    return tuple(calls)


def _open_inference(attributes: Mapping[str, Any]) -> list[Any] | None:
    documents: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        if matched := _DOCUMENT.match(key):
            documents.setdefault(int(matched["rank"]), {})[matched["field"]] = value
    return [documents[rank] for rank in sorted(documents)] if documents else None


def _passage(document: Any) -> Passage:
    if not isinstance(document, dict):
        return Passage(id=str(document), text=str(document))
    score = document.get("score")
    return Passage(
        id=str(document.get("id", "")),
        text=str(document.get("content", document.get("text", ""))),
        score=float(score) if isinstance(score, int | float) else None,
    )


def _json_list(value: Any) -> list[Any]:
    read = _json(value)
    return read if isinstance(read, list) else list(read) if isinstance(read, tuple) else []


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value

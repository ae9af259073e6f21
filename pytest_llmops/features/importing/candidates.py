"""Candidates for golden cases: questions and answers in traces, data sets and tables."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from pytest_llmops.records import Span
from pytest_llmops.traces.decoding.documents import read_documents, read_spans
from pytest_llmops.traces.decoding.values import DecodingError
from pytest_llmops.traces.reading import as_json

_INPUTS = ("input", "question", "query", "prompt", "user_input", "text")
_REFERENCES = ("reference", "expected", "expected_output", "ground_truth", "answer", "output", "response")
_USERS = frozenset({"user", "human"})
_ASSISTANTS = frozenset({"assistant", "ai", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """
    A question that may become a case.

    Attributes:
        id: Its name in the source; else empty.
        reference: The expected or the recorded answer.
    """

    input: Any
    id: str = ""
    reference: str | None = None
    tags: tuple[str, ...] = ()


def read_candidates(text: str, *, table: bool) -> list[Candidate]:
    """
    Read the candidates of a file.

    Args:
        table: It is CSV with a header; else JSON or JSON lines.

    Raises:
        DecodingError: Its format is unknown.
    """
    if table:
        return list(filter(None, map(_of_row, _read_table(text))))
    documents = read_documents(text)
    if (
        len(documents) == 1
        and isinstance(documents[0], Mapping)
        and isinstance(documents[0].get("examples"), list)
    ):
        documents = documents[0]["examples"]
    candidates = list(filter(None, map(_of_example, documents)))
    if candidates and len(candidates) == len(documents):
        return candidates
    return list(_of_spans(list(read_spans(documents))))


def _read_table(text: str) -> Iterator[dict[str, str]]:
    try:
        rows = list(csv.DictReader(StringIO(text), strict=True))
    except csv.Error as error:
        raise DecodingError(f"it is no CSV ({error})") from None
    if not rows or not any(name in _named(rows[0]) for name in _INPUTS):
        raise DecodingError(f"its header has none of the columns {', '.join(_INPUTS)}")
    for row in rows:
        yield _named(row)


def _named(row: Mapping[Any, Any]) -> dict[str, str]:
    return {str(key).strip().lower(): value for key, value in row.items() if isinstance(value, str)}


def _of_example(value: Any) -> Candidate | None:
    """Read an example of a data set: `inputs` and `outputs` without a run's fields, or a plain row."""
    if not isinstance(value, Mapping) or "run_type" in value or "dotted_order" in value or "span_id" in value:
        return None
    if isinstance(value.get("inputs"), Mapping):
        return _of_pair(value["inputs"], value.get("outputs"), str(value.get("name") or ""), _tags_of(value))
    return _of_row(value)


def _of_row(row: Mapping[str, Any]) -> Candidate | None:
    question = next((row[name] for name in _INPUTS if row.get(name)), None)
    if question is None:
        return None
    answer = next((row[name] for name in _REFERENCES if isinstance(row.get(name), str) and row[name]), None)
    return Candidate(input=question, id=str(row.get("id") or ""), reference=answer, tags=_tags_of(row))


def _of_spans(spans: Sequence[Span]) -> Iterator[Candidate]:
    """Yield one of each trace: of its root, or of the first span with a question."""
    traces: dict[str, list[Span]] = {}
    for span in spans:
        if span.kind not in {"feedback", "log"}:
            traces.setdefault(span.trace_id or f"span {span.span_id}", []).append(span)
    for trace in traces.values():
        ordered = sorted(trace, key=lambda span: (span.parent_id is not None, span.start))
        if candidate := next(filter(None, map(_of_span, ordered)), None):
            yield candidate


def _of_span(span: Span) -> Candidate | None:
    attributes = span.attributes
    if span.origin == "langsmith":
        inputs = attributes.get("inputs")
        pair = inputs if isinstance(inputs, Mapping) else {"input": inputs}
        return _of_pair(pair, attributes.get("outputs"), span.name, _tags_of(attributes)) if inputs else None
    question = _last_text(attributes.get("gen_ai.input.messages"), _USERS) or as_json(
        attributes.get("input.value")
    )
    answer = _last_text(attributes.get("gen_ai.output.messages"), _ASSISTANTS) or attributes.get(
        "output.value"
    )
    if not question:
        return None
    pair = question if isinstance(question, Mapping) else {"input": question}
    return _of_pair(pair, {"output": answer} if answer else None, span.name, ())


def _of_pair(inputs: Mapping[str, Any], outputs: Any, name: str, tags: tuple[str, ...]) -> Candidate | None:
    """Make a candidate of inputs and outputs; several inputs stay a mapping, as the app takes them."""
    question: Any = dict(inputs)
    if len(inputs) == 1:
        only = next(iter(inputs.values()))
        question = _last_text(only, _USERS) or only
    reference = _answer_in(outputs)
    return Candidate(input=question, id=name, reference=reference, tags=tags) if question else None


def _answer_in(outputs: Any) -> str | None:
    read = as_json(outputs)
    if isinstance(read, str):
        return read or None
    if not isinstance(read, Mapping):
        return None
    values = [read[name] for name in _REFERENCES if read.get(name)] or list(read.values())[:1]
    for value in values:
        text = value if isinstance(value, str) else _last_text(value, _ASSISTANTS)
        if text:
            return text
    return None


def _last_text(messages: Any, roles: Collection[Any]) -> str:
    """Return the text of the last message of a role, as OpenAI, LangChain or OpenTelemetry has it."""
    read = as_json(messages)
    listed = read if isinstance(read, list) else [read]
    if listed and isinstance(listed[-1], list):  # a batch of conversations
        listed = listed[-1]
    for message in reversed(listed):
        if isinstance(message, Mapping) and (message.get("role") or message.get("type")) in roles:
            content = message.get("content", message.get("parts"))
            if text := _text_of(content):
                return text
    return ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text", part.get("content")) for part in parts if isinstance(part, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))


def _tags_of(value: Mapping[str, Any]) -> tuple[str, ...]:
    tags = value.get("tags")
    if isinstance(tags, str):
        tags = tags.replace(";", ",").split(",")
    if not isinstance(tags, list):
        return ()
    return tuple(dict.fromkeys(tag.strip() for tag in tags if isinstance(tag, str) and tag.strip()))

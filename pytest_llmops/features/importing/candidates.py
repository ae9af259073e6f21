"""Questions and answers that traces, data sets and tables hold, as candidates for golden cases."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from pytest_llmops.records import Span
from pytest_llmops.traces.decoding.documents import read_documents, read_spans
from pytest_llmops.traces.decoding.values import DecodingError
from pytest_llmops.traces.tools import as_json

_INPUTS = ("input", "question", "query", "prompt", "user_input", "text")
_REFERENCES = ("reference", "expected", "expected_output", "ground_truth", "answer", "output", "response")
_USERS = frozenset({"user", "human"})
_ASSISTANTS = frozenset({"assistant", "ai", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """
    Attributes:
        id: As its source names it; empty where that has no name for it.
        reference: The expected answer, or the one that was given then.
    """

    input: Any
    id: str = ""
    reference: str | None = None
    tags: tuple[str, ...] = ()


def read_candidates(text: str, *, table: bool) -> list[Candidate]:
    """
    The candidates of a file.

    Args:
        table: It is CSV with a header; else JSON or JSON lines.

    Raises:
        DecodingError: It is in no format that is known.
    """
    if table:
        return [each for row in _read_table(text) if (each := _of_row(row)) is not None]
    documents = read_documents(text)
    if (
        len(documents) == 1
        and isinstance(documents[0], Mapping)
        and isinstance(documents[0].get("examples"), list)
    ):
        documents = documents[0]["examples"]
    rows = [_of_example(document) for document in documents]
    found = [row for row in rows if row is not None]
    return found if rows and len(found) == len(rows) else list(_of_spans(list(read_spans(documents))))


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
    """An example of a data set: `inputs` and `outputs` without a run's fields, or a plain row."""
    if not isinstance(value, Mapping) or "run_type" in value or "dotted_order" in value or "span_id" in value:
        return None
    if isinstance(value.get("inputs"), Mapping):
        return _of_pair(value["inputs"], value.get("outputs"), str(value.get("name") or ""), _tags_of(value))
    return _of_row(value)


def _of_row(row: Mapping[str, Any]) -> Candidate | None:
    asked = next((row[name] for name in _INPUTS if row.get(name)), None)
    if asked is None:
        return None
    answer = next((row[name] for name in _REFERENCES if isinstance(row.get(name), str) and row[name]), None)
    return Candidate(input=asked, id=str(row.get("id") or ""), reference=answer, tags=_tags_of(row))


def _of_spans(spans: Sequence[Span]) -> Iterator[Candidate]:
    """One of each trace: of its root, or of the first span that has a question."""
    traces: dict[str, list[Span]] = {}
    for span in spans:
        if span.kind not in {"feedback", "log"}:
            traces.setdefault(span.trace_id or f"span {span.span_id}", []).append(span)
    for trace in traces.values():
        ordered = sorted(trace, key=lambda span: (span.parent_id is not None, span.start))
        found = (_of_span(span) for span in ordered)
        candidate = next((each for each in found if each is not None), None)
        if candidate is not None:
            yield candidate


def _of_span(span: Span) -> Candidate | None:
    said = span.attributes
    if span.origin == "langsmith":
        inputs = said.get("inputs")
        pair = inputs if isinstance(inputs, Mapping) else {"input": inputs}
        return _of_pair(pair, said.get("outputs"), span.name, _tags_of(said)) if inputs else None
    asked = _last_text(said.get("gen_ai.input.messages"), _USERS) or as_json(said.get("input.value"))
    answer = _last_text(said.get("gen_ai.output.messages"), _ASSISTANTS) or said.get("output.value")
    if not asked:
        return None
    pair = asked if isinstance(asked, Mapping) else {"input": asked}
    return _of_pair(pair, {"output": answer} if answer else None, span.name, ())


def _of_pair(inputs: Mapping[str, Any], outputs: Any, name: str, tags: tuple[str, ...]) -> Candidate | None:
    """A candidate of what went in and came out; several inputs stay a mapping, as the app takes them."""
    asked: Any = dict(inputs)
    if len(inputs) == 1:
        only = next(iter(inputs.values()))
        asked = _last_text(only, _USERS) or only
    return Candidate(input=asked, id=name, reference=_answer_in(outputs), tags=tags) if asked else None


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
    """The text of the last message of a role, as OpenAI, LangChain or OpenTelemetry has it; else nothing."""
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
    listed = (
        tags.replace(";", ",").split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else ()
    )
    return tuple(dict.fromkeys(tag.strip() for tag in listed if isinstance(tag, str) and tag.strip()))

"""Reads a file of traces, in any format: JSON or JSON lines of OTLP, of LangSmith or of our own spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from pytest_llmops.records import Span
from pytest_llmops.traces.decoding.langsmith import RunPart, Runs, is_batch, is_run, read_batch
from pytest_llmops.traces.decoding.otlp import is_otlp, read_otlp
from pytest_llmops.traces.decoding.values import (
    DecodingError,
    others_event,
    parse_body,
    read_time,
    read_trace_id,
)

_FIELDS = frozenset(field.name for field in fields(Span)) - {"repeat"}
_LISTS = ("runs", "spans", "data")


def read_documents(text: str) -> list[Any]:
    """
    Return the JSON values of a text: the items of a list, the one value, or one of each line.

    Raises:
        DecodingError: It is neither JSON nor JSON lines.
    """
    try:
        value = parse_body(text)
    except DecodingError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) <= 1:
            raise
        return [parse_body(line) for line in lines]
    if isinstance(value, Mapping) and len(value) == 1:
        value = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), value)
    return value if isinstance(value, list) else [value]


def read_spans(documents: Iterable[Any]) -> Iterator[Span]:
    """
    Convert JSON values; a run that occurs several times is one span, the last.

    Raises:
        DecodingError: A value is of no known format.
    """
    runs = Runs()
    last: dict[str, Span] = {}
    for document in documents:
        parts: Iterable[RunPart] = ()
        if is_otlp(document):
            yield from read_otlp(document)
        elif is_batch(document):
            parts = read_batch(document)
        elif is_run(document):
            parts = (RunPart("post", run) for run in _with_children(document))
        elif isinstance(document, Mapping) and "span_id" in document and "name" in document:
            yield read_own_span(document)
        else:
            raise DecodingError("it holds something that is no OTLP request, no LangSmith run and no span")
        for part in parts:
            span = runs.add(part)
            last[span.span_id or f"#{len(last)}"] = span
    yield from last.values()


def _with_children(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a run and those that an export nests in it."""
    waiting: list[Mapping[str, Any]] = [run]
    while waiting:
        parent = dict(waiting.pop())
        children = parent.pop("child_runs", None)
        if isinstance(children, list) and all(map(is_run, children)):
            waiting += children
        elif children:
            parent["child_runs"] = children
        yield parent


def read_own_span(value: Mapping[str, Any]) -> Span:
    """Read a span of our own lines; values of an unexpected type become an event of it."""
    wrong = {key: part for key, part in value.items() if key not in _FIELDS}

    def take(name: str, kind: type, default: Any) -> Any:
        part = value.get(name, default)
        if isinstance(part, kind):
            return part
        if part is not None:
            wrong[name] = part
        return default

    attributes, resource = take("attributes", Mapping, {}), take("resource", Mapping, {})
    events = take("events", list, [])
    times = {name: read_time(value.get(name)) for name in ("start", "end")}
    wrong |= {name: value.get(name) for name, time_s in times.items() if time_s is None}
    odd = [event for event in events if not isinstance(event, Mapping)]
    return Span(
        span_id=read_trace_id(value.get("span_id")),
        parent_id=read_trace_id(value.get("parent_id")) or None,
        name=take("name", str, ""),
        kind=take("kind", str, "") or "span",
        start=times["start"] or 0.0,
        end=times["end"] or 0.0,
        attributes=attributes,
        status=take("status", str, "") or "unset",
        trace_id=read_trace_id(value.get("trace_id")),
        origin=take("origin", str, ""),
        resource=resource,
        events=(
            *(dict(event) for event in events if isinstance(event, Mapping)),
            *others_event({**wrong, "records": odd}),
        ),
    )

"""A file of traces, in whatever format: JSON or JSON lines of OTLP, of LangSmith or of our own spans."""

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

_FIELDS = frozenset(field.name for field in fields(Span))
_LISTS = ("runs", "spans", "data")


def read_documents(text: str) -> list[Any]:
    """
    The JSON values of a text: the items of a list, the one value, or one of each line.

    Raises:
        DecodingError: It is neither JSON nor JSON lines.
    """
    try:
        value = parse_body(text)
    except DecodingError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:  # noqa: PLR2004 - one line is no JSON either
            raise
        return [parse_body(line) for line in lines]
    if isinstance(value, Mapping):
        listed = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
        return listed if listed is not None and len(value) == 1 else [value]
    return value if isinstance(value, list) else [value]


def read_spans(documents: Iterable[Any]) -> Iterator[Span]:
    """
    The spans of JSON values; a run that occurs several times is one span, the last.

    Raises:
        DecodingError: A value is of no format that is known.
    """
    runs = Runs()
    found: dict[str, Span] = {}
    for document in documents:
        if is_otlp(document):
            yield from read_otlp(document)
        elif is_batch(document):
            for part in read_batch(document):
                _keep(found, runs.add(part))
        elif is_run(document):
            for run in _with_children(document):
                _keep(found, runs.add(RunPart("post", run)))
        elif is_own_span(document):
            yield read_own_span(document)
        else:
            raise DecodingError("it holds something that is no OTLP request, no LangSmith run and no span")
    yield from found.values()


def _keep(found: dict[str, Span], span: Span) -> None:
    found[span.span_id or f"#{len(found)}"] = span


def _with_children(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A run and those that an export nests in it."""
    waiting: list[Mapping[str, Any]] = [run]
    while waiting:
        each = dict(waiting.pop())
        children = each.pop("child_runs", None)
        if isinstance(children, list) and all(map(is_run, children)):
            waiting += children
        elif children:
            each["child_runs"] = children
        yield each


def is_own_span(value: Any) -> bool:
    return isinstance(value, Mapping) and "span_id" in value and "name" in value


def read_own_span(value: Mapping[str, Any]) -> Span:
    """A span of our own lines; what has another type than it should have is an event of it."""
    wrong = {key: each for key, each in value.items() if key not in _FIELDS}

    def take(name: str, kinds: type | tuple[type, ...], otherwise: Any) -> Any:
        each = value.get(name, otherwise)
        if isinstance(each, kinds) and not isinstance(each, bool):
            return each
        if each is not None:
            wrong[name] = each
        return otherwise

    attributes, resource = take("attributes", Mapping, {}), take("resource", Mapping, {})
    events = [dict(each) for each in take("events", list, []) if isinstance(each, Mapping)]
    odd = [each for each in take("events", list, []) if not isinstance(each, Mapping)]
    times = {name: read_time(value.get(name)) or 0.0 for name in ("start", "end")}
    wrong |= {name: value.get(name) for name in times if read_time(value.get(name)) is None}
    texts = {name: take(name, str, "") for name in ("name", "kind", "status", "origin")}
    return Span(
        span_id=read_trace_id(value.get("span_id")),
        parent_id=read_trace_id(value.get("parent_id")) or None,
        name=texts["name"],
        kind=texts["kind"] or "span",
        start=times["start"],
        end=times["end"],
        attributes=attributes,
        status=texts["status"] or "unset",
        trace_id=read_trace_id(value.get("trace_id")),
        origin=texts["origin"],
        resource=resource,
        events=(*events, *others_event({**wrong, "records": odd})),
    )

"""
LangSmith runs as spans: posts of its client, JSON or multipart, and exports.

A run is posted when it begins and patched when it ends; both together are one run. Values that a patch
replaced stay, under `earlier`: they were sent all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Literal

from cachetools import LRUCache

from pytest_llmops.records import Span
from pytest_llmops.traces.decoding.values import (
    DecodingError,
    mappings,
    others_event,
    parse_body,
    read_time,
    read_trace_id,
    read_uuid,
    take_time,
)

Operation = Literal["post", "patch", "feedback"]

_MOST_RUNS = 16_384  # kept for a patch that may come
_RUN_TYPES = frozenset({"tool", "chain", "llm", "retriever", "embedding", "prompt", "parser"})
_IDS = frozenset({"id", "trace_id", "parent_run_id"})
_ORDER = re.compile(r"(?:^|\.)\d{8}T\d{12}Z[0-9a-f-]{36}")
_REPLACED_FREELY = frozenset({"end_time", "status", "dotted_order", "events", "extra"})

_OPERATIONS: Mapping[str, Operation] = {"post": "post", "patch": "patch", "feedback": "feedback"}
_NAME = re.compile(rb'name="((?:[^"\\]|\\.)*)"')
_PART = re.compile(r"(?P<operation>post|patch|feedback)\.(?P<id>[^.]+)(?:\.(?P<field>.+))?", re.DOTALL)
_ATTACHMENT = re.compile(r"attachment\.(?P<id>[^.]+)\.(?P<name>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RunPart:
    """A run, a change of one, or feedback on one, as it was posted."""

    operation: Operation
    fields: Mapping[str, Any]


@dataclass(slots=True)
class Runs:
    """The runs of one receiver or file, each with all its fields so far."""

    _known: LRUCache[str, dict[str, Any]] = field(default_factory=lambda: LRUCache(_MOST_RUNS))

    def add(self, part: RunPart) -> Span:
        """Return the span of a run as it is now, or of a feedback."""
        if part.operation == "feedback":
            return read_feedback(part.fields)
        run_id = read_trace_id(part.fields.get("id"))
        known = self._known.get(run_id)
        fields = dict(part.fields) if known is None else _merge(known, part)
        if run_id:
            self._known[run_id] = fields
        return read_run(fields)


def _merge(known: Mapping[str, Any], part: RunPart) -> dict[str, Any]:
    """Join the fields of a run: a patch goes before the post, whichever came first."""
    first, last = (known, part.fields) if part.operation == "patch" else (part.fields, known)
    merged = {**first, **{key: value for key, value in last.items() if value is not None}}
    earlier = {
        key: value
        for key, value in first.items()
        if not _is_empty(value)
        and not _contains(merged[key], value)
        and not (key in _REPLACED_FREELY and _is_dull(value))
    }
    if earlier:
        before = first.get("earlier")
        listed = before if isinstance(before, list) else [] if before is None else [before]
        merged["earlier"] = [*listed, earlier]
    return merged


def _contains(new: Any, old: Any) -> bool:
    """Return whether the new value has everything that the old one had."""
    if new == old:
        return True
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return all(key in new and _contains(new[key], value) for key, value in old.items())
    return isinstance(new, list) and isinstance(old, list) and new[: len(old)] == old


def _is_dull(value: Any) -> bool:
    return isinstance(value, str) and (read_time(value) is not None or _is_order(value) or value.isalpha())


def _is_empty(value: Any) -> bool:
    return value in (None, {}, [], "")


def is_run(value: Any) -> bool:
    """Return whether a JSON value is a run, and no other mapping with an id."""
    return (
        isinstance(value, Mapping)
        and "id" in value
        and (value.get("run_type") in _RUN_TYPES or ("trace_id" in value and "dotted_order" in value))
    )


def is_batch(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and set(value) <= {"post", "patch"}


def read_batch(batch: Any) -> Iterator[RunPart]:
    """Yield the parts of `{"post": […], "patch": […]}`; anything else in it becomes one run."""
    others: list[Any] = []
    fields = dict(batch) if isinstance(batch, Mapping) else {"body": batch}
    for operation in ("post", "patch"):
        for run in mappings(fields.pop(operation, None), others):
            yield RunPart(operation, run)
    if others or fields:
        yield RunPart("post", {**fields, **({"records": others} if others else {})})


def read_run(run: Mapping[str, Any]) -> Span:
    """Convert a run; inputs, outputs, tags, metadata and whatever else it has are attributes."""
    fields = {key: value for key, value in run.items() if key not in _IDS and not is_id(key, value)}
    start, end = (take_time(fields, key, read_time) for key in ("start_time", "end_time"))
    others: list[Any] = []
    events = [_read_event(event) for event in mappings(fields.pop("events", None), others)]
    name = fields.pop("name", None)
    status, error = fields.pop("status", None), fields.get("error")
    return Span(
        span_id=read_trace_id(run.get("id")),
        parent_id=read_trace_id(run.get("parent_run_id")) or None,
        name=str(name or ""),
        kind=str(fields.pop("run_type", None) or "run"),
        start=start,
        end=end,
        attributes={key: value for key, value in fields.items() if not _is_empty(value)},
        events=(*events, *others_event({"records": others})),
        status=f"error: {error}" if error else str(status or "unset"),
        trace_id=read_trace_id(run.get("trace_id") or run.get("id")),
        origin="langsmith",
    )


def read_feedback(feedback: Mapping[str, Any]) -> Span:
    """Convert a rating of a run to a span below the run's."""
    return Span(
        span_id=read_trace_id(feedback.get("id")),
        parent_id=read_trace_id(feedback.get("run_id")) or None,
        name="feedback",
        kind="feedback",
        attributes={
            key: value
            for key, value in feedback.items()
            if key != "id" and value is not None and not is_id(key, value)
        },
        trace_id=read_trace_id(feedback.get("trace_id") or feedback.get("run_id")),
        origin="langsmith",
    )


def _read_event(event: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in event.items() if key != "name"}
    if read_time(rest.get("time")) is not None:
        del rest["time"]
    return {"name": str(event.get("name") or ""), "attributes": rest}


def is_id(key: str, value: Any) -> bool:
    """Return whether a field is a random id, or ids, or made of such, and so no text."""
    if key == "dotted_order":
        return isinstance(value, str) and _is_order(value)
    if isinstance(value, list):
        return bool(value) and all(map(read_uuid, value))
    return bool(read_uuid(value))


def _is_order(value: str) -> bool:
    return bool(value) and not _ORDER.sub("", value)


def read_multipart(content_type: str, body: bytes) -> list[RunPart]:
    """
    Read runs and feedback from the parts `post.ID`, `post.ID.inputs`, `attachment.ID.NAME`, `feedback.ID`.

    Attachments become text in their run.

    Raises:
        DecodingError: It is no multipart body, it is cut off, or a part of it is no JSON.

    Source: `langsmith/_internal/_operations.py` of LangSmith's client.
    """
    runs: dict[tuple[Operation, str], dict[str, Any]] = {}
    for name, content in _split(content_type, body):
        if attached := _ATTACHMENT.fullmatch(name):
            attachments = _run_of(runs, attached["id"]).setdefault("attachments", {})
            attachments[attached["name"]] = content.decode(errors="replace")
        elif part := _PART.fullmatch(name):
            fields = runs.setdefault((_OPERATIONS[part["operation"]], part["id"]), {"id": part["id"]})
            value = parse_body(content)
            if part["field"]:
                fields[part["field"]] = value
            else:
                fields.update(value if isinstance(value, Mapping) else {"body": value})
        else:
            _run_of(runs, "")[name] = content.decode(errors="replace")
    return [RunPart(operation, fields) for (operation, _), fields in runs.items()]


def _run_of(runs: dict[tuple[Operation, str], dict[str, Any]], run_id: str) -> dict[str, Any]:
    """Return the run that an attachment belongs to; its own part may be in another body."""
    if ("post", run_id) in runs:
        return runs["post", run_id]
    return runs.setdefault(("patch", run_id), {"id": run_id})


def _split(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_boundary()
    if not boundary:
        raise DecodingError("its multipart boundary is missing")
    marker = b"--" + boundary.encode(errors="replace")
    first, *parts = (b"\r\n" + body).split(b"\r\n" + marker)
    if not parts or not parts[-1].startswith(b"--") or first.strip():
        raise DecodingError("its multipart body is cut off")
    for part in parts[:-1]:
        head, blank, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not blank or name is None:
            raise DecodingError("a part of its multipart body has no name")
        yield name[1].decode(errors="replace"), content

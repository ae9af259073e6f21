"""
LangSmith runs as spans: what its client posts, and what an export holds.

A run is posted when it begins and patched when it ends; where both are there they are one run. What a patch
replaced stays, under `earlier`: it was sent all the same.
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


@dataclass(frozen=True, slots=True)
class RunPart:
    """One thing that was posted: a run, a change of one, or feedback on one."""

    operation: Operation
    fields: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        return read_trace_id(self.fields.get("id"))


@dataclass(slots=True)
class Runs:
    """The runs of one receiver or file, each with what was said of it so far."""

    _known: LRUCache[str, dict[str, Any]] = field(default_factory=lambda: LRUCache(_MOST_RUNS))

    def add(self, part: RunPart) -> Span:
        """The span of a run as it is now, or of a feedback."""
        if part.operation == "feedback":
            return read_feedback(part.fields)
        known = self._known.get(part.run_id)
        fields = dict(part.fields) if known is None else _merge(known, part)
        if part.run_id:
            self._known[part.run_id] = fields
        return read_run(fields)


def _merge(known: Mapping[str, Any], part: RunPart) -> dict[str, Any]:
    """Both of a run: what a patch says goes before what the post said, whichever came first."""
    first, last = (known, part.fields) if part.operation == "patch" else (part.fields, known)
    merged = {**first, **{key: value for key, value in last.items() if value is not None}}
    earlier = {
        key: value
        for key, value in first.items()
        if value not in (None, {}, [], "") and merged[key] != value and not _holds(merged[key], value)
    }
    texts = {
        key: value for key, value in earlier.items() if key not in _REPLACED_FREELY or not _is_dull(value)
    }
    return {**merged, **({"earlier": [*_listed(first.get("earlier")), texts]} if texts else {})}


def _holds(new: Any, old: Any) -> bool:
    """Whether the new value has all that the old one had."""
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return all(
            key in new and (new[key] == value or _holds(new[key], value)) for key, value in old.items()
        )
    return isinstance(new, list) and isinstance(old, list) and new[: len(old)] == old


def _is_dull(value: Any) -> bool:
    return isinstance(value, str) and (read_time(value) is not None or _is_order(value) or value.isalpha())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def is_run(value: Any) -> bool:
    """Whether a JSON value is a run, and no other mapping with an id."""
    return (
        isinstance(value, Mapping)
        and "id" in value
        and (value.get("run_type") in _RUN_TYPES or ("trace_id" in value and "dotted_order" in value))
    )


def is_batch(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and set(value) <= {"post", "patch"}


def read_batch(batch: Any) -> Iterator[RunPart]:
    """The parts of `{"post": […], "patch": […]}`; what is no run is one that only holds it."""
    others: list[Any] = []
    fields = dict(batch) if isinstance(batch, Mapping) else {"body": batch}
    for operation in ("post", "patch"):
        for run in mappings(fields.pop(operation, None), others):
            yield RunPart(operation, run)
    if others or fields:
        yield RunPart("post", {**fields, **({"records": others} if others else {})})


def read_run(run: Mapping[str, Any]) -> Span:
    """A run as a span; inputs, outputs, tags, metadata and whatever else it has are its attributes."""
    fields = {key: value for key, value in run.items() if key not in _IDS and not is_id(key, value)}
    start, end = (take_time(fields, key, read_time) for key in ("start_time", "end_time"))
    others: list[Any] = []
    events = [_read_event(each) for each in mappings(fields.pop("events", None), others)]
    name = fields.pop("name", None)
    status, error = fields.pop("status", None), fields.get("error")
    return Span(
        span_id=read_trace_id(run.get("id")),
        parent_id=read_trace_id(run.get("parent_run_id")) or None,
        name=name if isinstance(name, str) else str(name or ""),
        kind=str(fields.pop("run_type", None) or "run"),
        start=start,
        end=end,
        attributes={key: value for key, value in fields.items() if value not in (None, {}, [], "")},
        events=(*events, *others_event({"records": others})),
        status=f"error: {error}" if error else str(status or "unset"),
        trace_id=read_trace_id(run.get("trace_id") or run.get("id")),
        origin="langsmith",
    )


def read_feedback(feedback: Mapping[str, Any]) -> Span:
    """What somebody thinks of a run, as a span below it."""
    fields = {key: value for key, value in feedback.items() if key != "id" and not is_id(key, value)}
    return Span(
        span_id=read_trace_id(feedback.get("id")),
        parent_id=read_trace_id(feedback.get("run_id")) or None,
        name="feedback",
        kind="feedback",
        attributes={key: value for key, value in fields.items() if value is not None},
        trace_id=read_trace_id(feedback.get("trace_id") or feedback.get("run_id")),
        origin="langsmith",
    )


def _read_event(event: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in event.items() if key != "name"}
    if read_time(rest.get("time")) is not None:
        del rest["time"]
    return {"name": str(event.get("name") or ""), "attributes": rest}


def is_id(key: str, value: Any) -> bool:
    """Whether a field is a random id, or ids, or made of such, and so no text."""
    if key == "dotted_order":
        return isinstance(value, str) and _is_order(value)
    if isinstance(value, list):
        return bool(value) and all(map(read_uuid, value))
    return bool(read_uuid(value))


def _is_order(value: str) -> bool:
    return bool(value) and not _ORDER.sub("", value)


_NAME = re.compile(rb'name="((?:[^"\\]|\\.)*)"')
_PART = re.compile(r"(?P<operation>post|patch|feedback)\.(?P<id>[^.]+)(?:\.(?P<field>.+))?", re.DOTALL)
_ATTACHMENT = re.compile(r"attachment\.(?P<id>[^.]+)\.(?P<name>.+)", re.DOTALL)
_OPERATIONS: Mapping[str, Operation] = {"post": "post", "patch": "patch", "feedback": "feedback"}


def read_multipart(content_type: str, body: bytes) -> list[RunPart]:
    """
    The runs and feedback of a body, with attachments as text in their run.

    Raises:
        DecodingError: It is no multipart body, it is cut off, or a part of it is no JSON.
    """
    runs: dict[tuple[Operation, str], dict[str, Any]] = {}
    for name, content in _split(content_type, body):
        if attached := _ATTACHMENT.fullmatch(name):
            run = _run_of(runs, attached["id"])
            attachments = run.setdefault("attachments", {})
            attachments[attached["name"]] = content.decode(errors="replace")
        elif part := _PART.fullmatch(name):
            fields = runs.setdefault((_OPERATIONS[part["operation"]], part["id"]), {"id": part["id"]})
            value = parse_body(content)
            if part["field"]:
                fields[part["field"]] = value
            else:
                fields.update(value if isinstance(value, Mapping) else {"body": value})
        else:
            run = _run_of(runs, "")
            run[name] = content.decode(errors="replace")
    return [RunPart(operation, fields) for (operation, _), fields in runs.items()]


def _run_of(runs: dict[tuple[Operation, str], dict[str, Any]], run_id: str) -> dict[str, Any]:
    """The run that an attachment belongs to; its own part may be in another body."""
    for operation in ("post", "patch"):
        if (operation, run_id) in runs:
            return runs[operation, run_id]
    return runs.setdefault(("patch", run_id), {"id": run_id})


def _split(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each part."""
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
        named = _NAME.search(head)
        if not blank or named is None:
            raise DecodingError("a part of its multipart body has no name")
        yield named[1].decode(errors="replace"), content

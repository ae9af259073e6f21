"""
OTLP requests, JSON or Protobuf, as spans.

The JSON is that of `ExportTraceServiceRequest` and `ExportLogsServiceRequest`, as exporters send it and the
collector's file exporter writes it.

Source: OpenTelemetry Protocol 1.x, https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.records import Span
from pytest_llmops.traces.decoding.values import (
    DecodingError,
    is_trace_id,
    mappings,
    merge_pairs,
    others_event,
    read_nanoseconds,
    read_trace_id,
    take_time,
)

_DEEPEST = 64
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_COUNTS = frozenset(
    {"flags", "severityNumber", "droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"}
)
_LINKED = frozenset({"traceId", "spanId"})
_PLAIN = frozenset({"stringValue", "boolValue", "doubleValue", "intValue"})


def is_otlp(value: Any) -> bool:
    """Whether a JSON value is a request of traces or logs."""
    return isinstance(value, Mapping) and ("resourceSpans" in value or "resourceLogs" in value)


def read_protobuf(body: bytes, signal: str) -> Mapping[str, Any]:
    """
    A request of `traces` or `logs` as its JSON.

    Raises:
        DecodingError: The bytes are no such request.
        MissingExtraError: The extra `otlp` is not installed.
    """
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        raise MissingExtraError("OTLP in Protobuf", "otlp") from None
    request = ExportTraceServiceRequest() if signal == "traces" else ExportLogsServiceRequest()
    try:
        request.ParseFromString(body)
        read: Mapping[str, Any] = MessageToDict(request)
    except (DecodeError, ValueError, RecursionError) as error:
        raise DecodingError(f"it is no OTLP request of {signal} ({type(error).__name__})") from None
    return read


def read_otlp(request: Any) -> Iterator[Span]:
    """The spans and log records of a request in JSON."""
    if not isinstance(request, Mapping):
        yield from _left_over({"request": request})
        return
    others = {key: value for key, value in request.items() if key not in {"resourceSpans", "resourceLogs"}}
    yield from _left_over(others)
    yield from _read_resources(request.get("resourceSpans"), "scopeSpans", "spans", _read_span)
    yield from _read_resources(request.get("resourceLogs"), "scopeLogs", "logRecords", _read_log)


def _read_resources(value: Any, scopes: str, records: str, read: Any) -> Iterator[Span]:
    others: list[Any] = []
    for block in mappings(value, others):
        fields = dict(block)
        resource = _read_resource(fields.pop("resource", None))
        if url := fields.pop("schemaUrl", None):
            resource["schema_url"] = url
        groups = fields.pop(scopes, None)
        yield from _left_over(fields)
        for group in mappings(groups, others):
            parts = dict(group)
            scope = parts.pop("scope", None)
            said = {"schema_url": parts.pop("schemaUrl", None), **_read_resource(scope)}
            known = {**resource, "scope": said} if scope else resource
            found = parts.pop(records, None)
            yield from _left_over(parts)
            for record in mappings(found, others):
                yield read(record, known)
    yield from _left_over({"records": others})


def _left_over(fields: Mapping[str, Any]) -> Iterator[Span]:
    """A span of what is no part of a request, where there is something."""
    if events := others_event(fields):
        yield Span(span_id="", parent_id=None, name="", origin="otlp", events=tuple(events))


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record without its counts and flags."""
    return {
        key: value
        for key, value in record.items()
        if key not in _COUNTS or not (isinstance(value, int) or str(value).startswith("SEVERITY_NUMBER"))
    }


def _read_resource(value: Any) -> dict[str, Any]:
    """Attributes of a resource or a scope, and what else is said of it."""
    if not isinstance(value, Mapping):
        return {} if value is None else {"other": value}
    attributes, others = read_attributes(value.get("attributes"))
    rest = _fields(value)
    rest.pop("attributes", None)
    return {**rest, **attributes, **({"other": others} if others else {})}


def _read_span(record: Mapping[str, Any], resource: Mapping[str, Any]) -> Span:
    fields = _fields(record)
    attributes, unread = read_attributes(fields.pop("attributes", None))
    start, end = (
        take_time(fields, key, read_nanoseconds) for key in ("startTimeUnixNano", "endTimeUnixNano")
    )
    said = attributes.get("gen_ai.operation.name") or attributes.get("openinference.span.kind")
    kind = _take_kind(fields)
    others: list[Any] = [*unread]
    events = [_read_event(each) for each in mappings(fields.pop("events", None), others)]
    events += [_read_link(each) for each in mappings(fields.pop("links", None), others)]
    if state := fields.pop("traceState", None):
        events.append({"name": "trace state", "attributes": _read_state(state)})
    return Span(
        span_id=read_trace_id(fields.pop("spanId", None)),
        parent_id=read_trace_id(fields.pop("parentSpanId", None)) or None,
        name=_text(fields.pop("name", None)),
        kind=_text(said or kind),
        start=start,
        end=end,
        attributes=attributes,
        status=_read_status(fields.pop("status", None)),
        trace_id=read_trace_id(fields.pop("traceId", None)),
        origin="otlp",
        resource=resource,
        events=(*events, *others_event({**fields, "records": others})),
    )


def _read_log(record: Mapping[str, Any], resource: Mapping[str, Any]) -> Span:
    """A log record as a span of no duration, its body an attribute."""
    fields = _fields(record)
    attributes, unread = read_attributes(fields.pop("attributes", None))
    observed_s = take_time(fields, "observedTimeUnixNano", read_nanoseconds)
    time_s = take_time(fields, "timeUnixNano", read_nanoseconds) or observed_s
    body = read_value(fields.pop("body", None))
    severity = fields.pop("severityText", None)
    return Span(
        span_id="",
        parent_id=read_trace_id(fields.pop("spanId", None)) or None,
        name=_text(fields.pop("eventName", None)) or "log",
        kind="log",
        start=time_s,
        end=time_s,
        attributes={"body": body, **({"severity_text": severity} if severity else {}), **attributes},
        trace_id=read_trace_id(fields.pop("traceId", None)),
        origin="log",
        resource=resource,
        events=tuple(others_event({**fields, "records": unread})),
    )


def _read_event(event: Mapping[str, Any]) -> dict[str, Any]:
    fields = _fields(event)
    attributes, unread = read_attributes(fields.pop("attributes", None))
    take_time(fields, "timeUnixNano", read_nanoseconds)
    name = _text(fields.pop("name", None))
    return {"name": name, "attributes": attributes, **_rest(fields, unread)}


def _read_link(link: Mapping[str, Any]) -> dict[str, Any]:
    fields = _fields(link)
    attributes, unread = read_attributes(fields.pop("attributes", None))
    state = _read_state(fields.pop("traceState", None) or {})
    fields = {key: each for key, each in fields.items() if key not in _LINKED or not is_trace_id(each)}
    return {"name": "link", "attributes": {**attributes, **state}, **_rest(fields, unread)}


def _rest(fields: Mapping[str, Any], unread: list[Any]) -> dict[str, Any]:
    return {key: value for key, value in {**fields, "other": unread}.items() if value not in (None, [], "")}


def read_attributes(value: Any) -> tuple[dict[str, Any], list[Any]]:
    """The attributes of a list of `key` and `value`, and what in it is none."""
    if isinstance(value, Mapping):  # as some writers have it
        return {str(key): read_value(each) for key, each in value.items()}, []
    others: list[Any] = []
    return _read_pairs(value, others, 0), others


def read_value(value: Any, depth: int = 0) -> Any:
    """An `AnyValue`; what is none is returned as it is."""
    if not isinstance(value, Mapping) or len(value) != 1 or depth > _DEEPEST:
        return value or None if isinstance(value, Mapping) else value
    ((kind, held),) = value.items()
    if kind in _PLAIN:
        return _as_number(held) if kind == "intValue" else held
    if kind in {"arrayValue", "kvlistValue"} and isinstance(held, Mapping) and set(held) <= {"values"}:
        items = held.get("values") or []
        if kind == "kvlistValue":
            others: list[Any] = []
            read = _read_pairs(items, others, depth + 1)
            return read if isinstance(items, list) and not others else items
        return [read_value(each, depth + 1) for each in items] if isinstance(items, list) else items
    return _as_bytes(held) if kind == "bytesValue" else value


def _read_pairs(values: Any, others: list[Any], depth: int) -> dict[str, Any]:
    """The pairs of a list; whatever else stands there is added to the others."""
    pairs = []
    for each in mappings(values, others):
        if isinstance(each.get("key"), str) and set(each) <= {"key", "value"}:
            pairs.append((each["key"], read_value(each.get("value"), depth)))
        else:
            others.append(each)
    return merge_pairs(pairs)


def _as_bytes(held: Any) -> Any:
    try:
        return base64.b64decode(held, validate=True) if isinstance(held, str) else held
    except ValueError:
        return held


def _as_number(held: Any) -> Any:
    """A whole number, which JSON has as its digits."""
    try:
        return int(held) if isinstance(held, str) else held
    except ValueError:
        return held


def _take_kind(fields: dict[str, Any]) -> str:
    kind = fields.pop("kind", None)
    if isinstance(kind, int) and not isinstance(kind, bool) and 0 <= kind < len(_KINDS):
        return _KINDS[kind] if kind else "span"
    return _text(kind).removeprefix("SPAN_KIND_").lower() or "span"


def _read_status(status: Any) -> str:
    if not isinstance(status, Mapping):
        return _text(status) or "unset"
    code, message = status.get("code", 0), status.get("message")
    if isinstance(code, int) and not isinstance(code, bool) and 0 <= code < len(_STATUSES):
        said = _STATUSES[code]
    else:
        said = _text(code).removeprefix("STATUS_CODE_").lower()
    rest = {key: value for key, value in status.items() if key not in {"code", "message"}}
    parts = [said or "unset", *([_text(message)] if message else []), *([_text(rest)] if rest else [])]
    return ": ".join(parts)


def _read_state(state: Any) -> dict[str, Any]:
    """`a=1,b=2` as a mapping, as W3C Trace Context has it; another value as it is."""
    if isinstance(state, Mapping):
        return dict(state)
    pairs = [each.strip().partition("=") for each in _text(state).split(",") if each.strip()]
    return merge_pairs((key, value) for key, _, value in pairs)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)

"""
OTLP requests, JSON or Protobuf, as spans.

The JSON is that of `ExportTraceServiceRequest` and `ExportLogsServiceRequest`, as exporters send it and the
collector's file exporter writes it.

Source: OpenTelemetry Protocol 1.x, https://opentelemetry.io/docs/specs/otlp/.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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
_SCALARS = frozenset({"stringValue", "boolValue", "doubleValue", "intValue", "bytesValue"})


def is_otlp(value: Any) -> bool:
    """Return whether a JSON value is a request of traces or logs."""
    return isinstance(value, Mapping) and ("resourceSpans" in value or "resourceLogs" in value)


def read_protobuf(body: bytes, signal: str) -> Mapping[str, Any]:
    """
    Convert a request of `traces` or `logs` to its JSON.

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
        decoded: Mapping[str, Any] = MessageToDict(request)
    except (DecodeError, ValueError, RecursionError) as error:
        raise DecodingError(f"it is no OTLP request of {signal} ({type(error).__name__})") from None
    return decoded


def read_otlp(request: Any) -> Iterator[Span]:
    """Convert the spans and log records of a request in JSON."""
    if not isinstance(request, Mapping):
        yield from _left_over({"request": request})
        return
    rest = dict(request)
    spans, logs = rest.pop("resourceSpans", None), rest.pop("resourceLogs", None)
    yield from _left_over(rest)
    yield from _read_resources(spans, "scopeSpans", "spans", _read_span)
    yield from _read_resources(logs, "scopeLogs", "logRecords", _read_log)


def _read_resources(
    value: Any, scopes: str, records: str, read: Callable[[Mapping[str, Any], Mapping[str, Any]], Span]
) -> Iterator[Span]:
    others: list[Any] = []
    for block in mappings(value, others):
        block_rest = dict(block)
        resource = _read_resource(block_rest.pop("resource", None))
        if url := block_rest.pop("schemaUrl", None):
            resource["schema_url"] = url
        groups = block_rest.pop(scopes, None)
        yield from _left_over(block_rest)
        for group in mappings(groups, others):
            rest = dict(group)
            scope, url = rest.pop("scope", None), rest.pop("schemaUrl", None)
            items = rest.pop(records, None)
            yield from _left_over(rest)
            scoped = (
                {**resource, "scope": {"schema_url": url, **_read_resource(scope)}} if scope else resource
            )
            for record in mappings(items, others):
                yield read(record, scoped)
    yield from _left_over({"records": others})


def _left_over(fields: Mapping[str, Any]) -> Iterator[Span]:
    """Yield a span of fields that are no part of a request, where there are any."""
    if events := others_event(fields):
        yield Span(span_id="", parent_id=None, name="", origin="otlp", events=tuple(events))


def _take_attributes(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """Return a record's fields without counts and flags, its attributes, and the other items among those."""
    fields = {
        key: value
        for key, value in record.items()
        if key not in _COUNTS or not (isinstance(value, int) or str(value).startswith("SEVERITY_NUMBER"))
    }
    return fields, *read_attributes(fields.pop("attributes", None))


def _read_resource(value: Any) -> dict[str, Any]:
    """Return attributes and all other fields of a resource or a scope."""
    if not isinstance(value, Mapping):
        return {} if value is None else {"other": value}
    fields, attributes, others = _take_attributes(value)
    return {**fields, **attributes, **({"other": others} if others else {})}


def _read_span(record: Mapping[str, Any], resource: Mapping[str, Any]) -> Span:
    fields, attributes, others = _take_attributes(record)
    start, end = (
        take_time(fields, key, read_nanoseconds) for key in ("startTimeUnixNano", "endTimeUnixNano")
    )
    kind = _take_kind(fields)
    kind = attributes.get("gen_ai.operation.name") or attributes.get("openinference.span.kind") or kind
    events = [_read_event(event) for event in mappings(fields.pop("events", None), others)]
    events += [_read_link(link) for link in mappings(fields.pop("links", None), others)]
    if state := fields.pop("traceState", None):
        events.append({"name": "trace state", "attributes": _read_state(state)})
    return Span(
        span_id=read_trace_id(fields.pop("spanId", None)),
        parent_id=read_trace_id(fields.pop("parentSpanId", None)) or None,
        name=_text(fields.pop("name", None)),
        kind=_text(kind),
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
    """Convert a log record to a span of no duration, its body an attribute."""
    fields, attributes, others = _take_attributes(record)
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
        events=tuple(others_event({**fields, "records": others})),
    )


def _read_event(event: Mapping[str, Any]) -> dict[str, Any]:
    fields, attributes, others = _take_attributes(event)
    take_time(fields, "timeUnixNano", read_nanoseconds)
    name = _text(fields.pop("name", None))
    return {"name": name, "attributes": attributes, **_filled({**fields, "other": others})}


def _read_link(link: Mapping[str, Any]) -> dict[str, Any]:
    fields, attributes, others = _take_attributes(link)
    state = _read_state(fields.pop("traceState", None) or {})
    for key in ("traceId", "spanId"):
        if is_trace_id(fields.get(key)):
            del fields[key]
    return {"name": "link", "attributes": {**attributes, **state}, **_filled({**fields, "other": others})}


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in (None, [], "")}


def read_attributes(value: Any) -> tuple[dict[str, Any], list[Any]]:
    """Return the attributes in a list of `key` and `value`, and its items that are none."""
    if isinstance(value, Mapping):  # as some writers have it
        return {str(key): read_value(part) for key, part in value.items()}, []
    others: list[Any] = []
    return _read_pairs(value, others, 0), others


def read_value(value: Any, depth: int = 0) -> Any:
    """Convert an `AnyValue`; return any other value as it is."""
    if not isinstance(value, Mapping) or len(value) != 1 or depth > _DEEPEST:
        return value or None if isinstance(value, Mapping) else value
    ((kind, content),) = value.items()
    if kind in _SCALARS:
        return _read_scalar(kind, content)
    if kind in {"arrayValue", "kvlistValue"} and isinstance(content, Mapping) and set(content) <= {"values"}:
        items = content.get("values") or []
        if not isinstance(items, list):
            return items
        if kind == "arrayValue":
            return [read_value(item, depth + 1) for item in items]
        others: list[Any] = []
        pairs = _read_pairs(items, others, depth + 1)
        return items if others else pairs
    return value


def _read_scalar(kind: str, content: Any) -> Any:
    """Decode whole numbers and bytes, which JSON has as text; return any other content as it is."""
    if isinstance(content, str):
        with suppress(ValueError):
            if kind == "intValue":
                return int(content)
            if kind == "bytesValue":
                return base64.b64decode(content, validate=True)
    return content


def _read_pairs(values: Any, others: list[Any], depth: int) -> dict[str, Any]:
    """Return the pairs of a list; its other items are added to the others."""
    pairs = []
    for item in mappings(values, others):
        if isinstance(item.get("key"), str) and set(item) <= {"key", "value"}:
            pairs.append((item["key"], read_value(item.get("value"), depth)))
        else:
            others.append(item)
    return merge_pairs(pairs)


def _take_kind(fields: dict[str, Any]) -> str:
    kind = fields.pop("kind", None)
    if isinstance(kind, int) and not isinstance(kind, bool) and 0 <= kind < len(_KINDS):
        return _KINDS[kind] if kind else "span"
    return _text(kind).removeprefix("SPAN_KIND_").lower() or "span"


def _read_status(status: Any) -> str:
    if not isinstance(status, Mapping):
        return _text(status) or "unset"
    rest = dict(status)
    code, message = rest.pop("code", 0), rest.pop("message", None)
    if isinstance(code, int) and not isinstance(code, bool) and 0 <= code < len(_STATUSES):
        word = _STATUSES[code]
    else:
        word = _text(code).removeprefix("STATUS_CODE_").lower()
    return ": ".join([word or "unset", *filter(None, (_text(message or None), _text(rest or None)))])


def _read_state(state: Any) -> dict[str, Any]:
    """Read `a=1,b=2`, as W3C Trace Context has it."""
    if isinstance(state, Mapping):
        return dict(state)
    pairs = [entry.strip().partition("=") for entry in _text(state).split(",") if entry.strip()]
    return merge_pairs((key, value) for key, _, value in pairs)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)

"""
Spans and `gen_ai.evaluation.result` events to an OTLP endpoint over HTTP.

Protobuf where the extra `otlp` is installed, which every endpoint reads, else JSON.

Source: OpenTelemetry's GenAI semantic conventions, gen-ai-events: an evaluation is an event on the span that
is judged.
"""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pytest_llmops.errors import SettingsError
from pytest_llmops.records import ScoredOutput, Span

_EVENT = "gen_ai.evaluation.result"
_SCOPE = {"name": "pytest-llmops"}
_TIMEOUT_S = 10.0
_KINDS = {"server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUSES = {"unset": 0, "ok": 1, "error": 2}
_INFO, _ERROR = 9, 17
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpEndpoint:
    """
    Addresses of an OTLP endpoint.

    Attributes:
        traces: For spans; `logs` for evaluations.
        headers: As the environment has them: often a key.
    """

    traces: str
    logs: str
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of_environment(cls) -> OtlpEndpoint:
        """
        Read the standard variables of exporters.

        Raises:
            SettingsError: The environment names no endpoint, or one that is no HTTP address.
        """
        base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").rstrip("/")
        traces, logs = (
            os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
            or (f"{base}/v1/{signal}" if base else "")
            for signal in ("traces", "logs")
        )
        if not traces:
            raise SettingsError("export = otlp needs the environment variable OTEL_EXPORTER_OTLP_ENDPOINT")
        if not all(address.startswith(("http://", "https://")) for address in (traces, logs or traces)):
            raise SettingsError("export = otlp needs an http:// or https:// address in OTEL_EXPORTER_OTLP_…")
        entries = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")
        pairs = (entry.partition("=") for entry in entries if "=" in entry)
        headers = {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}
        return cls(traces=traces, logs=logs, headers=headers)

    def send(self, outputs: Sequence[ScoredOutput]) -> None:
        """
        Send masked outputs.

        Raises:
            OSError: The endpoint cannot be reached, or refuses.
        """
        self._post(self.traces, "traces", encode_spans([span for output in outputs for span in output.spans]))
        if self.logs and (records := [log for output in outputs for log in _encode_judged(output)]):
            scopes = [{"scope": _SCOPE, "logRecords": records}]
            self._post(self.logs, "logs", {"resourceLogs": [{"resource": {}, "scopeLogs": scopes}]})

    def _post(self, address: str, signal: str, request: Mapping[str, Any]) -> None:
        body, kind = _as_protobuf(signal, request)
        headers = {**self.headers, "Content-Type": kind}
        message = urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 - checked when it was read
        with urllib.request.urlopen(message, timeout=_TIMEOUT_S) as response:  # noqa: S310 - as above
            response.read()


def encode_spans(spans: Sequence[Span]) -> dict[str, Any]:
    """Return a request with these spans, those of one resource together."""
    groups: dict[str, tuple[Mapping[str, Any], list[Any]]] = {}
    for span in spans:
        key = json.dumps(span.resource, sort_keys=True, default=str)
        groups.setdefault(key, (span.resource, []))[1].append(_encode_span(span))
    return {"resourceSpans": [_encode_group(resource, encoded) for resource, encoded in groups.values()]}


def _encode_group(resource: Mapping[str, Any], spans: list[Any]) -> dict[str, Any]:
    attributes = {key: value for key, value in resource.items() if key != "scope"}
    scope = resource.get("scope")
    if isinstance(scope, Mapping):
        scope = {name: str(scope[name]) for name in ("name", "version") if scope.get(name)}
    else:
        scope = _SCOPE
    return {
        "resource": {"attributes": _encode_attributes(attributes)},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }


def _encode_span(span: Span) -> dict[str, Any]:
    word, _, message = span.status.partition(": ")
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **({"parentSpanId": span.parent_id} if span.parent_id else {}),
        "name": span.name,
        "kind": _KINDS.get(span.kind, 1),
        "startTimeUnixNano": _nanoseconds(span.start),
        "endTimeUnixNano": _nanoseconds(max(span.end, span.start)),
        "attributes": _encode_attributes(span.attributes),
        "events": [
            {
                "timeUnixNano": _nanoseconds(span.end),
                "name": str(event.get("name", "")),
                "attributes": _encode_attributes(event.get("attributes")),
            }
            for event in span.events
        ],
        "status": {"code": _STATUSES.get(word, 0), **({"message": message} if message else {})},
    }


def _encode_judged(output: ScoredOutput) -> Iterator[dict[str, Any]]:
    root = output.spans[0]
    for judged in output.judged:
        attributes = {
            "gen_ai.evaluation.name": judged.metric,
            "gen_ai.evaluation.score.value": judged.value,
            "gen_ai.evaluation.score.label": judged.label,
            "gen_ai.evaluation.explanation": judged.explanation or judged.error,
            "error.type": "not_scored" if judged.error else "",
        }
        filled = {key: value for key, value in attributes.items() if value not in (None, "")}
        yield {
            "timeUnixNano": str(time.time_ns()),
            "eventName": _EVENT,
            "severityNumber": _ERROR if judged.error else _INFO,
            "traceId": root.trace_id,
            "spanId": root.span_id,
            "body": {"stringValue": _EVENT},
            "attributes": _encode_attributes(filled),
        }


def _encode_attributes(attributes: Any) -> list[dict[str, Any]]:
    if not isinstance(attributes, Mapping):
        return []
    return [{"key": str(key), "value": _encode_value(value)} for key, value in attributes.items()]


def _encode_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list | tuple) and all(isinstance(item, str | bool | int | float) for item in value):
        return {"arrayValue": {"values": [_encode_value(item) for item in value]}}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value, default=str)}


def _nanoseconds(seconds: float) -> str:
    return str(max(int(seconds * 1e9), 0))


def _as_protobuf(signal: str, request: Mapping[str, Any]) -> tuple[bytes, str]:
    try:
        from google.protobuf.json_format import ParseDict
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        return json.dumps(request).encode(), "application/json"
    kind = ExportTraceServiceRequest if signal == "traces" else ExportLogsServiceRequest
    message = ParseDict(_with_base64(request), kind())
    return message.SerializeToString(), "application/x-protobuf"


def _with_base64(value: Any) -> Any:
    """Rewrite ids, which OTLP has in hexadecimal, as Protobuf's own JSON has them."""
    if isinstance(value, Mapping):
        return {
            key: base64.b64encode(bytes.fromhex(part)).decode() if key in _IDS else _with_base64(part)
            for key, part in value.items()
        }
    return [_with_base64(item) for item in value] if isinstance(value, list) else value

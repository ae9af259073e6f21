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
from pytest_llmops.records import Span
from pytest_llmops.runner.cases.listeners import Judged, ScoredOutput

_EVENT = "gen_ai.evaluation.result"
_SCOPE = {"name": "pytest-llmops"}
_PATIENCE_S = 10.0
_KINDS = {"server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUSES = {"unset": 0, "ok": 1, "error": 2}
_INFO, _ERROR = 9, 17
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpEndpoint:
    """
    Attributes:
        traces: Address for spans; `logs` for evaluations.
        headers: As the environment has them: often a key.
    """

    traces: str
    logs: str
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of_environment(cls) -> OtlpEndpoint:
        """
        Raises:
            SettingsError: The environment names no endpoint, or one that is no HTTP address.
        """
        base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").rstrip("/")
        addresses = {
            signal: os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
            or (f"{base}/v1/{signal}" if base else "")
            for signal in ("traces", "logs")
        }
        if not addresses["traces"]:
            raise SettingsError("export = otlp needs the environment variable OTEL_EXPORTER_OTLP_ENDPOINT")
        if not all(each.startswith(("http://", "https://")) for each in addresses.values() if each):
            raise SettingsError("export = otlp needs an http:// or https:// address in OTEL_EXPORTER_OTLP_…")
        named = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")
        pairs = (each.partition("=") for each in named if "=" in each)
        return cls(
            **addresses, headers={unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}
        )

    def send(self, outputs: Sequence[ScoredOutput]) -> None:
        """
        Raises:
            OSError: The endpoint cannot be reached, or refuses.
        """
        self._post(self.traces, "traces", encode_spans([span for each in outputs for span in each.spans]))
        if self.logs and (records := [log for each in outputs for log in _encode_judged(each)]):
            scopes = [{"scope": _SCOPE, "logRecords": records}]
            self._post(self.logs, "logs", {"resourceLogs": [{"resource": {}, "scopeLogs": scopes}]})

    def _post(self, address: str, signal: str, request: Mapping[str, Any]) -> None:
        body, kind = _as_protobuf(signal, request)
        headers = {**self.headers, "Content-Type": kind}
        asked = urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 - checked when it was read
        with urllib.request.urlopen(asked, timeout=_PATIENCE_S) as response:  # noqa: S310 - as above
            response.read()


def encode_spans(spans: Sequence[Span]) -> dict[str, Any]:
    """A request with these spans, those of one resource together."""
    groups: dict[str, tuple[Mapping[str, Any], list[Any]]] = {}
    for span in spans:
        key = json.dumps(span.resource, sort_keys=True, default=str)
        groups.setdefault(key, (span.resource, []))[1].append(_encode_span(span))
    blocks = []
    for resource, encoded in groups.values():
        scope = resource.get("scope")
        named = (
            {name: str(scope[name]) for name in ("name", "version") if scope.get(name)}
            if isinstance(scope, Mapping)
            else _SCOPE
        )
        said = {key: value for key, value in resource.items() if key != "scope"}
        blocks.append(
            {
                "resource": {"attributes": _encode_attributes(said)},
                "scopeSpans": [{"scope": named, "spans": encoded}],
            }
        )
    return {"resourceSpans": blocks}


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
                "name": str(each.get("name", "")),
                "attributes": _encode_attributes(_event_attributes(each)),
            }
            for each in span.events
        ],
        "status": {"code": _STATUSES.get(word, 0), **({"message": message} if message else {})},
    }


def _event_attributes(event: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = event.get("attributes")
    return attributes if isinstance(attributes, Mapping) else {}


def _encode_judged(output: ScoredOutput) -> Iterator[dict[str, Any]]:
    root = output.spans[0]
    for each in output.judged:
        yield {
            "timeUnixNano": str(time.time_ns()),
            "eventName": _EVENT,
            "severityNumber": _ERROR if each.error else _INFO,
            "traceId": root.trace_id,
            "spanId": root.span_id,
            "body": {"stringValue": _EVENT},
            "attributes": _encode_attributes(_name_judged(each)),
        }


def _name_judged(judged: Judged) -> dict[str, Any]:
    said = {
        "gen_ai.evaluation.name": judged.metric,
        "gen_ai.evaluation.score.value": judged.value,
        "gen_ai.evaluation.score.label": judged.label,
        "gen_ai.evaluation.explanation": judged.explanation or judged.error,
        "error.type": "not_scored" if judged.error else "",
    }
    return {key: value for key, value in said.items() if value not in (None, "")}


def _encode_attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": str(key), "value": _encode_value(value)} for key, value in attributes.items()]


def _encode_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list | tuple) and all(isinstance(each, str | bool | int | float) for each in value):
        return {"arrayValue": {"values": [_encode_value(each) for each in value]}}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value, default=str)}


def _nanoseconds(seconds: float) -> str:
    return str(max(int(seconds * 1e9), 0))


def _as_protobuf(signal: str, request: Mapping[str, Any]) -> tuple[bytes, str]:
    """The body and its content type."""
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
    """Ids as Protobuf's own JSON has them, in the fields that OTLP writes in hexadecimal."""
    if isinstance(value, Mapping):
        return {
            key: base64.b64encode(bytes.fromhex(each)).decode() if key in _IDS else _with_base64(each)
            for key, each in value.items()
        }
    return [_with_base64(each) for each in value] if isinstance(value, list) else value

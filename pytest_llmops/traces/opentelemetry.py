"""
Spans and log records of OpenTelemetry in this process: of every provider, whatever its sampler leaves out.

An app that traces needs no change. What is listened to is the SDK's own fan-out to processors, which every
provider has; a span that a sampler would drop is recorded for us alone, and exported to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_llmops.records import Span
from pytest_llmops.traces.capture import CaseSpans, count_unattributed, find_owner, is_listening, keep

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

_NANOSECONDS = 1e9
_DEEPEST = 64
_installing = Lock()


def install() -> None:
    """Listen to OpenTelemetry, if it is installed; where the app set up no provider, one of ours is set."""
    with _installing:
        if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
            return
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        _listen_to_spans()
        _listen_to_logs()
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(TracerProvider())


def _listen_to_spans() -> None:
    from opentelemetry.sdk import trace

    begun: dict[tuple[int, int], tuple[CaseSpans | None, Mapping[str, Any]]] = {}

    def on_start(_fan_out: Any, span: ReadableSpan, parent_context: Context | None = None) -> None:
        context = span.get_span_context()
        if context is not None and is_listening():
            owner = find_owner(f"{context.trace_id:032x}")
            if owner is None:
                count_unattributed()
            begun[context.trace_id, context.span_id] = owner, _baggage(parent_context)

    def on_end(_fan_out: Any, span: ReadableSpan) -> None:
        context = span.get_span_context()  # the span is a copy of the one that was started
        if context is not None:
            owner, baggage = begun.pop((context.trace_id, context.span_id), (None, {}))
            if owner is not None or is_listening():
                keep(read_otel_span(span, baggage), owner)

    for fan_out in (trace.SynchronousMultiSpanProcessor, trace.ConcurrentMultiSpanProcessor):
        _call_first(fan_out, "on_start", on_start)
        _call_first(fan_out, "on_end", on_end)
    _call_first(trace.Tracer, "start_span", _drop_nothing)


def _listen_to_logs() -> None:
    try:
        from opentelemetry.sdk import _logs
    except ImportError:  # the underscore says that it may go
        return

    def on_emit(_fan_out: Any, record: ReadWriteLogRecord) -> None:
        if is_listening():
            log = read_otel_log(record)
            keep(log, find_owner(log.trace_id))

    for fan_out in (_logs.SynchronousMultiLogRecordProcessor, _logs.ConcurrentMultiLogRecordProcessor):
        _call_first(fan_out, "on_emit", on_emit)


def _call_first(changed: type, name: str, ours: Callable[..., None]) -> None:
    """Have a method of a class call ours, with the same arguments, before it does its own; done once."""
    original = changed.__dict__[name]
    if hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def method(*arguments: Any, **options: Any) -> Any:
        ours(*arguments, **options)
        return original(*arguments, **options)

    setattr(changed, name, method)


@dataclass(frozen=True, slots=True)
class _Unsampled:
    """A sampler's stand-in: while a run listens, what it drops is recorded, marked as not to be exported."""

    own: Any

    def should_sample(
        self, parent: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None, *more: Any
    ) -> Any:
        from opentelemetry.sdk.trace.sampling import Decision, SamplingResult

        result = self.own.should_sample(parent, trace_id, name, kind, attributes, *more)
        if result.decision is not Decision.DROP or not is_listening():
            return result
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


def _drop_nothing(tracer: Any, *_arguments: Any, **_options: Any) -> None:
    """Stand in for the tracer's sampler, at its first span."""
    if not isinstance(tracer.sampler, _Unsampled):
        tracer.sampler = _Unsampled(tracer.sampler)


def read_otel_span(span: ReadableSpan, baggage: Mapping[str, Any] | None = None) -> Span:
    """An OpenTelemetry span as ours; its links, and the baggage that it was begun with, are events."""
    context = span.get_span_context()
    attributes = dict(span.attributes or {})
    kind = attributes.get("gen_ai.operation.name") or attributes.get("openinference.span.kind")
    events = [{"name": each.name, "attributes": dict(each.attributes or {})} for each in span.events]
    events += [
        {"name": "link", "attributes": {**(each.attributes or {}), **each.context.trace_state}}
        for each in span.links
    ]
    carried = {"trace state": dict(context.trace_state) if context else {}, "baggage": dict(baggage or {})}
    events += [{"name": name, "attributes": said} for name, said in carried.items() if said]
    status = span.status.status_code.name.lower()
    if span.status.description:
        status = f"{status}: {span.status.description}"
    return Span(
        span_id=f"{context.span_id:016x}" if context else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        name=span.name,
        kind=str(kind or span.kind.name.lower()),
        start=(span.start_time or 0) / _NANOSECONDS,
        end=(span.end_time or 0) / _NANOSECONDS,
        attributes=attributes,
        events=tuple(events),
        status=status,
        trace_id=f"{context.trace_id:032x}" if context else "",
        origin="opentelemetry",
        resource=_resource(span.resource.attributes, span.instrumentation_scope),
    )


def read_otel_log(record: ReadWriteLogRecord) -> Span:
    """An OpenTelemetry log record as a span of no duration, its body an attribute."""
    log = record.log_record
    said = log.attributes or {}
    time_s = (log.timestamp or log.observed_timestamp or 0) / _NANOSECONDS
    return Span(
        span_id="",
        parent_id=f"{log.span_id:016x}" if log.span_id else None,
        name=log.event_name or "log",
        kind="log",
        start=time_s,
        end=time_s,
        attributes={"body": _plain(log.body), **{name: _plain(each) for name, each in said.items()}},
        trace_id=f"{log.trace_id:032x}" if log.trace_id else "",
        origin="log",
        resource=_resource(
            record.resource.attributes if record.resource else {}, record.instrumentation_scope
        ),
    )


def _resource(attributes: Mapping[str, Any], scope: InstrumentationScope | None) -> Mapping[str, Any]:
    """What is said once of the process, and of the library that traces."""
    if scope is None:
        return dict(attributes)
    said = {"name": scope.name, "version": scope.version, "schema_url": scope.schema_url}
    return {**attributes, "scope": {**said, **(scope.attributes or {})}}


def _baggage(context: Context | None) -> Mapping[str, Any]:
    from opentelemetry import baggage

    return {name: _plain(value) for name, value in baggage.get_all(context).items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """A value of anybody's as one that another process can be sent; what lies too deep, as text."""
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {str(name): _plain(each, depth + 1) for name, each in value.items()}
    if isinstance(value, Sequence) and depth < _DEEPEST:
        return [_plain(each, depth + 1) for each in value]
    return str(value)

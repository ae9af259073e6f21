"""
Spans and log records of OpenTelemetry in this process: of every provider, with those its sampler drops.

An app that traces needs no change. The SDK's own fan-out to processors, which every provider has, calls us;
a span that a sampler would drop is recorded for us only, and not exported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pytest_llmops.recorder.patches import Change, Patches
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
    """
    Listen to OpenTelemetry, if it is installed; where the app set up no provider, one of ours is set.

    The patches stay: a provider outlives the run. While no run listens they do nothing.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        return
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    with _installing:
        _patches.apply()
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(TracerProvider())


def _find_methods() -> Iterator[Change]:
    from opentelemetry.sdk import trace

    for fan_out in (trace.SynchronousMultiSpanProcessor, trace.ConcurrentMultiSpanProcessor):
        yield fan_out, "on_start", partial(_call_first, _on_start)
        yield fan_out, "on_end", partial(_call_first, _on_end)
    yield trace.Tracer, "start_span", partial(_call_first, _drop_nothing)
    try:
        from opentelemetry.sdk import _logs
    except ImportError:  # a private module, which a release may remove
        return
    for processor in (_logs.SynchronousMultiLogRecordProcessor, _logs.ConcurrentMultiLogRecordProcessor):
        yield processor, "on_emit", partial(_call_first, _on_emit)


_patches = Patches(_find_methods)


def _call_first(ours: Callable[..., None], original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def method(*arguments: Any, **options: Any) -> Any:
        ours(*arguments, **options)
        return original(*arguments, **options)

    return method


_FLUSH_MS = 5_000

_fan_outs: WeakSet[Any] = WeakSet()
"""Of the providers that cases used."""


def flush() -> None:
    """Let the providers that cases used send what still waits in them, while a run looks at what leaves."""
    for fan_out in tuple(_fan_outs):
        with suppress(Exception):  # an exporter may be anybody's
            fan_out.force_flush(_FLUSH_MS)


# Of spans that have not ended, by ids of trace and span: the case, and the baggage at the start.
_begun: dict[tuple[int, int], tuple[CaseSpans | None, Mapping[str, Any]]] = {}


def _on_start(fan_out: Any, span: ReadableSpan, parent_context: Context | None = None) -> None:
    context = span.get_span_context()
    if context is not None and is_listening():
        owner = find_owner(f"{context.trace_id:032x}")
        if owner is None:
            count_unattributed()
        else:
            _fan_outs.add(fan_out)
        _begun[context.trace_id, context.span_id] = owner, _baggage(parent_context)


def _on_end(_fan_out: Any, span: ReadableSpan) -> None:
    context = span.get_span_context()  # the span is a copy of the one that was started
    if context is not None:
        owner, baggage = _begun.pop((context.trace_id, context.span_id), (None, {}))
        if owner is not None or is_listening():
            keep(read_otel_span(span, baggage), owner)


def _on_emit(_fan_out: Any, record: ReadWriteLogRecord) -> None:
    if is_listening():
        log = read_otel_log(record)
        keep(log, find_owner(log.trace_id))


def _drop_nothing(tracer: Any, *_arguments: Any, **_options: Any) -> None:
    """Replace the tracer's sampler, at its first span."""
    if not isinstance(tracer.sampler, _RecordingSampler):
        tracer.sampler = _RecordingSampler(tracer.sampler)


@dataclass(frozen=True, slots=True)
class _RecordingSampler:
    """Records spans that the sampler of an app drops, while a run listens, marked as not to be exported."""

    original: Any

    def should_sample(
        self, parent: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None, *more: Any
    ) -> Any:
        from opentelemetry.sdk.trace.sampling import Decision, SamplingResult

        result = self.original.should_sample(parent, trace_id, name, kind, attributes, *more)
        if result.decision is not Decision.DROP or not is_listening():
            return result
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def read_otel_span(span: ReadableSpan, baggage: Mapping[str, Any] | None = None) -> Span:
    """Convert a span; its links, trace state and the baggage at its start become events."""
    context = span.get_span_context()
    attributes = dict(span.attributes or {})
    kind = attributes.get("gen_ai.operation.name") or attributes.get("openinference.span.kind")
    events = [{"name": event.name, "attributes": dict(event.attributes or {})} for event in span.events]
    events += [
        {"name": "link", "attributes": {**(link.attributes or {}), **link.context.trace_state}}
        for link in span.links
    ]
    carried = {"trace state": dict(context.trace_state) if context else {}, "baggage": dict(baggage or {})}
    events += [{"name": name, "attributes": values} for name, values in carried.items() if values]
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
    """Convert a log record to a span of no duration, its body an attribute."""
    log = record.log_record
    attributes = {name: _plain(value) for name, value in (log.attributes or {}).items()}
    time_s = (log.timestamp or log.observed_timestamp or 0) / _NANOSECONDS
    return Span(
        span_id="",
        parent_id=f"{log.span_id:016x}" if log.span_id else None,
        name=log.event_name or "log",
        kind="log",
        start=time_s,
        end=time_s,
        attributes={"body": _plain(log.body), **attributes},
        trace_id=f"{log.trace_id:032x}" if log.trace_id else "",
        origin="log",
        resource=_resource(
            record.resource.attributes if record.resource else {}, record.instrumentation_scope
        ),
    )


def _resource(attributes: Mapping[str, Any], scope: InstrumentationScope | None) -> Mapping[str, Any]:
    """Attributes of the process, and of the library that traces."""
    if scope is None:
        return dict(attributes)
    facts = {"name": scope.name, "version": scope.version, "schema_url": scope.schema_url}
    return {**attributes, "scope": {**facts, **(scope.attributes or {})}}


def _baggage(context: Context | None) -> Mapping[str, Any]:
    from opentelemetry import baggage

    return {name: _plain(value) for name, value in baggage.get_all(context).items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value that can be sent to another process; parts that lie too deep become text."""
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {str(name): _plain(part, depth + 1) for name, part in value.items()}
    if isinstance(value, Sequence) and depth < _DEEPEST:
        return [_plain(part, depth + 1) for part in value]
    return str(value)

"""
Spans of the app under test, caught where they end and kept apart by the case that caused them.

An app that traces with OpenTelemetry needs no change: its spans are read from the tracer provider of
this process. Which case a span belongs to follows the context, as OpenTelemetry's own parents do.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_llmops.recorder.interception.threads import carry_context, is_inherited
from pytest_llmops.records import Span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace import Span as SdkSpan

_NANOSECONDS = 1e9


class CaseSpans(list[Span]):
    """
    The spans of one repeat of a case, in the order they ended.

    Attributes:
        closed: The repeat is over; what comes later reaches no check.
    """

    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """
    Spans of this process that reached no check.

    Attributes:
        unattributed: Begun on threads that know of no case, while several ran.
        late: Of a case, and not ended when it was over.
    """

    unattributed: int = 0
    late: int = 0

    def since(self, before: Missed) -> Missed:
        return Missed(unattributed=self.unattributed - before.unattributed, late=self.late - before.late)


_current: ContextVar[CaseSpans | None] = ContextVar("pytest_llmops_spans", default=None)
_open: list[CaseSpans] = []
_installing = Lock()
_installed = False
_missed: Counter[str] = Counter()


@contextlib.contextmanager
def capture() -> Iterator[list[Span]]:
    """Collect the spans that this context starts; the list grows as they end, children first."""
    spans = CaseSpans()
    token = _current.set(spans)
    _open.append(spans)
    try:
        with carry_context():
            yield spans
    finally:
        spans.closed = True
        _open[:] = [each for each in _open if each is not spans]
        _current.reset(token)


def count_missed() -> Missed:
    """How many spans of this process have reached no check so far."""
    return Missed(**_missed)


def install() -> None:
    """
    Listen to OpenTelemetry, if it is installed.

    To be called after the app was imported: a provider that the app set up on import is listened to,
    and only where there is none one of ours is set.
    """
    global _installed  # noqa: PLW0603 - a provider's processors cannot be listed, so we remember ours
    with _installing:
        if _installed or find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
            return
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        provider = trace.get_tracer_provider()
        if not isinstance(provider, TracerProvider):
            provider = TracerProvider()
            trace.set_tracer_provider(provider)
        provider.add_span_processor(_collector())
        _installed = True


def _collector() -> Any:
    from opentelemetry.sdk.trace import SpanProcessor

    class Collector(SpanProcessor):
        """Remembers at a span's start whose it is, since it may end in another context."""

        def __init__(self) -> None:
            self.owners: dict[tuple[int, int], CaseSpans] = {}

        def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:  # noqa: ARG002
            owner = _current.get()
            if owner is None or (owner.closed and is_inherited.get()):
                owner = _only_open()
            if owner is not None:
                self.owners[_place(span)] = owner

        def on_end(self, span: ReadableSpan) -> None:
            owner = self.owners.pop(_place(span), None)  # a copy of the span that was started
            if owner is not None:
                _missed["late"] += owner.closed
                owner.append(read_otel_span(span))

    return Collector()


def _only_open() -> CaseSpans | None:
    """The spans of the only case in work: a thread that knows of no case belongs to it."""
    candidates = _open[:2]
    if len(candidates) == 1:
        return candidates[0]
    _missed["unattributed"] += bool(candidates)
    return None


def _place(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    return (context.trace_id, context.span_id) if context else (0, 0)


def read_otel_span(span: ReadableSpan) -> Span:
    """An OpenTelemetry span as ours, with the exceptions and links it holds as events."""
    context = span.get_span_context()
    kind = (span.attributes or {}).get("gen_ai.operation.name") or (span.attributes or {}).get(
        "openinference.span.kind"
    )
    events = [{"name": event.name, "attributes": dict(event.attributes or {})} for event in span.events] + [
        {"name": "link", "attributes": dict(link.attributes or {})} for link in span.links
    ]
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
        attributes=dict(span.attributes or {}),
        events=tuple(events),
        status=status,
    )

"""Steps as spans of whatever provider is installed."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span

SCOPE = "reference_app"


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """An `Output`."""

    span: Span

    def describe(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            plain = isinstance(value, bool | int | float | str | tuple)
            self.span.set_attribute(name, value if plain else json.dumps(value, ensure_ascii=False))

    def begin(self) -> None:
        """A span begins when it is opened."""

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self.span.set_status(Status(StatusCode.ERROR, kind))


@contextmanager
def open_span(name: str, *, call: bool) -> Iterator[OpenSpan]:
    """A span, child of the one that is open in this thread."""
    from opentelemetry.trace import SpanKind, get_tracer

    kind = SpanKind.CLIENT if call else SpanKind.INTERNAL
    with get_tracer(SCOPE).start_as_current_span(
        name, kind=kind, record_exception=False, set_status_on_exception=False
    ) as span:
        yield OpenSpan(span)

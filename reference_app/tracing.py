"""
Spans by the OpenTelemetry conventions for generative AI, free of personal data.

The app only uses the API: whoever runs it decides whether spans are kept, by installing a provider.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reference_app.guardrails.redaction import mask, mask_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.trace import Span

SCOPE = "reference_app"


@contextmanager
def trace(name: str, *, call: bool = False, **attributes: Any) -> Iterator[Span]:
    """
    A span around the block, child of the one that is open in this thread.

    An exception marks the span with the exception's type alone, because its message may quote a customer.

    Args:
        name: Of the span; holds no text of a customer.
        call: Whether the block calls something outside this process.
        attributes: As for `describe`.
    """
    from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer

    kind = SpanKind.CLIENT if call else SpanKind.INTERNAL
    with get_tracer(SCOPE).start_as_current_span(
        name, kind=kind, record_exception=False, set_status_on_exception=False
    ) as span:
        describe(span, attributes)
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
            raise


def describe(span: Span, attributes: Mapping[str, Any]) -> None:
    """
    Set attributes, every text masked.

    Args:
        span: The span.
        attributes: `gen_ai__request__model` stands for `gen_ai.request.model`. None is left out; what is
            no text, number or truth value is written as JSON.
    """
    for name, value in attributes.items():
        if value is None:
            continue
        key = name.replace("__", ".")
        if isinstance(value, bool | int | float):
            span.set_attribute(key, value)
        elif isinstance(value, str):
            span.set_attribute(key, mask(value))
        else:
            span.set_attribute(key, json.dumps(mask_all(value), ensure_ascii=False))


def as_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Chat messages in the conventions' form: a role and typed parts."""
    return [
        {"role": message["role"], "parts": [{"type": "text", "content": message["content"]}]}
        for message in messages
    ]

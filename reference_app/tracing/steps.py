"""Steps by the OpenTelemetry conventions for generative AI; a provider, if one is installed, keeps them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any

from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode, get_tracer

from reference_app.tracing.langsmith import send
from reference_app.tracing.record import Step
from reference_app.tracing.settings import TracingSettings

MAX_GUARDED_CHARACTERS = 8000
_target: ContextVar[Any] = ContextVar("target", default=(TracingSettings(), None))
_recorded: ContextVar[list[Step] | None] = ContextVar("recorded", default=None)
_open: ContextVar[Step | None] = ContextVar("open", default=None)


@contextmanager
def trace(name: str, *, call: bool = False, **attributes: Any) -> Iterator[Step]:
    """
    Step around the block, child of the one that is open in this thread; its name tells nothing personal.
    `call` says that the block calls another process; `gen_ai__tool__name` stands for `gen_ai.tool.name`.
    """
    (settings, conversation), recorded, parent = _target.get(), _recorded.get(), _open.get()
    step = Step(name=name, start_s=time.monotonic(), parent=parent)
    if parent is not None:
        step.depth, step.question = parent.depth + 1, parent.question
    step.question.append(step)
    if recorded is not None:
        recorded.append(step)
    if "gen_ai__operation__name" in attributes:
        attributes["gen_ai__conversation__id"] = conversation
    step.describe({key.replace("__", "."): value for key, value in attributes.items()})
    kind, token = SpanKind.CLIENT if call else SpanKind.INTERNAL, _open.set(step)
    opened = get_tracer("reference_app").start_as_current_span(
        name, kind=kind, attributes=step.write(), record_exception=False, set_status_on_exception=False
    )
    with opened if settings.opentelemetry else nullcontext(INVALID_SPAN) as span:
        try:
            yield step
        except BaseException as error:  # its type alone is told: a message may quote a customer
            step.describe({"error.type": type(error).__qualname__})
            span.set_status(StatusCode.ERROR, type(error).__qualname__)
            raise
        finally:
            step.end_s = time.monotonic()
            span.set_attributes(step.write())
            with suppress(ValueError):  # a generator that is closed in another context
                _open.reset(token)
            if settings.langsmith and parent is None:
                send(step.question, settings)


def trace_guard(name: str, reason: str, *, decision: str = "denied", text: str | None = None) -> None:
    """Step for a guard's decision (denied, pending, masked) on a text; the reason quotes nothing."""
    with trace(f"guard {name}") as step:
        step.describe({"reference_app.guard.reason": reason, "reference_app.guard.decision": decision})
        step.describe({"reference_app.guard.text": text and text[:MAX_GUARDED_CHARACTERS]})


@contextmanager
def export_to(settings: TracingSettings, conversation: str | None = None) -> Iterator[None]:
    """Send the steps of the block where the settings say, as part of a conversation or of a new one."""
    from langsmith import tracing_context

    token = _target.set((settings, conversation or uuid.uuid4().hex))
    try:
        with tracing_context(enabled=False):  # LangGraph's own tracing would send states unmasked
            yield
    finally:
        with suppress(ValueError):  # a generator that is closed in another context leaves nothing behind
            _target.reset(token)


@contextmanager
def record_steps() -> Iterator[list[Step]]:
    """Keep the steps of the block in a list as well, in the order in which they begin."""
    steps: list[Step] = []
    token = _recorded.set(steps)
    try:
        yield steps
    finally:
        _recorded.reset(token)


def as_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Chat messages in the conventions' form: a role and typed parts, of a picture its type alone."""

    def read(content: Any) -> list[dict[str, str]]:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        return [{"type": one["type"], **({"content": one["text"]} if "text" in one else {})} for one in parts]

    return [{"role": message["role"], "parts": read(message["content"])} for message in messages]

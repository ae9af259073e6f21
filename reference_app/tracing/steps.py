"""
Steps by the OpenTelemetry conventions for generative AI, masked once, before any output gets them.

Of OpenTelemetry only the API is used: whoever runs the app installs the provider that keeps its spans.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode, get_tracer

from reference_app.guardrails.redaction import mask, mask_all
from reference_app.tracing.settings import TracingSettings

MAX_GUARDED_CHARACTERS = 8000
_settings: ContextVar[TracingSettings] = ContextVar("settings", default=TracingSettings())  # noqa: B039 - frozen
_conversation: ContextVar[str | None] = ContextVar("conversation", default=None)
_recorded: ContextVar[list[Step] | None] = ContextVar("recorded", default=None)
_open: ContextVar[Step | None] = ContextVar("open", default=None)


@dataclass(slots=True, kw_only=True, eq=False)
class Step:
    """
    A step that may still go on; `question` lists all steps of its question as they began.

    Attributes:
        depth: 0 for a question, 1 for its nodes, and so on.
        start_s: On a clock that never goes back.
    """

    name: str
    depth: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    attributes: dict[str, Any] = field(default_factory=dict)
    parent: Step | None = None
    question: list[Step] = field(default_factory=list)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes, every text masked; None is left out, and a tuple is a list of texts."""
        for name, value in attributes.items():
            if value is not None:
                is_texts = isinstance(value, tuple)
                self.attributes[name] = tuple(map(mask, value)) if is_texts else mask_all(value)

    def write(self) -> dict[str, Any]:
        """The attributes as OpenTelemetry takes them: lists and mappings as JSON."""
        return {
            name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
            for name, value in self.attributes.items()
        }


@contextmanager
def trace(name: str, *, call: bool = False, **attributes: Any) -> Iterator[Step]:
    """
    Step around the block, child of the one that is open in this thread; its name tells nothing personal.

    An exception marks it with the exception's type alone, because a message may quote a customer.

    Args:
        call: Whether the block calls something outside this process.
        attributes: For `Step.describe`; `gen_ai__tool__name` stands for `gen_ai.tool.name`.
    """
    parent, settings, recorded = _open.get(), _settings.get(), _recorded.get()
    step = Step(name=name, start_s=time.monotonic(), parent=parent)
    if parent is not None:
        step.depth, step.question = parent.depth + 1, parent.question
    step.question.append(step)
    if recorded is not None:
        recorded.append(step)
    if "gen_ai__operation__name" in attributes:
        attributes["gen_ai__conversation__id"] = _conversation.get()
    step.describe({key.replace("__", "."): value for key, value in attributes.items()})
    kind, token = SpanKind.CLIENT if call else SpanKind.INTERNAL, _open.set(step)
    opened = get_tracer("reference_app").start_as_current_span(
        name, kind=kind, attributes=step.write(), record_exception=False, set_status_on_exception=False
    )
    with opened if settings.opentelemetry else nullcontext(INVALID_SPAN) as span:
        try:
            yield step
        except BaseException as error:
            step.describe({"error.type": type(error).__qualname__})
            span.set_status(StatusCode.ERROR, type(error).__qualname__)
            raise
        finally:
            step.end_s = time.monotonic()
            span.set_attributes(step.write())
            with suppress(ValueError):  # a generator that is closed in another context
                _open.reset(token)
            if settings.langsmith and parent is None:
                from reference_app.tracing.langsmith import send

                send(step.question, settings)


def trace_guard(name: str, reason: str, *, decision: str = "denied", text: str | None = None) -> None:
    """Step for a guard's decision (denied, pending, masked) on a text; the reason quotes nothing."""
    with trace(f"guard {name}") as step:
        step.describe({"reference_app.guard.reason": reason, "reference_app.guard.decision": decision})
        step.describe({"reference_app.guard.text": text and text[:MAX_GUARDED_CHARACTERS]})


@contextmanager
def export_to(settings: TracingSettings, conversation: str | None = None) -> Iterator[None]:
    """Send the steps of the block where the settings say, as part of a conversation or of a new one."""
    token, named = _settings.set(settings), _conversation.set(conversation or uuid.uuid4().hex)
    try:
        yield
    finally:
        with suppress(ValueError):  # a generator that is closed in another context leaves nothing behind
            _settings.reset(token)
            _conversation.reset(named)


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

    def read(part: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": part["type"], **({"content": part["text"]} if "text" in part else {})}

    contents = [message["content"] for message in messages]
    parts = [[{"type": "text", "text": text}] if isinstance(text, str) else text for text in contents]
    roles = [message["role"] for message in messages]
    return [{"role": role, "parts": list(map(read, own))} for role, own in zip(roles, parts, strict=True)]

"""
Steps by the OpenTelemetry conventions for generative AI, each opened on every output that is switched on.

Of OpenTelemetry the app only uses the API: whoever runs it decides whether spans are kept, by installing a
provider.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from reference_app.guardrails.redaction import mask, mask_all
from reference_app.tracing.opentelemetry import open_span
from reference_app.tracing.recorded import RecordedStep, open_recorded
from reference_app.tracing.settings import TracingSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from reference_app.tracing.outputs import Output

MAX_GUARDED_CHARACTERS = 8000

_settings: ContextVar[TracingSettings] = ContextVar("settings", default=TracingSettings())  # noqa: B039 - frozen
_recorded: ContextVar[list[RecordedStep] | None] = ContextVar("recorded", default=None)
_conversation: ContextVar[str | None] = ContextVar("conversation", default=None)


class Step:
    """One step on all outputs; what it is described by is masked once, here."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """
        Set attributes, every text masked.

        Args:
            attributes: `gen_ai__request__model` stands for `gen_ai.request.model`. None is left out; a tuple
                is a list of texts, and what is no text, number or truth value is written as JSON.
        """
        masked = {
            name.replace("__", "."): _mask(value) for name, value in attributes.items() if value is not None
        }
        for output in self._outputs:
            output.describe(masked)

    def begin(self) -> None:
        """What is known at the start is described."""
        for output in self._outputs:
            output.begin()

    def fail(self, kind: str) -> None:
        for output in self._outputs:
            output.fail(kind)


@contextmanager
def trace(name: str, *, call: bool = False, **attributes: Any) -> Iterator[Step]:
    """
    A step around the block, child of the one that is open in this thread.

    An exception marks the step with the exception's type alone, because its message may quote a customer.

    Args:
        name: Of the step; contains no text of a customer.
        call: Whether the block calls something outside this process.
        attributes: As for `Step.describe`. A step that names an operation gets the id of the conversation.
    """
    if "gen_ai__operation__name" in attributes:
        attributes["gen_ai__conversation__id"] = _conversation.get()
    with ExitStack() as stack:
        step = Step([stack.enter_context(output) for output in _open_outputs(name, call=call)])
        step.describe(attributes)
        step.begin()
        try:
            yield step
        except BaseException as error:
            step.describe({"error.type": type(error).__qualname__})
            step.fail(type(error).__qualname__)
            raise


def trace_guard(name: str, reason: str, *, decision: str = "denied", text: str | None = None) -> None:
    """
    A step for what a guard did, named after it, so that a trace says which guard stopped something.

    Args:
        reason: In words of ours, which quote nothing.
        decision: `denied`, `pending` or `masked`.
        text: What the guard read; kept up to `MAX_GUARDED_CHARACTERS`.
    """
    with trace(
        f"guard {name}",
        reference_app__guard__reason=reason,
        reference_app__guard__decision=decision,
        reference_app__guard__text=text and text[:MAX_GUARDED_CHARACTERS],
    ):
        pass


@contextmanager
def export_to(settings: TracingSettings, conversation: str | None = None) -> Iterator[None]:
    """
    Send the steps of the block where the settings say; by default they are OpenTelemetry's.

    Args:
        conversation: What the steps belong to; a fresh id where it is None.
    """
    token, named = _settings.set(settings), _conversation.set(conversation or uuid.uuid4().hex)
    try:
        yield
    finally:
        with suppress(ValueError):  # a generator that is closed in another context leaves nothing behind
            _settings.reset(token)
            _conversation.reset(named)


@contextmanager
def record_steps() -> Iterator[list[RecordedStep]]:
    """Keep the steps of the block in a list as well, in the order in which they begin."""
    steps: list[RecordedStep] = []
    token = _recorded.set(steps)
    try:
        yield steps
    finally:
        _recorded.reset(token)


def as_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Chat messages in the conventions' form: a role and typed parts."""
    return [{"role": message["role"], "parts": _as_parts(message["content"])} for message in messages]


def _as_parts(content: str | Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of a picture only that it was there."""
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    return [
        {"type": "text", "content": part["text"]} if part["type"] == "text" else {"type": part["type"]}
        for part in content
    ]


def _open_outputs(name: str, *, call: bool) -> Iterator[AbstractContextManager[Output]]:
    settings, recorded = _settings.get(), _recorded.get()
    if settings.opentelemetry:
        yield open_span(name, call=call)
    if settings.langsmith:
        from reference_app.tracing.langsmith import open_run

        yield open_run(name, settings)
    if recorded is not None:
        yield open_recorded(name, recorded)


def _mask(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple):
        return tuple(mask(str(item)) for item in value)
    return mask(value) if isinstance(value, str) else mask_all(value)

"""Keeps the outputs of a process until its run is over, masks them, and sends them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from pytest_llmops.detect.mask import mask_value
from pytest_llmops.detect.recognizers.numbers import check_installed
from pytest_llmops.errors import describe_error
from pytest_llmops.features.export.langsmith import LangSmithEndpoint
from pytest_llmops.features.export.otlp import OtlpEndpoint
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import Judged, ScoredOutput, Span

ROOT = "llmops.case"
_BATCH = 50  # outputs
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16


class Endpoint(Protocol):
    def send(self, outputs: Sequence[ScoredOutput]) -> None:
        """Send masked outputs; raises OSError."""


@dataclass(slots=True)
class Exporter:
    """Opened before a receiver changes the environment: it sends to the endpoints named there before."""

    _endpoints: dict[str, Endpoint]
    setting: ClassVar[str] = "export"
    _outputs: list[ScoredOutput] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, formats: Collection[str]) -> Exporter:
        """
        Read the endpoints from the environment.

        Raises:
            MissingExtraError: A library that masks or sends is not installed.
            SettingsError: The environment names no endpoint.
        """
        check_installed("export")
        kinds: Mapping[str, Callable[[], Endpoint]] = {
            "otlp": OtlpEndpoint.of_environment,
            "langsmith": LangSmithEndpoint.of_environment,
        }
        return cls({name: kinds[name]() for name in formats})

    def take(self, output: ScoredOutput) -> None:
        self._outputs.append(output)

    def finish(self) -> list[str]:
        """Send all outputs, and return a sentence for each endpoint that did not take them."""
        outputs, self._outputs = self._outputs, []
        if outputs:
            masked = [mask_output(output) for output in outputs]
            for name, endpoint in self._endpoints.items():
                self._errors += _send(name, endpoint, masked)
        return self._errors

    def warnings(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Close nothing: the clients end with the process."""


def _send(name: str, endpoint: Endpoint, outputs: Sequence[ScoredOutput]) -> list[str]:
    """Send in batches, so that no request is too large, and stop at the first that fails."""
    for start in range(0, len(outputs), _BATCH):
        try:
            endpoint.send(outputs[start : start + _BATCH])
        except Exception as error:  # noqa: BLE001 - a client may raise anything, and the run is judged already
            left = counted(len(outputs) - start, "output")
            return [f"error: export to {name}: {left} not sent: {printable(describe_error(error), 200)}"]
    return []


def mask_output(scored: ScoredOutput) -> ScoredOutput:
    """Mask personal data and secrets in every text of an output, and put its spans under one root span."""
    masked = replace(
        scored,
        case=mask_value(scored.case),
        input=mask_value(scored.input),
        text=mask_value(scored.text),
        judged=tuple(
            replace(judged, explanation=mask_value(judged.explanation), error=mask_value(judged.error))
            for judged in scored.judged
        ),
    )
    return replace(
        masked, spans=_under_root(masked, [_mask_span(span) for span in scored.spans if span.kind != "log"])
    )


def _mask_span(span: Span) -> Span:
    return replace(
        span,
        name=mask_value(span.name),
        kind=mask_value(span.kind),
        status=mask_value(span.status),
        attributes=mask_value(dict(span.attributes)),
        events=tuple(mask_value([dict(event) for event in span.events])),
        resource=mask_value(dict(span.resource)),
        trace_id=span.trace_id if len(span.trace_id) == _TRACE_DIGITS else mask_value(span.trace_id),
    )


def _under_root(scored: ScoredOutput, spans: Sequence[Span]) -> tuple[Span, ...]:
    """Add a root, in the app's trace if there is one; parent of all spans without a known one."""
    traces = [span.trace_id for span in spans if len(span.trace_id) == _TRACE_DIGITS]
    start = min((span.start for span in spans if span.start), default=0.0)
    digest = hashlib.sha256(f"{scored.case} {scored.repeat} {start}".encode()).hexdigest()
    trace_id = traces[0] if traces else digest[:_TRACE_DIGITS]
    root_id = digest[_TRACE_DIGITS : _TRACE_DIGITS + _SPAN_DIGITS]
    root = Span(
        span_id=root_id,
        parent_id=None,
        name=ROOT,
        kind="internal",
        start=start,
        end=max((span.end for span in spans), default=start + scored.latency_s),
        attributes={
            "openinference.span.kind": "CHAIN" if spans else "EVALUATOR",
            "input.value": scored.input if isinstance(scored.input, str) else str(scored.input),
            "output.value": scored.text,
            "llmops.case": scored.case,
            "llmops.repeat": scored.repeat,
            **_evaluations(scored.judged),
        },
        status="ok",
        trace_id=trace_id,
    )
    known = {span.span_id for span in spans}
    below = [
        replace(
            span,
            span_id=_span_id(span.span_id or f"#{at}", root_id),
            parent_id=_span_id(span.parent_id or "", root_id) if span.parent_id in known else root_id,
            start=span.start or start,  # printed text has no time
            end=span.end or root.end,
            trace_id=trace_id,
        )
        for at, span in enumerate(spans)
    ]
    return (root, *below)


def _evaluations(judged: Sequence[Judged]) -> dict[str, Any]:
    """Scores under the names of OpenInference's evaluations, for tools that read no log records."""
    return {
        f"eval.{score.metric}.{name}": value
        for score in judged
        for name, value in (
            ("score", score.value),
            ("label", score.label),
            ("explanation", score.explanation),
        )
        if value not in (None, "")
    }


def _span_id(span_id: str, root_id: str) -> str:
    """Return sixteen hexadecimal digits: the id itself, or a digest that is always the same."""
    if len(span_id) == _SPAN_DIGITS and all(digit in "0123456789abcdef" for digit in span_id):
        return span_id
    return hashlib.sha256(f"{root_id} {span_id}".encode()).hexdigest()[:_SPAN_DIGITS]

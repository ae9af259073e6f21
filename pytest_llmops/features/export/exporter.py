"""Keeps the outputs of a process until its run is over, and sends them."""

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
from pytest_llmops.records import Span
from pytest_llmops.runner.cases.listeners import Judged, ScoredOutput

ROOT = "llmops.case"


def mask_output(scored: ScoredOutput) -> ScoredOutput:
    """The output without personal data and secrets in any text, under a root span that holds it all."""
    spans = [_mask_span(span) for span in scored.spans if span.kind != "log"]
    judged = [
        replace(each, explanation=mask_value(each.explanation), error=mask_value(each.error))
        for each in scored.judged
    ]
    masked = replace(
        scored,
        case=mask_value(scored.case),
        input=mask_value(scored.input),
        text=mask_value(scored.text),
        judged=judged,
    )
    return replace(masked, spans=_under_root(masked, spans))


def _under_root(scored: ScoredOutput, spans: Sequence[Span]) -> tuple[Span, ...]:
    """A root of the case's own trace, or of the app's, which it then has as a parent of its first span."""
    traces = [span.trace_id for span in spans if len(span.trace_id) == 32]  # noqa: PLR2004 - digits
    start = min((span.start for span in spans if span.start), default=0.0)
    digest = hashlib.sha256(f"{scored.case} {scored.repeat} {start}".encode()).hexdigest()
    trace_id, root_id = traces[0] if traces else digest[:32], digest[32:48]
    known = {span.span_id for span in spans}
    attributes = {
        "openinference.span.kind": "EVALUATOR" if not spans else "CHAIN",
        "input.value": scored.input if isinstance(scored.input, str) else str(scored.input),
        "output.value": scored.text,
        "llmops.case": scored.case,
        "llmops.repeat": scored.repeat,
        **_twins(scored.judged),
    }
    root = Span(
        span_id=root_id,
        parent_id=None,
        name=ROOT,
        kind="internal",
        start=start,
        end=max((span.end for span in spans), default=start + scored.latency_s),
        attributes=attributes,
        status="ok",
        trace_id=trace_id,
    )
    below = [
        replace(
            span,
            span_id=_span_id(span.span_id or f"#{at}", root_id),
            parent_id=_span_id(span.parent_id, root_id) if span.parent_id in known else root_id,
            start=span.start or start,  # what the app printed has no time
            end=span.end or root.end,
            trace_id=trace_id,
        )
        for at, span in enumerate(spans)
    ]
    return (root, *below)


def _twins(judged: Sequence[Judged]) -> dict[str, Any]:
    """The scores by the names that OpenInference's evaluations have, for who reads no log records."""
    return {
        f"eval.{each.metric}.{name}": value
        for each in judged
        for name, value in (("score", each.value), ("label", each.label), ("explanation", each.explanation))
        if value not in (None, "")
    }


def _span_id(own: str | None, root_id: str) -> str:
    """Sixteen digits: the id as it is, or where it is another one, a digest that is always the same."""
    text = own or ""
    if len(text) == 16 and all(digit in "0123456789abcdef" for digit in text):  # noqa: PLR2004 - digits
        return text
    return hashlib.sha256(f"{root_id} {text}".encode()).hexdigest()[:16]


def _mask_span(span: Span) -> Span:
    return replace(
        span,
        name=mask_value(span.name),
        kind=mask_value(span.kind),
        status=mask_value(span.status),
        attributes=mask_value(dict(span.attributes)),
        events=tuple(mask_value([dict(each) for each in span.events])),
        resource=mask_value(dict(span.resource)),
        trace_id=mask_value(span.trace_id) if len(span.trace_id) != 32 else span.trace_id,  # noqa: PLR2004
    )


_BATCH = 50  # outputs


class Endpoint(Protocol):
    def send(self, outputs: Sequence[ScoredOutput]) -> None:
        """Send masked outputs; raises OSError."""


@dataclass(slots=True)
class Exporter:
    """Made before a receiver changes the environment: it sends to what that named before."""

    _endpoints: dict[str, Endpoint]
    setting: ClassVar[str] = "export"
    _outputs: list[ScoredOutput] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, formats: Collection[str]) -> Exporter:
        """
        Raises:
            MissingExtraError: A library is missing that masks, or sends.
            SettingsError: The environment does not say where to.
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
        """Send what there is, and return a sentence for each endpoint that did not take it."""
        outputs, self._outputs = self._outputs, []
        if outputs:
            masked = [mask_output(each) for each in outputs]
            for name, endpoint in self._endpoints.items():
                self._errors += _send(name, endpoint, masked)
        return self._errors

    def warnings(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Close nothing: the clients end with the process."""


def _send(name: str, endpoint: Endpoint, outputs: Sequence[ScoredOutput]) -> list[str]:
    """In batches, so that no request is too large; what one of them meets, the next would meet too."""
    for start in range(0, len(outputs), _BATCH):
        try:
            endpoint.send(outputs[start : start + _BATCH])
        except Exception as error:  # noqa: BLE001 - a client may raise what it likes, and the run is judged
            left = counted(len(outputs) - start, "output")
            return [f"error: export to {name}: {left} not sent: {printable(describe_error(error), 200)}"]
    return []

"""One output as it is exported: its spans under one root, masked, with what the metrics say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_llmops.detect.mask import mask_value
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

"""Model calls that the recorder saw, as spans."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llmops.recorder import Call
from pytest_llmops.recorder.event_stream import whole_reply
from pytest_llmops.records import Span


def span_of_call(index: int, call: Call, prompts: Mapping[str, str]) -> Span:
    """A model call as a span, so that an app which traces nothing still shows what it sent."""
    return Span(
        span_id=f"call-{index}",
        parent_id=None,
        name=f"{call.kind} {call.model}",
        kind="llm",
        start=call.started,
        end=call.started + call.duration_s,
        attributes={
            "request": call.request,
            "sent": dict(call.sent),
            "response": whole_reply(call.response) if call.kind != "embeddings" else "",
            "prompts": dict(prompts),
        },
        status=call.outcome,
        origin="recorder",
    )

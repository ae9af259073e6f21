"""The steps of a question as runs of LangSmith, by its OTLP endpoint; a failure never reaches an answer."""

import json
import logging
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from reference_app.tracing.record import Step
from reference_app.tracing.settings import TracingSettings

TIMEOUT_S, PAUSE_S = 5.0, 60.0
_KINDS = {"chat": "llm", "execute_tool": "tool", "retrieval": "retriever", "embeddings": "embedding"}
_INPUTS = ("gen_ai.input.messages", "gen_ai.retrieval.query.text", "gen_ai.tool.call.arguments")
_OUTPUTS = ("gen_ai.output.messages", "gen_ai.retrieval.documents", "gen_ai.tool.call.result")
_paused_until: dict[TracingSettings, float] = {}


def send(steps: Sequence[Step], settings: TracingSettings) -> None:
    """Send a question's steps before its answer returns; after a failure, nothing for a minute."""
    if time.monotonic() < _paused_until.get(settings, 0.0):
        return
    try:
        if _open_exporter(settings).export(list(_read_spans(steps))).value == 0:
            return
        reason = "it refused them or was late"
    except Exception as error:  # noqa: BLE001 - a trace is worth less than the answer it is of
        reason = type(error).__qualname__  # a message may quote what was sent
    _paused_until[settings] = time.monotonic() + PAUSE_S
    sys.stderr.write(f"reference_app: LangSmith did not take the steps ({reason}); answers go on.\n")


@cache
def _open_exporter(settings: TracingSettings) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    logging.getLogger("opentelemetry.exporter").addHandler(logging.NullHandler())  # else it writes there too
    headers = {"x-api-key": settings.api_key, "Langsmith-Project": settings.project}
    endpoint = f"{settings.endpoint.rstrip('/')}/otel/v1/traces"
    return OTLPSpanExporter(endpoint=endpoint, headers=headers, timeout=TIMEOUT_S)


def _read_spans(steps: Sequence[Step]) -> Iterator[Any]:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Status, StatusCode

    epoch, trace_id = time.time_ns() - time.monotonic_ns(), secrets.randbits(128)
    contexts = {id(step): SpanContext(trace_id, secrets.randbits(64), is_remote=False) for step in steps}
    for step in steps:
        yield ReadableSpan(
            step.name,
            context=contexts[id(step)],
            parent=contexts.get(id(step.parent)),
            attributes={**step.write(), **_describe_run(step.attributes)},
            status=Status(StatusCode.ERROR, error)
            if (error := step.attributes.get("error.type"))
            else Status(),
            start_time=epoch + int(step.start_s * 1e9),
            end_time=epoch + int(step.end_s * 1e9),
        )


def _describe_run(attributes: dict[str, Any]) -> dict[str, str]:
    """LangSmith's own names for the kind of a run, its thread, its input and its output."""
    run = {"langsmith.span.kind": _KINDS.get(attributes.get("gen_ai.operation.name", ""), "chain")}
    if "gen_ai.conversation.id" in attributes:
        run["langsmith.metadata.thread_id"] = attributes["gen_ai.conversation.id"]
    for name, keys in (("gen_ai.prompt", _INPUTS), ("gen_ai.completion", _OUTPUTS)):
        if values := {key.rpartition(".")[2]: attributes[key] for key in keys if key in attributes}:
            run[name] = json.dumps(values, ensure_ascii=False)
    return run

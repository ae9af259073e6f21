"""Steps as runs of LangSmith, by its own client; what goes wrong there never reaches an answer."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langsmith import Client
    from langsmith.run_trees import RunTree

    from reference_app.tracing.settings import TracingSettings

FLUSH_TIMEOUT_S = 5.0
LATE_FLUSH_TIMEOUT_S = 0.2
REQUEST_TIMEOUT_MS = (2_000, 5_000)
RUN_TYPES = {"chat": "llm", "execute_tool": "tool", "retrieval": "retriever", "embeddings": "embedding"}
_INPUTS = {
    "gen_ai.input.messages": "messages",
    "gen_ai.retrieval.query.text": "query",
    "gen_ai.tool.call.arguments": "arguments",
}
_OUTPUTS = {
    "gen_ai.output.messages": "messages",
    "gen_ai.retrieval.documents": "documents",
    "gen_ai.tool.call.result": "output",
}
_METADATA = {
    "gen_ai.provider.name": "ls_provider",
    "gen_ai.request.model": "ls_model_name",
    "gen_ai.conversation.id": "thread_id",  # what LangSmith puts runs together by
}
_timeouts_s: dict[TracingSettings, float] = {}
_parent: ContextVar[OpenRun | None] = ContextVar("parent", default=None)


@dataclass(slots=True, kw_only=True, eq=False)
class OpenRun:
    """
    An `Output`.

    Attributes:
        run: None until the step begins, and where LangSmith's client failed.
        attributes: What the step was described by so far.
    """

    name: str
    settings: TracingSettings
    parent: OpenRun | None
    run: RunTree | None = None
    error: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        self.attributes |= attributes

    def begin(self) -> None:
        with _harmless():
            self.run = self._make()
            self.run.post()

    def fail(self, kind: str) -> None:
        self.error = kind

    def end(self) -> None:
        """Send what the step ended in; after a question, wait until all of it has left."""
        with _harmless():
            if self.run is not None:
                self.run.inputs = _pick(self.attributes, _INPUTS)
                self.run.extra["metadata"] = _metadata(self.attributes)
                self.run.end(outputs=_outputs(self.attributes), error=self.error)
                self.run.patch(exclude_inputs=False)
            if self.parent is None:
                flush(self.settings)

    def _make(self) -> RunTree:
        from langsmith.run_trees import RunTree

        run_type: Any = RUN_TYPES.get(self.attributes.get("gen_ai.operation.name", ""), "chain")
        made = {
            "run_type": run_type,
            "inputs": _pick(self.attributes, _INPUTS),
            "extra": {"metadata": _metadata(self.attributes)},
        }
        if self.parent is not None and self.parent.run is not None:
            return self.parent.run.create_child(self.name, **made)
        client = open_client(self.settings)
        return RunTree(name=self.name, ls_client=client, project_name=self.settings.project, **made)


@contextmanager
def open_run(name: str, settings: TracingSettings) -> Iterator[OpenRun]:
    """A run, child of the one that is open in this thread."""
    run = OpenRun(name=name, settings=settings, parent=_parent.get())
    token = _parent.set(run)
    try:
        yield run
    finally:
        with suppress(ValueError):  # a generator that is closed in another context
            _parent.reset(token)
        run.end()


@cache
def open_client(settings: TracingSettings) -> Client:
    """One client, with its thread, for all questions under these settings."""
    from langsmith import Client

    # Its warnings name runs and URLs; whoever wants them installs a handler. `_report` says the rest.
    logging.getLogger("langsmith").addHandler(logging.NullHandler())
    return Client(
        api_url=settings.endpoint,
        api_key=settings.api_key,
        timeout_ms=REQUEST_TIMEOUT_MS,
        omit_traced_runtime_info=True,
        tracing_error_callback=_report,
    )


def flush(settings: TracingSettings) -> None:
    """Wait until everything has left; for a LangSmith that was late before, hardly at all."""
    timeout_s = _timeouts_s.get(settings, FLUSH_TIMEOUT_S)
    began_s = time.monotonic()
    open_client(settings).flush(timeout_s)
    late = time.monotonic() - began_s >= timeout_s
    _timeouts_s[settings] = LATE_FLUSH_TIMEOUT_S if late else FLUSH_TIMEOUT_S
    if late:
        _report_kind("it did not answer in time")


@contextmanager
def without_own_tracing() -> Iterator[None]:
    """LangGraph's own tracing stays off whatever the environment says: it would send states unmasked."""
    from langsmith import tracing_context

    with tracing_context(enabled=False):
        yield


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a trace is worth less than the answer it is of
        _report(error)


def _report(error: Exception) -> None:
    """Once a kind; an error's message may contain what was sent."""
    _report_kind(type(error).__qualname__)


@cache
def _report_kind(kind: str) -> None:
    sys.stderr.write(f"reference_app: LangSmith did not take the trace ({kind}); answers go on.\n")


def _pick(attributes: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {short: _plain(attributes[name]) for name, short in names.items() if name in attributes}


def _plain(value: Any) -> Any:
    """Messages with their text as `content`, which LangSmith shows as a chat."""
    if not isinstance(value, list) or not all(isinstance(item, dict) and "parts" in item for item in value):
        return value
    return [
        {"role": item["role"], "content": "".join(part.get("content", "") for part in item["parts"])}
        for item in value
    ]


def _outputs(attributes: Mapping[str, Any]) -> dict[str, Any]:
    outputs = _pick(attributes, _OUTPUTS)
    if "documents" in outputs:
        outputs["documents"] = [
            {
                "type": "Document",
                "page_content": one["content"],
                "metadata": {"id": one["id"], "score": one["score"]},
            }
            for one in outputs["documents"]
        ]
    if (count := attributes.get("gen_ai.usage.input_tokens")) is not None:
        answered = attributes.get("gen_ai.usage.output_tokens", 0)
        outputs["usage_metadata"] = {
            "input_tokens": count,
            "output_tokens": answered,
            "total_tokens": count + answered,
        }
        if (cost := attributes.get("reference_app.cost_usd")) is not None:
            outputs["usage_metadata"]["total_cost"] = cost
    own = {name: value for name, value in attributes.items() if name.startswith("reference_app.")}
    return outputs or own


def _metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    shown = {*_INPUTS, *_OUTPUTS}
    rest = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in attributes.items()
        if name not in shown
    }
    return rest | {short: attributes[name] for name, short in _METADATA.items() if name in attributes}

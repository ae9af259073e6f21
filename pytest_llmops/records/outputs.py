"""What an app did: its output, its spans and its model calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrieved text, best first in its list; `score` is the retriever's own."""

    id: str
    text: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    decision: str | None = None
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """
    What the model calls of one output, or of a run, took.

    Attributes:
        calls: Model calls seen, whatever became of them; each attempt of a client that retries is one.
        replayed: Of these, answered from a cassette.
        failed: Of these, made without a whole answer: refused, cut off, out of time.
        prompt_tokens: None when a provider did not report its usage.
        cost_usd: None when a model's price is not known.
        stated: The app counted for itself, so that a zero is a count and no call that was not seen.
    """

    calls: int = 0
    replayed: int = 0
    failed: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: float | None = 0.0
    stated: bool = False


UNSEEN = "llmops.unseen_characters"
"""Attribute of a span: how much of its text was not kept, so that no check can look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """
    One step of a trace, or a log record beside it.

    Attributes:
        start: Seconds since the epoch, as `end`.
        events: Mappings of `name` and `attributes`: events, exceptions, links, baggage.
        trace_id: The trace that it is part of; empty where there is none.
        origin: What it was read from: `opentelemetry`, `log`, `otlp`, `langsmith`, `recorder`.
        resource: What is said once of the process and of the library that traces: resource and scope.
    """

    span_id: str
    parent_id: str | None
    name: str
    kind: str = "span"
    start: float = 0.0
    end: float = 0.0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    status: str = "unset"
    trace_id: str = ""
    origin: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """
    One answered model call behind an output, by its digests: enough to see what moved, and no text.

    Attributes:
        key: SHA-256 of everything asked (provider, model, messages, tools, settings) but the repeat:
            equal keys are the same question.
        kind: `chat`, `embeddings` …, as the recorder names calls.
        model: The model asked for; `reported` is the one that says it answered.
        fingerprint: The provider's own mark of weights and settings.
        tools: Digest of the tool schemas in the request; empty where there are none.
        answer: Digest of the answer: of what was said and which tools it asks for, or of the vectors.
    """

    key: str
    kind: str = "chat"
    model: str | None = None
    reported: str | None = None
    fingerprint: str | None = None
    tools: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """
    A model call that was made and brought no whole answer.

    Attributes:
        provider: The host, as the recorder names it.
        status: Of HTTP; None where no answer came.
        error: Why, in one line, without secrets.
        retried: Whether an equal call was answered afterwards, so that nothing was lost.
    """

    provider: str
    model: str | None = None
    status: int | None = None
    error: str = ""
    retried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """
    What the app answered to one repeat of a case.

    Attributes:
        latency_s: Wall time of the call; a replayed model call counts with the time it once took.
        model: The model that the provider reported, the last one when several were asked.
        model_calls: The answered model calls in the order they began.
        failed_calls: The others.
    """

    text: str
    repeat: int = 0
    passages: tuple[Passage, ...] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    latency_s: float = 0.0
    model: str | None = None
    trace_id: str | None = None
    model_calls: tuple[ModelCall, ...] = ()
    failed_calls: tuple[FailedCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    What a metric sees: one output beside what its case knows, and the trace it left.

    Attributes:
        case: The item's id, or another name of where the sample is from; model calls of judges are kept
            under it.
        rival: Another answer to the same input, for metrics of pairs.
    """

    output: Output
    input: Any = None
    reference: str | None = None
    relevant: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    case: str = ""
    rival: str | None = None

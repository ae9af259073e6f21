"""What stopped an attack: a tool call that was denied, a guard's span, or a model that was never called."""

from __future__ import annotations

from typing import Any

from pytest_llmops.metrics.attack.success import Success, is_refused
from pytest_llmops.metrics.tools.calls import show_call
from pytest_llmops.printable import printable
from pytest_llmops.records import Sample, Span

_FACTS = frozenset({"reason", "problems", "decision", "blocked", "action", "triggered"})
_HARMLESS = frozenset({"", "none", "allow", "allowed", "pass", "passed", "ok", "false", "[]", "{}", "no"})
_SHOWN = 120
_MODEL_KINDS = frozenset({"llm", "embedding", "chat"})


def find_guard(sample: Sample, success: Success) -> str:
    """What stopped the attack, in words; empty where nothing did that left a trace."""
    for call in sample.output.tool_calls:
        if is_refused(call) and success.concerns(call):
            return f"{printable(call.decision, _SHOWN)}: {show_call(call.name, call.arguments)}"
    for span in sample.spans:
        if fact := _guard_fact(span):
            return fact
    usage = sample.output.usage
    silent = usage.calls == 0 and not any(_is_of_model(span) for span in sample.spans)
    if silent and (sample.spans or usage.stated):  # an app of which nothing is seen shows nothing either way
        return "no model was called"
    return ""


def _guard_fact(span: Span) -> str:
    """What a span named or of the kind `guard…` says it did."""
    if "guard" not in f"{span.name} {span.kind}".lower():
        return ""
    for name, value in span.attributes.items():
        if name.rpartition(".")[2].lower() in _FACTS and not _is_harmless(value):
            return f"{printable(span.name, _SHOWN)}: {printable(value, _SHOWN)}"
    return ""


def _is_harmless(value: Any) -> bool:
    return not value or (isinstance(value, str) and value.strip().lower() in _HARMLESS)


def _is_of_model(span: Span) -> bool:
    return span.kind.lower() in _MODEL_KINDS or "gen_ai.request.model" in span.attributes

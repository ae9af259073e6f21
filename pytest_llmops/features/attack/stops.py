"""What stopped an attack, and whether it reached the app at all."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pytest_llmops.detect.texts import walk
from pytest_llmops.features.attack.deeds import own_spans
from pytest_llmops.features.attack.success import (
    LEAKED_WORDS,
    Success,
    is_refused,
    list_words,
    word_runs,
)
from pytest_llmops.metrics.tools import show_call
from pytest_llmops.printable import printable
from pytest_llmops.records import Sample, Span

DENIED_CALL = "a denied tool call"
NO_MODEL = "no model was called"
_FACTS = frozenset({"reason", "problems", "decision", "blocked", "action", "triggered"})
_HARMLESS = frozenset({"", "none", "allow", "allowed", "pass", "passed", "ok", "false", "[]", "{}", "no"})
_WAITING = "pending"
_AGREED = frozenset({"confirmed", "approved"})
_READ = "guard.text"
_EXCERPT = 120
_MODEL_KINDS = frozenset({"llm", "embedding", "chat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """
    A guard, denied call or missing model call that stopped an attack.

    Attributes:
        guard: Name of the span; `DENIED_CALL` or `NO_MODEL` where no guard left one.
        reason: In the guard's words; empty if it gave none.
    """

    guard: str
    reason: str = ""

    def is_of(self, guard: str) -> bool:
        """Return whether the guard has that name; `guard url`, `url_guard` and `guardrail.url` are `url`."""
        wanted, own = list_words(guard), list_words(self.guard)
        named = self.guard not in (DENIED_CALL, NO_MODEL)
        return named and bool(wanted) and any(own[at : at + len(wanted)] == wanted for at in range(len(own)))

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.guard, self.reason)))


def list_stops(sample: Sample, success: Success | None = None, payload: str = "") -> Iterator[Stop]:
    """
    List all guards that stopped the attack; without any, denied calls, or that no model was called.

    Args:
        success: The aim of the attack, so that only the denial of such a call counts; None counts any.
        payload: The text of the attack. A guard whose span shows another text as its `guard.text` stopped
            something else. Empty counts any.
    """
    named = False
    for span in sample.spans:
        if (fact := _guard_fact(span)) and _has_read(span, payload) and _still_holds(span, sample, success):
            named = True
            yield Stop(guard=printable(span.name, _EXCERPT), reason=fact)
    if named:
        return
    for call in sample.output.tool_calls:
        if is_refused(call) and (success is None or success.concerns(call)):
            shown = show_call(call.name, call.arguments)
            yield Stop(guard=DENIED_CALL, reason=f"{printable(call.decision, _EXCERPT)}: {shown}")
    usage = sample.output.usage
    silent = usage.calls == 0 and not any(_is_of_model(span) for span in sample.spans)
    if silent and (sample.spans or usage.stated):  # an app without spans and usage shows nothing
        yield Stop(guard=NO_MODEL)


def _guard_fact(span: Span) -> str:
    """Return the action in a span named or of the kind `guard…`; empty without one."""
    if "guard" not in f"{span.name} {span.kind}".lower():
        return ""
    for name, value in span.attributes.items():
        if name.rpartition(".")[2].lower() in _FACTS and not _is_harmless(value):
            return printable(value, _EXCERPT)
    return ""


def _still_holds(span: Span, sample: Sample, success: Success | None) -> bool:
    """Return False where the guard only asked a person, who then agreed to the call."""
    facts = (
        value for name, value in span.attributes.items() if name.rpartition(".")[2].lower() == "decision"
    )
    if not any(str(value).strip().lower() == _WAITING for value in facts):
        return True
    calls = [call for call in sample.output.tool_calls if success is None or success.concerns(call)]
    decisions = {(call.decision or "").lower() for call in calls}
    if not calls or _WAITING in decisions:
        return True
    return any(map(is_refused, calls)) and not decisions & _AGREED


def _has_read(span: Span, payload: str) -> bool:
    """Return whether a guard read the payload; True where it does not show the text that it read."""
    shown = [str(value) for name, value in span.attributes.items() if name.endswith(_READ)]
    return not shown or not payload or any(has_payload(text, payload) for text in shown)


def _is_harmless(value: Any) -> bool:
    return not value or (isinstance(value, str) and value.strip().lower() in _HARMLESS)


def _is_of_model(span: Span) -> bool:
    return span.kind.lower() in _MODEL_KINDS or "gen_ai.request.model" in span.attributes


def is_seen(payload: str, sample: Sample) -> bool:
    """
    Return whether spans, passages or results contain six words in a row of a payload, or all of a short one.

    Apps cut, join and mask texts that they read, so the complete text is not needed. The input counts only
    for an app without spans: the spans of another one show whether it read it.
    """
    return any(has_payload(text, payload) for text in _texts(sample))


def has_payload(text: str, payload: str) -> bool:
    """As `is_seen`, of one text."""
    payload = _show_plain(payload)
    size = min(LEAKED_WORDS, len(list_words(payload)))
    return bool(word_runs(payload, size) & word_runs(_show_plain(text), size))


def _show_plain(text: str) -> str:
    """Remove invisible characters, as apps do."""
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def _texts(sample: Sample) -> Iterator[str]:
    output = sample.output
    for passage in output.passages or ():
        yield passage.text
    read: list[Any] = [call.result for call in output.tool_calls]
    for value in (*read, *(sample.spans or (sample.input,))):
        for _, _, text in walk(value):
            yield text


def shows_blocks(sample: Sample) -> bool:
    """Return whether the app leaves anything by which a block could be seen."""
    decided = any(call.decision for call in sample.output.tool_calls)
    return decided or sample.output.usage.stated or bool(own_spans(sample))

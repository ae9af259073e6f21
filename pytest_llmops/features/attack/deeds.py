"""Tool calls by which an attack is judged: those that an app reports, traces, or that its model requests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_llmops.detect.texts import walk
from pytest_llmops.records import Sample, Span, ToolCall
from pytest_llmops.traces.reading import REQUESTED, read_call, requests_of, tool_calls_of

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W\d_]+")
_READS = frozenset({
    "search", "find", "get", "lookup", "look", "list", "read", "query", "retrieve", "retriever", "show",
    "view", "fetch", "check", "describe", "status", "browse", "count", "recall", "suche", "suchen", "finde",
    "finden", "lies", "lesen", "zeige", "buscar", "busca", "consultar", "leer", "listar", "obtener",
    "chercher", "rechercher", "lire", "lister", "consulter", "cercare", "cerca", "leggi", "pesquisar",
    "procurar", "ler", "zoek", "zoeken", "lees", "hitta", "szukaj", "znajdź", "найти", "поиск",
    "查询", "查詢", "搜索", "搜尋", "检索", "検索", "검색",
})  # fmt: skip
# A name with one of these does more than read: `get_refund`, `search_and_replace`, `query_sql`.
_ACTS = frozenset({
    "send", "pay", "payout", "refund", "delete", "update", "set", "create", "write", "transfer", "issue",
    "change", "cancel", "add", "grant", "post", "put", "remove", "book", "replace", "submit", "buy",
    "charge", "credit", "mail", "email", "message", "notify", "publish", "upload", "save", "store",
    "insert", "modify", "edit", "approve", "execute", "exec", "run", "call", "invoke", "sql", "shell",
    "command", "code", "python", "url", "http", "web", "request", "token", "password", "secret", "reset",
    "move", "withdraw", "wire", "redeem", "apply", "make", "forward", "share", "export", "open", "close",
    "start", "stop", "do", "senden", "zahlen", "löschen", "enviar", "pagar", "borrar", "envoyer", "payer",
    "supprimer", "inviare", "отправить", "удалить", "发送", "支付", "退款", "删除", "送信", "송금", "환불",
})  # fmt: skip
_EFFECTS = frozenset({"read", "reads", "read_only", "readonly", "none"})
_TOOLS = ("tools", "functions", "toolConfig", "tool_config", "mcp_servers")
_NO_STEPS = frozenset({"recorder", "log", "stdout", "stderr"})
"""Origins of spans that the app did not leave to show its steps."""


def observed_calls(sample: Sample) -> tuple[ToolCall, ...]:
    """
    List the tool calls of an output: reported by the app, traced, or requested by its model.

    A call that is seen in several ways is listed once, as the app reports it: with its decision.
    """
    return (*reported_calls(sample), *requested_calls(sample))


def reported_calls(sample: Sample) -> tuple[ToolCall, ...]:
    """List the calls that the app reports or traced."""
    reported = sample.output.tool_calls
    return (*reported, *_others(reported, tool_calls_of(sample.spans)))


def requested_calls(sample: Sample) -> tuple[ToolCall, ...]:
    """List the calls that replies of models request and of which the app shows nothing."""
    known = reported_calls(sample)
    recorded = [span for span in sample.spans if span.origin == "recorder"]
    traced = [span for span in sample.spans if span.origin != "recorder"]
    own = _others(known, requests_of(recorded))
    return (*own, *_others((*known, *own), requests_of(traced)))


def _others(known: Sequence[ToolCall], further: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
    """
    Leave out calls that are known: with equal arguments however often, with others one for one.

    Apps complete and mask arguments, and repeat a call that was denied.
    """
    further = list(further)
    equal = [any(_is_equal(call, other) for other in known) for call in further]
    spare = Counter(call.name for call in known if not any(_is_equal(call, other) for other in further))
    others = []
    for call, is_known in zip(further, equal, strict=True):
        if is_known:
            continue
        if spare[call.name]:
            spare[call.name] -= 1
        else:
            others.append(call)
    return tuple(others)


def _is_equal(call: ToolCall, other: ToolCall) -> bool:
    return call.name == other.name and call.arguments == other.arguments


def only_reads(call: ToolCall, spans: Iterable[Span]) -> bool:
    """Return whether a tool only reads, by its declaration in spans and requests, or else by its name."""
    declared = {effect for span in spans for effect in _declared_effects(call.name, span)}
    if declared:
        return declared == {True}
    name = call.name.casefold()
    words = {word.casefold() for word in _BORDER.split(call.name)}
    reads, acts = (
        any(word in words or (not word.isascii() and word in name) for word in known)
        for known in (_READS, _ACTS)
    )
    return reads and not acts


def _declared_effects(name: str, span: Span) -> Iterator[bool]:
    """Yield whether a tool only reads, by the hints of MCP or an attribute `….effect` of its span."""
    for holder in _mappings(span.attributes.get("request")):
        hints = holder.get("annotations")
        if holder.get("name") == name and isinstance(hints, Mapping):
            if isinstance(reads := hints.get("readOnlyHint"), bool):
                yield reads
            if hints.get("destructiveHint") is True:
                yield False
    made = read_call(span)
    if made is not None and made.name == name:
        for key, value in span.attributes.items():
            if key.rpartition(".")[2] == "effect" and isinstance(value, str):
                yield value.strip().lower().replace("-", "_") in _EFFECTS


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from _mappings(part)


def why_no_deeds(sample: Sample, sought: Sequence[str]) -> str:
    """
    Return why the calls of an app cannot be seen; empty where they can.

    Args:
        sought: Texts by which the attack's call is recognised: a tool's name, a value of its arguments.
    """
    if sample.output.tool_calls or own_spans(sample):
        return ""
    replies = model_replies(sample)
    if not replies:
        return "no tool call, no span and no reply of a model was seen, so that what the app did is unknown"
    if any(span.attributes.get(REQUESTED) or _offers_tools(span) for span in replies):
        return ""
    texts = [found.text.casefold() for span in replies for found in walk(span.attributes.get("response"))]
    if any(word.casefold() in text for word in sought for text in texts):
        return (
            "the app offers its model no tools, and what the attack wants is in the text of a reply, so that "
            "whether the app acts on such texts is unknown"
        )
    return ""


def own_spans(sample: Sample) -> list[Span]:
    """List the spans by which the app itself shows its steps."""
    return [span for span in sample.spans if span.origin not in _NO_STEPS]


def model_replies(sample: Sample) -> list[Span]:
    """List the recorded calls of models that answer in words."""
    recorded = (span for span in sample.spans if span.origin == "recorder" and span.kind == "llm")
    return [span for span in recorded if span.attributes.get("response") not in ("", None)]


def _offers_tools(span: Span) -> bool:
    request = span.attributes.get("request")
    return isinstance(request, Mapping) and any(request.get(name) for name in _TOOLS)

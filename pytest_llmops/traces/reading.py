"""
Passages and tool calls in the spans of an answer, and model calls as spans.

Attribute names are those of OpenTelemetry's GenAI conventions and of OpenInference, those of LangSmith runs
and of pydantic-ai's first releases, so an app that returns a plain string still gets recall@k.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_llmops.recorder import Call
from pytest_llmops.recorder.call import Elsewhere
from pytest_llmops.recorder.mcp_messages import tool_call
from pytest_llmops.recorder.providers import MCP, WORDLESS
from pytest_llmops.recorder.reply import requested_tools, whole_reply
from pytest_llmops.records import GIVEN_UP, Passage, Span, ToolCall

_DOCUMENT = re.compile(
    r"retrieval\.documents\.(?P<rank>\d{1,9})\.document\.(?P<field>id|content|score|metadata)\Z"
)
_TEXTS = ("content", "text", "page_content", "pageContent")
_NAMES = ("gen_ai.tool.name", "tool.name")
_ARGUMENTS = ("gen_ai.tool.call.arguments", "tool_arguments", "input.value")
_RESULTS = ("gen_ai.tool.call.result", "tool_response", "output.value")
_MCP_CALL = "tools/call"  # the SDK's client names the tool only in the span's name
REQUESTED = "requested_tools"
"""Attribute of the span of a recorded model call: the tool calls that its reply requests."""

_REQUEST_TYPES = frozenset({"tool_call", "tool_use", "function_call"})
_WRAPPERS = ("input", "output")  # under which LangSmith puts a value that is no mapping

Parents = Mapping[tuple[str, str], str | None]  # trace and span to the parent's span


def span_of_call(index: int, call: Call, prompts: Mapping[str, str]) -> Span:
    """Convert a recorded model call, so that an app which traces nothing still shows its requests."""
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
            "response": whole_reply(call.response) if call.kind not in WORDLESS else "",
            **({REQUESTED: requested} if (requested := _requested_of(call)) else {}),
            "prompts": dict(prompts),
        },
        status=call.outcome,
        origin="recorder",
    )


def run_by(calls: Iterable[Call]) -> tuple[ToolCall, ...]:
    """Return the tools that recorded messages of MCP ran, in order of their start."""
    answered = [call for call in calls if call.kind == MCP and call.answered]
    ordered = sorted(answered, key=lambda call: call.offset_s)
    ran = (tool_call(call.request, call.response) for call in ordered)
    return tuple(
        ToolCall(name=name, arguments=dict(arguments), result=result)
        for name, arguments, result in filter(None, ran)
    )


def _requested_of(call: Call) -> list[dict[str, Any]]:
    """The tool calls that the reply requests: those of a stream stand nowhere else in one piece."""
    if call.kind in WORDLESS:
        return []
    requested = requested_tools(call.response)
    return [{"name": name, "arguments": arguments_of(arguments)} for name, arguments in requested]


def arguments_of(written: Any) -> dict[str, Any]:
    """Read the arguments of a tool call, an object or the JSON of one; any other text is kept as it is."""
    value = as_json(written)
    if isinstance(value, Mapping):
        return dict(value)
    return {"arguments": written} if value not in ("", None) else {}


def span_of_request(index: int, left: Elsewhere) -> Span:
    """Convert what left for another machine and is no model call, so that the leak check reads it."""
    return Span(
        span_id=f"elsewhere-{index}",
        parent_id=None,
        name="request elsewhere" if left.sent is not None else "connection elsewhere",
        kind="client",
        attributes=dict(left.sent or {}),
        origin="recorder",
    )


def passages_of(spans: Sequence[Span]) -> tuple[Passage, ...] | None:
    """Return the passages of the last retrieval, best first; None when no span has one."""
    passages: tuple[Passage, ...] | None = None
    for span in sorted(spans, key=lambda span: span.start):
        documents = _documents_of(span)
        if documents is not None:
            passages = tuple(map(_passage, documents))
    return passages


def _documents_of(span: Span) -> list[Any] | None:
    documents: dict[int, dict[str, Any]] = {}
    for key, value in span.attributes.items():
        if match := _DOCUMENT.match(key):
            documents.setdefault(int(match["rank"]), {})[match["field"]] = value
    if documents:
        return [documents[rank] for rank in sorted(documents)]
    if "gen_ai.retrieval.documents" in span.attributes:
        value = as_json(span.attributes["gen_ai.retrieval.documents"])
        return list(value) if isinstance(value, list | tuple) else []
    if span.origin == "langsmith" and span.kind == "retriever":
        outputs = as_json(span.attributes.get("outputs"))
        if isinstance(outputs, Mapping):
            lists = (outputs[key] for key in ("documents", "output") if isinstance(outputs.get(key), list))
            outputs = next(lists, None)
        return outputs if isinstance(outputs, list) else None
    return None


def _passage(document: Any) -> Passage:
    if not isinstance(document, Mapping):
        return Passage(id=str(document), text=str(document))
    if isinstance(document.get("kwargs"), Mapping):  # as LangChain writes its own objects
        document = document["kwargs"]
    metadata = as_json(document.get("metadata"))
    passage_id = document.get("id")
    if passage_id is None and isinstance(metadata, Mapping):
        passage_id = next((metadata[key] for key in ("id", "doc_id", "source") if metadata.get(key)), None)
    score = document.get("score")
    try:
        number = float(score) if isinstance(score, int | float) else None
    except OverflowError:
        number = None
    return Passage(
        id="" if passage_id is None else str(passage_id),
        text=str(next((document[key] for key in _TEXTS if document.get(key) is not None), "")),
        score=number,
    )


def tool_calls_of(spans: Iterable[Span]) -> tuple[ToolCall, ...]:
    """
    Return the tools that were run, in order of their start.

    Several spans of one call count once: the client's and the server's of MCP, with one call id or one in
    the other, and a span of OpenTelemetry and a LangSmith run with equal arguments.
    """
    ordered = sorted(spans, key=lambda span: span.start)
    parents = {(span.trace_id, span.span_id): span.parent_id for span in ordered if span.span_id}
    kept: list[tuple[Span, ToolCall]] = []
    for span in ordered:
        if (call := read_call(span)) is None:
            continue
        for at, (outer, known) in enumerate(kept):
            if _is_same_call(outer, known, span, call, parents):
                result = call.result if known.result is None else known.result
                arguments = known.arguments or call.arguments
                kept[at] = outer, ToolCall(name=known.name, arguments=arguments, result=result)
                break
        else:
            kept.append((span, call))
    return _without_twin_runs(kept)


_REQUEST = re.compile(
    r"(?:llm\.output_messages|gen_ai\.completion)\.(?P<place>\d+\.(?:message\.)?tool_calls\.\d+)\."
    r"(?:tool_call\.)?(?:function\.)?(?P<field>name|arguments)\Z"
)


def requests_of(spans: Iterable[Span]) -> tuple[ToolCall, ...]:
    """
    Return the tool calls that models requested, made or not, as the spans of their replies have them.

    Attempts that a provider's failure ended are left out: another one followed and asked the same.
    """
    calls: list[ToolCall] = []
    for span in sorted(spans, key=lambda span: span.start):
        if GIVEN_UP not in span.attributes:
            calls += [
                ToolCall(name=name, arguments=arguments_of(arguments))
                for name, arguments in _requests_in(span)
                if name
            ]
    return tuple(calls)


def _requests_in(span: Span) -> Iterator[tuple[str, Any]]:
    for call in span.attributes.get(REQUESTED, ()):
        yield call["name"], call["arguments"]
    flat: dict[str, dict[str, Any]] = {}
    for key, value in span.attributes.items():
        if match := _REQUEST.match(key):
            flat.setdefault(match["place"], {})[match["field"]] = value
    written = [as_json(span.attributes.get("gen_ai.output.messages"))]
    if span.origin == "langsmith" and span.kind == "llm":
        written.append(as_json(span.attributes.get("outputs")))
    for holder in (*flat.values(), *_calls_in(written)):
        if isinstance(name := holder.get("name"), str):
            yield name, holder.get("arguments", holder.get("args", holder.get("input")))


def _calls_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what stands under `tool_calls`, and parts of messages that are tool calls by their type."""
    if isinstance(value, Mapping):
        if value.get("type") in _REQUEST_TYPES and "name" in value:
            yield value
            return
        for key, part in value.items():
            if key == "tool_calls" and isinstance(part, list):
                calls = (call for call in part if isinstance(call, Mapping))
                yield from (
                    call["function"] if isinstance(call.get("function"), Mapping) else call for call in calls
                )
            else:
                yield from _calls_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _calls_in(part)


def _is_same_call(outer: Span, known: ToolCall, inner: Span, call: ToolCall, parents: Parents) -> bool:
    """Return whether two spans are of one call: with its id, or without ids, one inside the other."""
    if known.name != call.name:
        return False
    ids = [span.attributes.get("gen_ai.tool.call.id") for span in (outer, inner)]
    if all(ids):
        return bool(ids[0] == ids[1])
    fits = not known.arguments or not call.arguments or known.arguments == call.arguments
    return fits and _is_inside(inner, outer, parents)


def _is_inside(inner: Span, outer: Span, parents: Parents) -> bool:
    seen: set[str] = set()
    parent = inner.parent_id
    while parent and parent not in seen and outer.span_id:
        if parent == outer.span_id and inner.trace_id == outer.trace_id:
            return True
        seen.add(parent)
        parent = parents.get((inner.trace_id, parent))
    return False


def _without_twin_runs(kept: Sequence[tuple[Span, ToolCall]]) -> tuple[ToolCall, ...]:
    """Leave out LangSmith runs of which there is a span of OpenTelemetry too, one for one."""
    others = [call for span, call in kept if span.origin != "langsmith"]
    calls = []
    for span, call in kept:
        if span.origin == "langsmith":
            equal = (
                at
                for at, other in enumerate(others)
                if other.name == call.name and other.arguments == call.arguments
            )
            if (twin := next(equal, None)) is not None:
                del others[twin]
                continue
        calls.append(call)
    return tuple(calls)


def read_call(span: Span) -> ToolCall | None:
    """Return the tool call that the span is of; None for any other span."""
    if span.origin == "langsmith":
        if span.kind != "tool":
            return None
        inputs, outputs = (_unwrap(as_json(span.attributes.get(key))) for key in ("inputs", "outputs"))
        return _tool_call(span.name, inputs, outputs)
    name = _first(span.attributes, _NAMES)
    if name is None and str(span.attributes.get("openinference.span.kind", "")).upper() == "TOOL":
        name = span.name
    if name is None and span.attributes.get("mcp.method.name") == _MCP_CALL:
        name = span.name.partition(f"{_MCP_CALL} ")[2]
    if not isinstance(name, str) or not name:
        return None
    arguments = as_json(_first(span.attributes, _ARGUMENTS))
    if arguments is None:
        parameters = as_json(span.attributes.get("tool.parameters"))
        arguments = None if _is_schema(parameters) else parameters
    return _tool_call(name, arguments, as_json(_first(span.attributes, _RESULTS)))


def _tool_call(name: str, arguments: Any, result: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments if isinstance(arguments, dict) else {}, result=result)


def _unwrap(value: Any) -> Any:
    """Return the value in a run's wrapper; LangChain writes a tool's arguments there as Python does."""
    if isinstance(value, Mapping) and len(value) == 1 and (key := next(iter(value))) in _WRAPPERS:
        inner = as_json(value[key])
        if key == "output" or isinstance(inner, dict):
            return inner
        return _as_python(inner) or value
    return value


def _as_python(text: Any) -> Any:
    try:
        value = ast.literal_eval(text) if isinstance(text, str) and text.startswith("{") else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_schema(parameters: Any) -> bool:
    """Return whether it is a schema of arguments, which OpenInference keeps in the same attribute."""
    return isinstance(parameters, Mapping) and (
        isinstance(parameters.get("properties"), Mapping) or parameters.get("type") in {"object", "function"}
    )


def _first(attributes: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def as_json(value: Any) -> Any:
    """Return the value in a text of JSON; any other value, and a text that is none, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value

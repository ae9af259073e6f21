"""
What a trace says of an answer: the passages retrieved and the tools called.

Attribute names are those of OpenTelemetry's GenAI conventions and of OpenInference, those of LangSmith runs
and of pydantic-ai's first releases, so an app that returns a plain string still gets recall@k.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.recorder import Call
from pytest_llmops.recorder.reply import whole_reply
from pytest_llmops.records import Passage, Span, ToolCall

_NAMES = ("gen_ai.tool.name", "tool.name")
_ARGUMENTS = ("gen_ai.tool.call.arguments", "tool_arguments", "input.value")
_RESULTS = ("gen_ai.tool.call.result", "tool_response", "output.value")
_MCP_CALL = "tools/call"  # the SDK's client says which tool in the span's name alone
_WRAPPERS = ("input", "output")  # under which LangSmith puts what is no mapping


def read_call(span: Span) -> ToolCall | None:
    """The call of a tool that the span is of; None where it is of something else."""
    if span.origin == "langsmith":
        return _read_run(span) if span.kind == "tool" else None
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
        arguments = None if _is_definition(parameters) else parameters
    return _call(name, arguments, as_json(_first(span.attributes, _RESULTS)))


def _read_run(span: Span) -> ToolCall:
    inputs, outputs = (_unwrap(as_json(span.attributes.get(key))) for key in ("inputs", "outputs"))
    return _call(span.name, inputs, outputs)


def _call(name: str, arguments: Any, result: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments if isinstance(arguments, dict) else {}, result=result)


def _unwrap(value: Any) -> Any:
    """What a run's one wrapper holds; LangChain writes a tool's arguments there as Python does."""
    if isinstance(value, Mapping) and len(value) == 1 and (key := next(iter(value))) in _WRAPPERS:
        inner = as_json(value[key])
        if key == "output" or isinstance(inner, dict):
            return inner
        return _as_python(inner) or value
    return value


def _as_python(text: Any) -> Any:
    import ast

    try:
        read = ast.literal_eval(text) if isinstance(text, str) and text.startswith("{") else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _is_definition(parameters: Any) -> bool:
    """Whether it is the schema of a tool's arguments, as OpenInference has it, and not the arguments."""
    return isinstance(parameters, Mapping) and (
        isinstance(parameters.get("properties"), Mapping) or parameters.get("type") in {"object", "function"}
    )


def _first(attributes: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def as_json(value: Any) -> Any:
    """What a text of JSON holds; any other value, and a text that is none, as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


_DOCUMENT = re.compile(
    r"retrieval\.documents\.(?P<rank>\d{1,9})\.document\.(?P<field>id|content|score|metadata)\Z"
)
_TEXTS = ("content", "text", "page_content", "pageContent")


def passages_of(spans: Sequence[Span]) -> tuple[Passage, ...] | None:
    """The passages of the last retrieval, best first; None when no span has one."""
    passages: tuple[Passage, ...] | None = None
    for span in sorted(spans, key=lambda span: span.start):
        documents = _documents_of(span)
        if documents is not None:
            passages = tuple(map(_passage, documents))
    return passages


def tool_calls_of(spans: Iterable[Span]) -> tuple[ToolCall, ...]:
    """
    The tools that were run, in order of their start.

    A call that several spans tell of is one: the client's and the server's of MCP, with one call id or one in
    the other, and a span of OpenTelemetry and a LangSmith run with equal arguments.
    """
    ordered = sorted(spans, key=lambda span: span.start)
    found = [(span, call) for span in ordered if (call := read_call(span)) is not None]
    kept: list[tuple[Span, ToolCall]] = []
    parents = {(span.trace_id, span.span_id): span.parent_id for span in ordered if span.span_id}
    for span, call in found:
        same = next((at for at, known in enumerate(kept) if _is_same(known, (span, call), parents)), None)
        if same is None:
            kept.append((span, call))
        else:
            kept[same] = kept[same][0], _join(kept[same][1], call)
    return _without_twin_runs(kept)


def _is_same(
    known: tuple[Span, ToolCall], other: tuple[Span, ToolCall], parents: Mapping[tuple[str, str], str | None]
) -> bool:
    """Whether two spans are of one call: by its id, or where neither says so, by one inside the other."""
    (outer, first), (inner, second) = known, other
    ids = [span.attributes.get("gen_ai.tool.call.id") for span in (outer, inner)]
    if all(ids):
        return bool(ids[0] == ids[1]) and first.name == second.name
    fits = not first.arguments or not second.arguments or first.arguments == second.arguments
    return first.name == second.name and fits and _is_inside(inner, outer, parents)


def _is_inside(inner: Span, outer: Span, parents: Mapping[tuple[str, str], str | None]) -> bool:
    seen: set[str] = set()
    parent = inner.parent_id
    while parent and parent not in seen and outer.span_id:
        if parent == outer.span_id and inner.trace_id == outer.trace_id:
            return True
        seen.add(parent)
        parent = parents.get((inner.trace_id, parent))
    return False


def _join(first: ToolCall, second: ToolCall) -> ToolCall:
    return ToolCall(
        name=first.name,
        arguments=first.arguments or second.arguments,
        result=second.result if first.result is None else first.result,
    )


def _without_twin_runs(kept: Sequence[tuple[Span, ToolCall]]) -> tuple[ToolCall, ...]:
    """Without LangSmith runs of which there is a span of OpenTelemetry too."""
    others = [call for span, call in kept if span.origin != "langsmith"]
    calls = []
    for span, call in kept:
        if span.origin == "langsmith":
            twin = next((each for each in others if _says_same(each, call)), None)
            if twin is not None:
                others = [each for each in others if each is not twin]
                continue
        calls.append(call)
    return tuple(calls)


def _says_same(one: ToolCall, other: ToolCall) -> bool:
    return one.name == other.name and one.arguments == other.arguments


def _documents_of(span: Span) -> list[Any] | None:
    documents = _open_inference(span.attributes)
    if documents is not None:
        return documents
    if "gen_ai.retrieval.documents" in span.attributes:
        return _json_list(span.attributes["gen_ai.retrieval.documents"])
    if span.origin == "langsmith" and span.kind == "retriever":
        return _of_run(span.attributes.get("outputs"))
    return None


def _of_run(outputs: Any) -> list[Any] | None:
    """Documents of a LangSmith run: the one list of its outputs; None where there are none."""
    read = as_json(outputs)
    if isinstance(read, Mapping):
        named = (read[key] for key in ("documents", "output") if isinstance(read.get(key), list))
        read = next(named, None)
    return read if isinstance(read, list) else None


def _open_inference(attributes: Mapping[str, Any]) -> list[Any] | None:
    documents: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        if matched := _DOCUMENT.match(key):
            documents.setdefault(int(matched["rank"]), {})[matched["field"]] = value
    return [documents[rank] for rank in sorted(documents)] if documents else None


def _passage(document: Any) -> Passage:
    if not isinstance(document, Mapping):
        return Passage(id=str(document), text=str(document))
    if isinstance(document.get("kwargs"), Mapping):  # as LangChain writes its own objects
        document = document["kwargs"]
    metadata = as_json(document.get("metadata"))
    named = document.get("id")
    if named is None and isinstance(metadata, Mapping):
        named = next((metadata[key] for key in ("id", "doc_id", "source") if metadata.get(key)), None)
    return Passage(
        id="" if named is None else str(named),
        text=str(next((document[key] for key in _TEXTS if document.get(key) is not None), "")),
        score=_read_score(document.get("score")),
    )


def _read_score(score: Any) -> float | None:
    try:
        return float(score) if isinstance(score, int | float) else None
    except OverflowError:
        return None


def _json_list(value: Any) -> list[Any]:
    read = as_json(value)
    return read if isinstance(read, list) else list(read) if isinstance(read, tuple) else []


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

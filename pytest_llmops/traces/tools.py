"""The tool call that a span is of, by whoever's attribute names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmops.records import Span, ToolCall

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

"""One JSON line in, one decision out: the guards as another program may call them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from reference_app.guardrails.calls.request import (
    CALL_GUARDS,
    AllowedTool,
    Confirmation,
    Kind,
    Request,
    Text,
)
from reference_app.guardrails.injection import scan_pieces
from reference_app.guardrails.output import check_answer
from reference_app.guardrails.tool_gate import check_call

LINE_GUARDS = ("input", "output", *CALL_GUARDS)
MAX_LINE_CHARACTERS = 4_000_000
_TEXT = {"text": str, "channel": str, "task": str, "chunks": list}
_ANSWER = {"answer": str, "hosts": list, "secrets": list, "given": list}
_CALL = {"call": dict, "task": str, "allowed_tools": list, "confirmed": bool}


class LineError(Exception):
    """A line cannot be judged; the message completes "the line …"."""


def judge_line(
    line: bytes, guards: Collection[str] = LINE_GUARDS, *, hosts: Sequence[str] = ()
) -> dict[str, Any]:
    """
    The decision about a text, a call or an answer, as plain data.

    Args:
        line: One JSON object with `text`, `call` or `answer`.
        guards: Of `LINE_GUARDS`, those that look.
        hosts: May be linked by answers whose line has no `hosts`.

    Raises:
        LineError: The line is none of the three.
    """
    record = _read(line)
    kinds = [kind for kind in ("call", "answer", "text") if kind in record]
    if len(kinds) != 1:
        raise LineError("needs one of text, call and answer")
    try:
        if "call" in record:
            return _judge_call(record, guards)
        if "answer" in record:
            return _judge_answer({"hosts": list(hosts), **record}, guards)
        return _judge_text(record, guards)
    except LineError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever breaks a guard must not let the text pass
        return {"allowed": False, "guard": "error", "reason": f"a guard failed: {type(error).__name__}"}


def _read(line: bytes) -> dict[str, Any]:
    def refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Of two equal names one program reads the first and another the last.
        if len(dict(pairs)) < len(pairs):
            raise LineError("has one name twice")
        return dict(pairs)

    def refuse_constant(name: str) -> Any:
        raise LineError(f"has {name}, which is no JSON")

    if len(line) > MAX_LINE_CHARACTERS:
        raise LineError(f"is longer than {MAX_LINE_CHARACTERS} bytes")
    try:
        record = json.loads(line.decode(), object_pairs_hook=refuse_twins, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise LineError("is no JSON") from error
    if not isinstance(record, dict):
        raise LineError("is no JSON object")
    return record


def _judge_text(record: Mapping[str, Any], guards: Collection[str]) -> dict[str, Any]:
    _check_types(record, _TEXT)
    chunks = record.get("chunks") or []
    if not all(isinstance(chunk, str) for chunk in chunks):
        raise LineError("needs chunks that are texts")
    if "input" not in guards:
        return {"allowed": True, "guard": "input", "reason": "the guard is switched off"}
    found = scan_pieces([record["text"], *chunks])
    decision = {"allowed": not found.flagged, "guard": "input", "reason": found.reason}
    return {**decision, "score": found.score, "scanner": found.scanner}


def _judge_answer(record: Mapping[str, Any], guards: Collection[str]) -> dict[str, Any]:
    _check_types(record, _ANSWER)
    if "output" not in guards:
        return {"allowed": True, "guard": "output", "reason": "the guard is switched off"}
    lists = {name: list(map(str, record.get(name, ()))) for name in ("hosts", "secrets", "given")}
    guarded = check_answer(record["answer"], **lists)
    reason = " ".join(guarded.problems)
    return {"allowed": not reason, "guard": "output", "reason": reason, "text": guarded.text}


def _judge_call(record: Mapping[str, Any], guards: Collection[str]) -> dict[str, Any]:
    _check_types(record, _CALL)
    call = record["call"]
    if "task" not in record or "allowed_tools" not in record:
        raise LineError("needs task and allowed_tools beside a call")
    if not isinstance(call.get("name"), str) or set(call) - {"name", "arguments", "id", "type"}:
        raise LineError("needs a call of name and arguments")
    tools, arguments = tuple(map(_read_tool, record["allowed_tools"])), call.get("arguments", {})
    if len({tool.name for tool in tools}) < len(tools):
        raise LineError("allows one tool twice")
    agreed = record.get("confirmed") and isinstance(arguments, dict)
    request = Request(
        tools=tools,
        name=call["name"],
        arguments=arguments,
        said=(record["task"] or "",),
        texts=tuple(_read_texts(record.get("context"))),
        confirmation=Confirmation.of(call["name"], arguments) if agreed else None,
    )
    decided = check_call(request, guards)
    shown = {"guard": decided.guard, "reason": decided.reason}
    return {"allowed": decided.outcome == "allow", "outcome": decided.outcome, **shown}


def _read_tool(tool: Any) -> AllowedTool:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        raise LineError("allows a tool without a name")
    parameters, policy = tool.get("parameters") or {}, tool.get("policy") or {}
    # A policy of one word, such as `deny`, is an outcome; other words are for people.
    policy = {"outcome": policy.strip().lower()} if isinstance(policy, str) else policy
    if not isinstance(parameters, dict) or not isinstance(policy, dict):
        raise LineError("allows a tool whose parameters or policy are no object")
    description = str(tool.get("description") or "")
    return AllowedTool(name=tool["name"], description=description, parameters=parameters, policy=policy)


def _read_texts(value: Any) -> Iterator[Text]:
    """What the model read: a text, or a list of texts and of objects with `text`, `kind` and `name`."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and isinstance(item.get("text"), str):
            if item.get("kind", "tool") not in get_args(Kind):
                raise LineError(f"needs a kind of {', '.join(get_args(Kind))}")
            yield Text(item["text"], item.get("kind", "tool"), str(item.get("name") or ""))
        elif item:
            yield Text(item if isinstance(item, str) else json.dumps(item, ensure_ascii=False))


def _check_types(record: Mapping[str, Any], wanted: Mapping[str, type]) -> None:
    for name, kind in wanted.items():
        if not isinstance(record.get(name, kind()), kind) and (record[name] is not None or name == "text"):
            raise LineError(f"needs {name} of type {kind.__name__}")

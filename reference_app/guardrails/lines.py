"""One JSON line in, one decision out: the guards as another program may call them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

from reference_app.guardrails.calls.request import (
    CALL_GUARDS,
    AllowedTool,
    Confirmation,
    Decision,
    Kind,
    Request,
    Text,
)
from reference_app.guardrails.injection import scan_pieces
from reference_app.guardrails.output import check_answer
from reference_app.guardrails.tool_gate import check_call

LINE_GUARDS = ("input", "output", *CALL_GUARDS)
MAX_LINE_CHARACTERS = 4_000_000
_TEXTS = {"text": str, "channel": str, "task": str, "chunks": list}
_OFF = "the guard is switched off"


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
    if kinds == ["answer"]:
        record.setdefault("hosts", list(hosts))
    judge = {"call": _judge_call, "answer": _judge_answer, "text": _judge_text}[kinds[0]]
    try:
        return judge(record, guards)
    except LineError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever breaks a guard must not let the text pass
        return {"allowed": False, "guard": "error", "reason": f"a guard failed: {type(error).__name__}"}


def _read(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_CHARACTERS:
        raise LineError(f"is longer than {MAX_LINE_CHARACTERS} bytes")
    try:
        record = json.loads(line.decode(), object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise LineError(str(error) if isinstance(error, _TwinError) else "is no JSON") from error
    if not isinstance(record, dict):
        raise LineError("is no JSON object")
    return record


class _TwinError(ValueError):
    pass


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two equal names one program reads the first and another the last."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _TwinError("has one name twice")
    return record


def _refuse_constant(name: str) -> Any:
    raise _TwinError(f"has {name}, which is no JSON")


def _judge_text(record: Mapping[str, Any], guards: Collection[str]) -> dict[str, Any]:
    _check_types(record, _TEXTS)
    chunks = record.get("chunks") or []
    if not all(isinstance(chunk, str) for chunk in chunks):
        raise LineError("needs chunks that are texts")
    if "input" not in guards:
        return {"allowed": True, "guard": "input", "reason": _OFF}
    suspicion = scan_pieces([record["text"], *chunks])
    return {
        "allowed": not suspicion.flagged,
        "guard": "input",
        "reason": suspicion.reason,
        "score": suspicion.score,
        "scanner": suspicion.scanner,
    }


def _judge_answer(record: Mapping[str, Any], guards: Collection[str]) -> dict[str, Any]:
    _check_types(record, {"answer": str, "hosts": list, "secrets": list, "given": list})
    if "output" not in guards:
        return {"allowed": True, "guard": "output", "reason": _OFF}
    guarded = check_answer(
        record["answer"],
        hosts=[str(one) for one in record["hosts"]],
        secrets=[str(one) for one in record.get("secrets", ())],
        given=[str(one) for one in record.get("given", ())],
    )
    reason = " ".join(guarded.problems)
    return {"allowed": not reason, "guard": "output", "reason": reason, "text": guarded.text}


def _judge_call(record: Mapping[str, Any], guards: Collection[str]) -> dict[str, Any]:
    _check_types(record, {"call": dict, "task": str, "allowed_tools": list, "confirmed": bool})
    call = record["call"]
    if "task" not in record or "allowed_tools" not in record:
        raise LineError("needs task and allowed_tools beside a call")
    if not isinstance(call.get("name"), str) or set(call) - {"name", "arguments", "id", "type"}:
        raise LineError("needs a call of name and arguments")
    request = Request(
        said=(record["task"] or "",),
        tools=tuple(_read_tool(tool) for tool in record["allowed_tools"]),
        name=call["name"],
        arguments=call.get("arguments", {}),
        texts=tuple(_read_texts(record.get("context"))),
        confirmation=_confirm(call) if record.get("confirmed") else None,
    )
    names = [tool.name for tool in request.tools]
    if len(names) > len(set(names)):
        raise LineError("allows one tool twice")
    return as_record(check_call(request, guards))


def as_record(decision: Decision) -> dict[str, Any]:
    """The decision as plain data."""
    return {
        "allowed": decision.outcome == "allow",
        "outcome": decision.outcome,
        "guard": decision.guard,
        "reason": decision.reason,
    }


def _read_tool(tool: Any) -> AllowedTool:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        raise LineError("allows a tool without a name")
    parameters, policy = tool.get("parameters") or {}, tool.get("policy") or {}
    if not isinstance(parameters, dict):
        raise LineError("allows a tool whose parameters are no JSON Schema")
    # A policy of one word, such as `deny`, is an outcome; other words are for people.
    policy = {"outcome": policy.strip().lower()} if isinstance(policy, str) else policy
    if not isinstance(policy, dict):
        raise LineError("allows a tool whose policy is no object")
    return AllowedTool(
        name=tool["name"],
        description=str(tool.get("description") or ""),
        parameters=parameters,
        policy=policy,
    )


def _check_types(record: Mapping[str, Any], wanted: Mapping[str, type]) -> None:
    for name, kind in wanted.items():
        if (
            name in record
            and not isinstance(record[name], kind)
            and not (record[name] is None and name != "text")
        ):
            raise LineError(f"needs {name} of type {kind.__name__}")


def _read_texts(value: Any) -> Iterator[Text]:
    """What the model read: a text, or a list of texts and of objects with `text`, `kind` and `name`."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and isinstance(item.get("text"), str):
            kind = item.get("kind", "tool")
            if kind not in get_args(Kind):
                raise LineError(f"needs a kind of {', '.join(get_args(Kind))}")
            yield Text(text=item["text"], kind=kind, name=str(item.get("name") or ""))
        elif item:
            yield Text(text=item if isinstance(item, str) else json.dumps(item, ensure_ascii=False))


def _confirm(call: Mapping[str, Any]) -> Confirmation | None:
    arguments = call.get("arguments", {})
    return Confirmation.of(call["name"], arguments) if isinstance(arguments, dict) else None

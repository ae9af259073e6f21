"""Reads the value that the app under test returned as an `Output`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from pytest_llmops.documents.reading import is_number, show
from pytest_llmops.errors import AnswerError, hint
from pytest_llmops.printable import printable
from pytest_llmops.records import Output, Passage, ToolCall, Usage
from pytest_llmops.runner.app.returned import UNDERSTOOD, translate, type_of
from pytest_llmops.traces.reading import arguments_of

_KEY = 60
_MOST = 10**15  # of anything that is counted; sums stay numbers that a run file holds
_MAY_BE_UNKNOWN = {"prompt_tokens", "completion_tokens", "cost_usd"}
_ANSWER_KEYS = ("text", "passages", "tool_calls", "usage", "model", "trace_id", "degraded")


def read_answer(answer: Any) -> Output:
    """
    Read a string, an `Output`, a mapping with `text`, or a value that `translate` knows.

    Raises:
        AnswerError: It is something else; the message describes it.
    """
    if isinstance(answer, Output):
        return _checked(answer)
    try:
        answer = translate(answer)
    except RecursionError:
        raise AnswerError(f"the app returned {type_of(answer)} that contains itself") from None
    if isinstance(answer, str):
        return Output(text=answer)
    if not isinstance(answer, Mapping):
        raise AnswerError(f"the app returned {type_of(answer)}; it must return {UNDERSTOOD}")
    text = answer.get("text")
    if not isinstance(text, str):
        if "text" in answer:
            raise AnswerError(f"the app returned a mapping whose 'text' is {type_of(text)}, not a string")
        raise AnswerError(describe_missing("the output", "text", answer))
    for key in answer:
        if key not in _ANSWER_KEYS:
            raise AnswerError(
                f"the app returned a mapping with the key {key!r}.{hint(str(key), _ANSWER_KEYS)} "
                f"Known keys: {', '.join(_ANSWER_KEYS)}"
            )
    passages = answer.get("passages")
    if passages is not None:
        passages = tuple(map(_passage, _list("passages", passages)))
    calls = _list("tool_calls", answer.get("tool_calls") or ())
    return _checked(
        Output(
            text=text,
            passages=passages,
            tool_calls=tuple(map(_tool_call, calls)),
            usage=answer.get("usage", Usage()),  # not read yet
            model=answer.get("model"),
            trace_id=answer.get("trace_id"),
            degraded=answer.get("degraded") or "",
        )
    )


def describe_missing(what: str, name: str, mapping: Mapping[Any, Any]) -> str:
    """`the tool call has no 'name'; did you mean it for 'nme'?`, or the keys that it has."""
    keys = [printable(str(key), _KEY) for key in mapping]
    if near := get_close_matches(name, keys, n=1):
        return f"{what} has no {name!r}; did you mean it for {near[0]!r}?"
    return f"{what} has no {name!r}; it has: {', '.join(keys) or 'nothing'}"


def _checked(output: Output) -> Output:
    """Return the output if a run file can hold it: texts that are texts, and tools' values that JSON has."""
    for name in ("text", "model", "trace_id", "degraded"):
        value = getattr(output, name)
        if not isinstance(value, str) and (name in {"text", "degraded"} or value is not None):
            raise AnswerError(f"the app returned an Output whose {name!r} is {type_of(value)}, not a string")
    for call in output.tool_calls:
        try:
            json.dumps([call.arguments, call.result], allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise AnswerError(
                f"the app returned a call of {call.name!r} that JSON cannot hold: {error}"
            ) from None
    return replace(output, usage=_usage(output.usage))


def _usage(value: Any) -> Usage:
    """Read the app's own counts, for apps whose model calls are not seen; zeros alone are no counts."""
    if value is None or value == Usage(stated=True):  # the latter states that nothing was called
        return Usage(stated=value is not None)
    if isinstance(value, Usage):
        written = {each.name: getattr(value, each.name) for each in fields(Usage) if each.name != "stated"}
        # Of one that was read before, 0 is no number of calls that was left out.
        is_counted = value.stated and bool(value.prompt_tokens or value.completion_tokens)
        kept = {"calls"} if is_counted else set()
        value = {
            name: count for name, count in written.items() if name in kept or count != getattr(Usage(), name)
        }
    if not isinstance(value, Mapping):
        raise AnswerError(f"the app returned a usage that is {type_of(value)}, not a mapping")
    counts = {name: _count(name, count) for name, count in value.items()}
    if not any(counts.values()):  # of a gateway that counts nothing, unless it says that there was no call
        return Usage(stated=counts.get("calls") == 0)
    if not counts.get("prompt_tokens") and not counts.get("completion_tokens"):
        counts |= {"prompt_tokens": None, "cost_usd": counts.get("cost_usd") or None}
    # Tokens without a cost are priced by the settings.
    return Usage(**{"calls": 1, "cost_usd": None, **counts}, stated=True)


def _count(name: str, count: Any) -> Any:
    known = {each.name for each in fields(Usage)} - {"stated"}
    if name not in known:
        raise AnswerError(f"the app returned a usage with {show(name)}.{hint(str(name), known)}")
    if count is None and name in _MAY_BE_UNKNOWN:
        return None
    whole = name != "cost_usd"
    if not is_number(count) or not 0 <= count <= _MOST or (whole and count != int(count)):
        raise AnswerError(f"the app returned a usage whose {name!r} is {show(count)}, not a count")
    return int(count) if whole else float(count)


def _passage(value: Any) -> Passage:
    if isinstance(value, Passage):
        return value
    if isinstance(value, str):
        return Passage(id=value, text=value)
    if not isinstance(value, Mapping):
        raise AnswerError(
            f"a passage must be a Passage, a string, or a mapping with 'id', not {type_of(value)}"
        )
    if "id" not in value:
        raise AnswerError(describe_missing("the passage", "id", value))
    score = value.get("score")
    return Passage(id=str(value["id"]), text=str(value.get("text", "")), score=_score(score))


def _score(value: Any) -> float | None:
    if value is None:
        return None
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise AnswerError(f"the app returned a passage whose score is {value!r}, not a number")
    return score


def _tool_call(value: Any) -> ToolCall:
    if isinstance(value, ToolCall):
        return value
    if isinstance(value, Mapping) and "name" not in value and isinstance(value.get("function"), Mapping):
        value = {**value, **value["function"]}  # as OpenAI writes it
    if not isinstance(value, Mapping):
        raise AnswerError(f"a tool call must be a ToolCall or a mapping with 'name', not {type_of(value)}")
    if "name" not in value:
        raise AnswerError(describe_missing("the tool call", "name", value))
    if not isinstance(value["name"], str):
        raise AnswerError(f"the 'name' of a tool call must be a string, not {type_of(value['name'])}")
    return ToolCall(
        name=value["name"],
        arguments=arguments_of(value.get("arguments")),
        decision=value.get("decision"),
        result=value.get("result"),
    )


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise AnswerError(f"the app returned {name} as {type_of(value)}, not as a list")
    return value

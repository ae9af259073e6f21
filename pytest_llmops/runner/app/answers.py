"""What the app under test returned, read as an `Output`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from pytest_llmops.documents.reading import is_number
from pytest_llmops.errors import AnswerError, hint
from pytest_llmops.printable import printable, with_article
from pytest_llmops.records import Output, Passage, ToolCall, Usage

_KEY = 60
_ANSWER_KEYS = ("text", "passages", "tool_calls", "usage", "model", "trace_id")


def read_answer(answer: Any) -> Output:
    """
    What the app returned, as an `Output`: a string, an `Output`, or a mapping with `text`.

    Raises:
        AnswerError: It is something else; the message says what was seen.
    """
    if isinstance(answer, Output):
        return _checked(answer)
    if isinstance(answer, str):
        return Output(text=answer)
    if not isinstance(answer, Mapping):
        raise AnswerError(
            f"the app returned {type_of(answer)}; it must return a string, an Output, or a mapping with "
            "'text'"
        )
    text = answer.get("text")
    if not isinstance(text, str):
        raise AnswerError(_describe_text(answer, text))
    for key in answer:
        if key not in _ANSWER_KEYS:
            raise AnswerError(
                f"the app returned a mapping with the key {key!r}.{hint(str(key), _ANSWER_KEYS)} "
                f"Known keys: {', '.join(_ANSWER_KEYS)}"
            )
    passages = answer.get("passages")
    if passages is not None:
        passages = tuple(_passage(each) for each in _list("passages", passages))
    calls = _list("tool_calls", answer.get("tool_calls") or ())
    return _checked(
        Output(
            text=text,
            passages=passages,
            tool_calls=tuple(_tool_call(each) for each in calls),
            usage=_usage(answer.get("usage")),
            model=answer.get("model"),
            trace_id=answer.get("trace_id"),
        )
    )


def _describe_text(answer: Mapping[Any, Any], text: Any) -> str:
    """What is wrong with an answer whose `text` is no string."""
    if "text" in answer:
        return f"the app returned a mapping whose 'text' is {type_of(text)}, not a string"
    return describe_missing("the output", "text", answer)


def describe_missing(what: str, name: str, given: Mapping[Any, Any]) -> str:
    """`the tool call has no 'name'; did you mean it for 'nme'?`, or the keys that it has."""
    keys = [printable(str(key), _KEY) for key in given]
    if near := get_close_matches(name, keys, n=1):
        return f"{what} has no {name!r}; did you mean it for {near[0]!r}?"
    return f"{what} has no {name!r}; it has: {', '.join(keys) or 'nothing'}"


def _checked(output: Output) -> Output:
    """The output, if a run file can hold it: texts that are texts, and tools' values that JSON has."""
    for name in ("text", "model", "trace_id"):
        value = getattr(output, name)
        if not isinstance(value, str) and (name == "text" or value is not None):
            raise AnswerError(f"the app returned an Output whose {name!r} is {type_of(value)}, not a string")
    for call in output.tool_calls:
        try:
            json.dumps([call.arguments, call.result], allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise AnswerError(
                f"the app returned a call of {call.name!r} that JSON cannot hold: {error}"
            ) from None
    return output


def _usage(given: Any) -> Usage:
    """What an app counted itself, for apps whose model calls are not seen."""
    if given is None:
        return Usage()
    if isinstance(given, Usage):
        return given
    if not isinstance(given, Mapping):
        raise AnswerError(f"the app returned a usage that is {type_of(given)}, not a mapping")
    known = {each.name for each in fields(Usage)} - {"stated"}
    for name, value in given.items():
        if name not in known:
            raise AnswerError(f"the app returned a usage with {name!r}.{hint(str(name), known)}")
        if not is_number(value) or value < 0:
            raise AnswerError(f"the app returned a usage whose {name!r} is {value!r}, not a count")
    calls = int(any(given.values()))  # nothing used is no call
    return Usage(**{"calls": calls, **given}, stated=True)


def _passage(given: Any) -> Passage:
    if isinstance(given, Passage):
        return given
    if isinstance(given, str):
        return Passage(id=given, text=given)
    if not isinstance(given, Mapping):
        raise AnswerError(
            f"a passage must be a Passage, a string, or a mapping with 'id', not {type_of(given)}"
        )
    if "id" not in given:
        raise AnswerError(describe_missing("the passage", "id", given))
    score = given.get("score")
    return Passage(id=str(given["id"]), text=str(given.get("text", "")), score=_score(score))


def _score(given: Any) -> float | None:
    if given is None:
        return None
    try:
        score = float(given)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise AnswerError(f"the app returned a passage whose score is {given!r}, not a number")
    return score


def _tool_call(given: Any) -> ToolCall:
    if isinstance(given, ToolCall):
        return given
    if not isinstance(given, Mapping):
        raise AnswerError(f"a tool call must be a ToolCall or a mapping with 'name', not {type_of(given)}")
    if "name" not in given:
        raise AnswerError(describe_missing("the tool call", "name", given))
    if not isinstance(given["name"], str):
        raise AnswerError(f"the 'name' of a tool call must be a string, not {type_of(given['name'])}")
    return ToolCall(
        name=given["name"],
        arguments=dict(given.get("arguments") or {}),
        decision=given.get("decision"),
        result=given.get("result"),
    )


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise AnswerError(f"the app returned {name} as {type_of(value)}, not as a list")
    return value


def type_of(value: Any) -> str:
    return "None" if value is None else with_article(type(value).__name__)

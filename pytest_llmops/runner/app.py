"""The app under test: found by its import path, asked once, its answer read as an `Output`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.errors import AppError, hint
from pytest_llmops.protocols import App
from pytest_llmops.records import Output, Passage, ToolCall

_ANSWER_KEYS = ("text", "passages", "tool_calls", "model", "trace_id")


def resolve_app(path: str, root: Path) -> App:
    """
    The callable that `module:attribute` names; modules of the project's root can be named.

    Raises:
        AppError: The module cannot be imported, has no such attribute, or it cannot be called.
    """
    module_name, colon, attribute = path.partition(":")
    if not colon or not module_name or not attribute:
        raise AppError(f"the app {path!r} must be written module:attribute, such as shop.bot:answer")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        app: Any = importlib.import_module(module_name)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and module_name.startswith(error.name or "\0")
        reason = (
            f"no module is named {error.name!r} in {root} or the environment"  # type: ignore[attr-defined]
            if missing
            else f"importing it raised {type(error).__name__}: {error}"
        )
        raise AppError(f"the app {path!r} cannot be imported: {reason}") from error
    for name in attribute.split("."):
        if not hasattr(app, name):
            raise AppError(f"the app {path!r}: {module_name} has no {name!r}.{hint(name, dir(app))}")
        app = getattr(app, name)
    if not callable(app):
        raise AppError(f"the app {path!r} is a {type(app).__name__}, which cannot be called")
    found: App = app
    return found


def read_answer(answer: Any) -> Output:
    """
    What the app returned, as an `Output`: a string, an `Output`, or a mapping with `text`.

    Raises:
        TypeError, ValueError: It is something else; the message says what was seen.
    """
    if isinstance(answer, Output):
        return answer
    if isinstance(answer, str):
        return Output(text=answer)
    if not isinstance(answer, Mapping):
        raise TypeError(
            f"the app returned {_named(answer)}; it must return a string, an Output, or a mapping with 'text'"
        )
    text = answer.get("text")
    if not isinstance(text, str):
        raise TypeError(f"the app returned a mapping whose 'text' is {_named(text)}, not a string")
    for key in answer:
        if key not in _ANSWER_KEYS:
            raise ValueError(
                f"the app returned a mapping with the key {key!r}.{hint(str(key), _ANSWER_KEYS)} "
                f"Known keys: {', '.join(_ANSWER_KEYS)}"
            )
    passages = answer.get("passages")
    return Output(
        text=text,
        passages=None if passages is None else tuple(_passage(each) for each in _list("passages", passages)),
        tool_calls=tuple(_tool_call(each) for each in _list("tool_calls", answer.get("tool_calls") or ())),
        model=answer.get("model"),
        trace_id=answer.get("trace_id"),
    )


def _passage(given: Any) -> Passage:
    if isinstance(given, Passage):
        return given
    if isinstance(given, str):
        return Passage(id=given, text=given)
    if not isinstance(given, Mapping) or "id" not in given:
        raise TypeError(f"a passage must be a Passage, a string, or a mapping with 'id', not {_named(given)}")
    score = given.get("score")
    return Passage(
        id=str(given["id"]), text=str(given.get("text", "")), score=None if score is None else float(score)
    )


def _tool_call(given: Any) -> ToolCall:
    if isinstance(given, ToolCall):
        return given
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise TypeError(f"a tool call must be a ToolCall or a mapping with 'name', not {_named(given)}")
    return ToolCall(
        name=given["name"],
        arguments=dict(given.get("arguments") or {}),
        decision=given.get("decision"),
        result=given.get("result"),
    )


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise TypeError(f"the app returned {name} as {_named(value)}, not as a list")
    return value


def _named(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

"""Calls as golden files expect them, and calls shown to people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pytest_llmops.documents.reading import BrokenValueError, read_name, record_reader, refused_as
from pytest_llmops.metrics.tools.matching import equal_json
from pytest_llmops.printable import name_some, printable
from pytest_llmops.records import ToolCall

SHOWN = 3  # calls in one reason
NO_CALL = "no tool was called, or the app reports none: return Output(tool_calls=…) or trace the tools"

_REMEDY = "; write {name: search, arguments: {query: boots}}, and no arguments where any will do"
_NAME_SHOWN = 60  # characters of a name or a value


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """
    A call that the app should make.

    Attributes:
        arguments: An object as JSON; None is any arguments.
    """

    name: str
    arguments: str | None = None

    def __str__(self) -> str:
        return self.name if self.arguments is None else show_call(self.name, json.loads(self.arguments))

    def fits(self, call: ToolCall, *, partial: bool) -> bool:
        """Whether a call made is this one; `partial` lets it have further arguments."""
        if call.name != self.name:
            return False
        return self.arguments is None or equal_json(
            json.loads(self.arguments), call.arguments, partial=partial
        )

    def differ(self, call: ToolCall, *, partial: bool) -> list[str]:
        """A few words for each argument in which a call of the same tool is another."""
        wanted = json.loads(self.arguments or "{}")
        differences = [
            f"{_name(key)} is {show_value(call.arguments[key])}"
            if key in call.arguments
            else f"{_name(key)} is not given"
            for key in wanted
            if key not in call.arguments or not equal_json(wanted[key], call.arguments[key], partial=partial)
        ]
        further = [] if partial else [key for key in call.arguments if key not in wanted]
        return differences + [f"{_name(key)} is too much" for key in further]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    name: Annotated[str, read_name]
    arguments: Mapping[str, Any]


def _make_call(*, name: str, arguments: Mapping[str, Any] | None = None) -> ExpectedCall:
    try:
        given = None if arguments is None else json.dumps(arguments, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BrokenValueError((("arguments",), f"is no JSON: {error}")) from None
    return ExpectedCall(name=name, arguments=given)


_CALL = record_reader(_make_call, _Written, optional=("arguments",))


def read_call(value: Any) -> ExpectedCall:
    """A call as a golden file writes it."""
    if isinstance(value, ExpectedCall):
        return value
    with refused_as(BrokenValueError, "", _REMEDY):
        call: ExpectedCall = _CALL(value)
        return call


def show_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call on one line, `order_status(order_id="A-1042")`; what a model wrote cannot act on a terminal."""
    given = ", ".join(f"{_name(key)}={show_value(value)}" for key, value in arguments.items())
    return f"{_name(name)}({printable(given, 200)})"


def show_value(value: Any) -> str:
    """A value as JSON, shortened."""
    return printable(json.dumps(value, ensure_ascii=False, default=str), _NAME_SHOWN)


def find_nearest(
    wanted: ExpectedCall, spare: Iterable[ToolCall], made: Sequence[ToolCall], *, partial: bool
) -> str:
    """
    What was called instead: the call of that tool that differs least, or the tools that were called.

    Args:
        spare: Calls made that stand for no other expected call.
        made: All calls made.
    """
    same = [wanted.differ(call, partial=partial) for call in spare if call.name == wanted.name]
    if same:
        return f"in the nearest call {name_some(min(same, key=len), SHOWN)}"
    if not made:
        return NO_CALL
    return (
        f"called were {name_some([_name(name) for name in dict.fromkeys(call.name for call in made)], SHOWN)}"
    )


def _name(name: object) -> str:
    return printable(str(name), _NAME_SHOWN)

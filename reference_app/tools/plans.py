"""A model's plan in JSON, read strictly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from reference_app.state import ROUTES, Call, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CALLS = 4
MAX_DIGITS = 15
MAX_BRACKETS = 60  # a call that waits for a person is kept in a format that nests no deeper
Number = TypeVar("Number", int, float)


class PlanError(Exception):
    """Says what is wrong with a plan."""


def read_plan(text: str) -> Plan:
    """
    The plan in the model's words; a call that stands there twice is made once, since a person says yes once.

    Raises:
        PlanError: It is no JSON object of a route and its calls, and nothing more.
    """
    if text.count("{") + text.count("[") > MAX_BRACKETS:
        raise PlanError("it is nested too deeply")
    try:
        data = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=lambda digits: _read_number(digits, int),
            parse_float=lambda digits: _read_number(digits, float),
        )
    except (ValueError, RecursionError):
        raise PlanError("it is no JSON") from None
    if not isinstance(data, dict) or set(data) != {"route", "calls"}:
        raise PlanError("a plan has the keys route and calls, and no others")
    route, calls = data["route"], data["calls"]
    if route not in ROUTES:
        raise PlanError(f"the route is none of {', '.join(ROUTES)}")
    if not isinstance(calls, list) or len(calls) > MAX_CALLS:
        raise PlanError(f"calls is a list of at most {MAX_CALLS}")
    if (route == "tools") != bool(calls):
        raise PlanError("there are calls if the route is tools, and none otherwise")
    read = [_read_call(call) for call in calls]
    return Plan(
        route=route,
        calls=tuple(call for place, call in enumerate(read) if call not in read[:place]),
        search=route == "refuse",
    )


def _read_call(call: object) -> Call:
    if (
        not isinstance(call, dict)
        or set(call) != {"name", "arguments"}
        or not isinstance(call["name"], str)
        or not isinstance(call["arguments"], dict)
    ):
        raise PlanError("a call has a name and arguments, and nothing more")
    return Call(name=call["name"], arguments=call["arguments"])


def _read_number(digits: str, kind: type[Number]) -> Number:
    # Exponents and more digits than a checkpoint can hold are nothing that a tool takes.
    if len(digits) > MAX_DIGITS or "e" in digits.lower():
        raise ValueError("a number is too large")
    return kind(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found

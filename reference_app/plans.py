"""
The planner's reply: which calls there may be, as a JSON schema, and the calls that were read from it.

The schema is made for each message: an order number or a postcode in a plan can only be one that the customer
wrote, and a tool that needs one is not offered where none was written. What a model makes up cannot be said.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reference_app.tools.registry import Tool

MAX_CALLS = 4
MAX_WORDS = 160  # characters of a text in a plan
MAX_QUESTION = 500  # of one to the database
SEARCH = "search_documents"
MISSING = ("order number", "postcode", "product", "city", "points")
OWN: Mapping[str, Mapping[str, Any]] = {
    SEARCH: {"query": {"type": "string", "minLength": 2, "maxLength": MAX_WORDS}},
    "reply": {"text": {"type": "string", "minLength": 2, "maxLength": MAX_WORDS}},
    "ask": {"missing": {"enum": list(MISSING)}},
    "refuse": {},
}
"""What a plan may hold beside the tools, with the arguments of each; all of them are required."""
_ORDER = re.compile(r"\bFW[-\u2010-\u2015 ]?(\d{5})\b", re.IGNORECASE)
_BARE = re.compile(r"(?<![\w.,-])\d{5}(?![\w.,]\d|\w)")  # as an answer to the question which order
_POSTCODE = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w-])-?\d{1,4}\b")
_PRICE = re.compile(r"(?<![\w.,])(?<![A-Za-z]-)(\d{1,3}(?:,\d{3})+|\d{1,5})(\.\d{1,2})?(?!\w|[.,]\d)")


class PlanError(AppError):
    """The model's reply is no plan."""


def find_said(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The values that a customer wrote, by the name of the argument that they may fill."""
    whole = "\n".join(texts)
    orders = _ORDER.findall(whole) or _BARE.findall(whole)
    rest = _POSTCODE.sub(" ", _ORDER.sub(" ", whole))
    prices = _unique(read_price(*found) for found in _PRICE.findall(rest))
    return {
        "order_id": _unique(f"FW-{number}" for number in orders),
        "postcode": _unique(found.upper() for found in _POSTCODE.findall(whole)),
        "points": _unique(int(number) for number in _NUMBER.findall(rest)),
        "min_price": prices,
        "max_price": prices,
        # The first message alone says all; a later one needs words of those before.
        **({"question": [whole]} if len(texts) == 1 and len(whole) <= MAX_QUESTION else {}),
    }


def read_price(whole: str, part: str) -> float:
    """1200 of `1,200`, 49.99 of `49.99`."""
    plain = whole.replace(",", "")
    return float(plain + part) if part else int(plain)


def make_schema(tools: Sequence[Tool], texts: Sequence[str]) -> dict[str, Any]:
    """
    The JSON Schema of a plan for a conversation.

    Args:
        tools: Which may be called.
        texts: All messages of the customer.
    """
    said = find_said(texts)
    calls = [_call(name, properties, list(properties)) for name, properties in OWN.items()]
    for tool in tools:
        required = list(tool.parameters.get("required", []))
        if all(said.get(name, [True]) for name in required):
            properties = {
                name: {"enum": said[name]} if name in said else _simplify(schema)
                for name, schema in tool.parameters["properties"].items()
                if said.get(name, [True])
            }
            calls.append(_call(tool.name, properties, required))
    return {
        "type": "object",
        "properties": {
            "calls": {"type": "array", "minItems": 1, "maxItems": MAX_CALLS, "items": {"anyOf": calls}}
        },
        "required": ["calls"],
        "additionalProperties": False,
    }


def read_plan(text: str) -> list[dict[str, Any]]:
    """
    The calls of a plan, each with `name` and `arguments`, none of them twice.

    Only the form is checked here, and what is no tool: arguments of tools are the gate's.

    Raises:
        PlanError: The text is no plan.
    """
    try:
        plan = json.loads(text)
    except ValueError as error:
        raise PlanError("The model's plan is no JSON.") from error
    calls = plan.get("calls") if isinstance(plan, dict) else None
    if not isinstance(calls, list) or not 1 <= len(calls) <= MAX_CALLS:
        raise PlanError(f"The model's plan needs 1 to {MAX_CALLS} `calls`.")
    for call in calls:
        if not isinstance(call, dict) or set(call) != {"name", "arguments"}:
            raise PlanError("A call of the model's plan has a `name` and `arguments`, and nothing else.")
        name, arguments = call["name"], call["arguments"]
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise PlanError(
                "A call of the model's plan has a name that is no text, or arguments that are none."
            )
        if name in OWN and not (set(arguments) == set(OWN[name]) and all(map(_is_text, arguments.values()))):
            raise PlanError(f"The model's plan needs other arguments for {name}.")
        if name == "ask" and arguments["missing"] not in MISSING:
            raise PlanError("The model's plan asks for what the app cannot ask.")
    distinct = {json.dumps(call, sort_keys=True): call for call in calls}
    return list(distinct.values())


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _call(name: str, properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    arguments = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _simplify(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a grammar can keep of an argument's schema; the registry checks the whole of it."""
    if "enum" in schema:
        return {"enum": list(schema["enum"])}
    if (kind := schema.get("type")) == "string":
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": min(schema.get("maxLength", MAX_WORDS), MAX_WORDS),
        }
    return {"type": kind} if kind in ("integer", "number", "boolean") else {}


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))

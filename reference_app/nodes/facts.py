"""What tools found, as a line of facts for the model, and what an answer may say of it."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_app.state import ToolCall

MAX_ROWS = 5
TOLD = {
    "order_status": ("order_id", "status", "expected", "carrier", "tracking"),
    "shipment": ("order_id", "late", "expected", "carrier", "tracking"),
    "loyalty_points": ("order_id", "points"),
    "store_stock": ("product", "store", "quantity"),
}
"""What the model is told of a tool's result; of a database's rows all, of a tool that is missing nothing."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ID = re.compile(r"\b[A-Z]{2,3}-[A-Z0-9]+(?:-[A-Z0-9]+)*\b")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NOT = re.compile(r"\b(?:not|no|none|never)\b")
_IN_TIME = re.compile(r"\b(?:not late|no delay|not delayed|(?:on|in) time|on schedule)\b")


def write_facts(calls: Sequence[ToolCall]) -> str:
    """`order_id FW-10427; status shipped | order_id FW-10427; points 120`: one part a row of a result."""
    return " | ".join(_write(row) for call in calls for row in _rows(call))


def bears_out(calls: Sequence[ToolCall], answer: str) -> bool:
    """
    Whether an answer tells what each call found, and no number or id that none of them did.

    A model that rephrases facts may copy `FW-10247` for `FW-10427`, or say points and mean stock; then its
    sentence is not used.
    """
    facts = write_facts(calls)
    numbers = {each.rstrip(".,") for each in _NUMBER.findall(answer)}
    return (
        set(_ID.findall(answer)) <= set(_ID.findall(facts))
        and numbers <= set(_NUMBER.findall(facts))
        and all(_tells(call, answer.lower()) for call in calls)
    )


def _tells(call: ToolCall, answer: str) -> bool:
    result = call.result or {}
    said = [show(result["order_id"])] if "order_id" in result else []
    if call.name == "order_status":
        said.append(result["status"])
    elif call.name == "shipment":
        on_time = _IN_TIME.search(answer) is not None
        return said[0].lower() in answer and ("late" in answer or on_time) and result["late"] != on_time
    elif call.name == "loyalty_points":
        said += [show(result["points"]), "point"]
    elif call.name == "store_stock":
        said += [show(result["quantity"]), result["store"]]
        if not result["quantity"]:
            return result["store"].lower() in answer and _NOT.search(answer) is not None
    elif "rows" in result:
        said += [show(value) for row in result["rows"] for value in row if isinstance(value, str)]
        said += [show(value) for row in result["rows"] for value in row[-1:]]
    return all(each.lower() in answer for each in said)


def _rows(call: ToolCall) -> list[Mapping[str, Any]]:
    result = call.result or {}
    if "rows" in result:
        columns = result["columns"]
        return [dict(zip(columns, row, strict=True)) for row in result["rows"][:MAX_ROWS]]
    return [{name: result[name] for name in TOLD.get(call.name, ()) if name in result}]


def _write(row: Mapping[str, Any]) -> str:
    return "; ".join(f"{key} {show(value)}" for key, value in row.items() if value is not None)


def show(value: object) -> str:
    """A value in words: `yes`, `6 March 2026`, `Tent, Pegs`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(show, value))
    if isinstance(value, str) and _DAY.fullmatch(value):
        day = dt.date.fromisoformat(value)
        return f"{day.day} {day:%B} {day.year}"
    if isinstance(value, float):
        return f"{value:.2f}" if value != int(value) else f"{value:.0f}"
    return str(value)

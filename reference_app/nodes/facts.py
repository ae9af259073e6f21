"""What tools found, as a line of facts for the model, and what an answer may say of it."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from reference_app.documents.grounding import words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reference_app.state import ToolCall

MAX_ROWS = 5
REPORTED_FIELDS = {
    "order_status": ("order_id", "status", "expected", "carrier", "tracking"),
    "shipment": ("order_id", "late", "expected", "carrier", "tracking"),
    "loyalty_points": ("order_id", "points"),
    "store_stock": ("product", "store", "quantity"),
}
"""What the model is told of a tool's result; of a database's rows all, of a tool that is missing nothing."""
STAGES = ("processed", "shipped", "delivered", "returned")
"""What an order has gone through; what lies before its status may be said of it as well."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ID = re.compile(r"\b[A-Z]{2,3}-[A-Z0-9]+(?:-[A-Z0-9]+)*\b")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MONTH_DAY = re.compile(rf"(?:\d{{1,2}} )?\b(?:{'|'.join(calendar.month_name[1:])})\b")
_NOT = r"(?:\b(?:not|never|no|without)\b|n['\u2019]t\b)"
_DENIED = re.compile(_NOT + r"(?: \w+){0,2} $")
_NOT_DONE = re.compile(
    rf"(?:{_NOT}|\b(?:will|shall|should|may|might|cannot|to be|once|when|before|until)\b)(?: \w+){{0,2}} $"
)
_NONE = re.compile(rf"{_NOT}|\bnone\b|\bout of stock\b|\bsold out\b|(?<![\d.,])0(?![\d.,]*\d)")
_NO_POINTS = re.compile(r"\bno (?:\w+ )?points?\b")
_STATUS = re.compile(r"\b(?:process(?:ing|ed)|shipped|delivered|returned|cancelled)\b")
_PUNCTUALITY = re.compile(r"\b(?:(late|delays?|delayed|overdue)|(?:on|in) time|on schedule)\b")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")
_TELLING_WORDS = words(
    "order parcel package been being processing processed shipped sent delivered delivery returned cancelled "
    "late delay delayed overdue time schedule expected arrive carrier carries carried tracking number status "
    "left reached warehouse yet still now already moment earns brings trailmarks points isn hasn doesn t "
    "store stock out sold none product catalogue average total cost price weighs weight kg"
)


def write_facts(calls: Sequence[ToolCall]) -> str:
    """`order_id FW-10427; status shipped | order_id FW-10427; points 120`: one part a row of a result."""
    return " | ".join(_write(row) for call in calls for row in _rows(call))


def bears_out(calls: Sequence[ToolCall], answer: str) -> bool:
    """
    Whether an answer tells what each call found, and no number, day or id that none of them did.

    A model that rephrases facts may copy `FW-10247` for `FW-10427`, say "not shipped", or give one order the
    points of another; then its sentence is not used. Rather a right sentence is lost than a wrong one said.
    """
    facts = write_facts(calls)
    names = {call.name for call in calls}
    if len(names) < len(calls):
        return False  # which of two like figures belongs to which order no pattern tells
    if "order_status" in names and "shipment" not in names and _PUNCTUALITY.search(answer.lower()):
        return False  # nobody has looked whether it is late
    return (
        set(_ID.findall(answer)) <= set(_ID.findall(facts))
        and _numbers(answer) <= _numbers(facts)
        and set(_MONTH_DAY.findall(answer)) <= set(_MONTH_DAY.findall(facts))
        and _adds_nothing(calls, facts, answer)
        and all(_tells(call, answer) for call in calls)
    )


def _tells(call: ToolCall, answer: str) -> bool:
    result = call.result or {}
    if "rows" in result:
        return _tells_rows(result["rows"], answer.lower())
    if "order_id" in result and result["order_id"] not in answer:
        return False
    check = _CHECKS.get(call.name)
    return check is None or check(result, _ID.sub(" ", answer).lower())


def _tells_status(order: Mapping[str, Any], answer: str) -> bool:
    status = _as_stage(order["status"])
    said = {_as_stage(found[0]) for found in _STATUS.finditer(answer) if not _follows(_NOT_DONE, found)}
    earlier = STAGES[: STAGES.index(status)] if status in STAGES else ()
    carried = status not in ("shipped", "delivered") or _names_carrier(order, answer)
    return status in said and said - {status} <= set(earlier) and carried


def _tells_lateness(shipment: Mapping[str, Any], answer: str) -> bool:
    said = {(found[1] is not None) != _follows(_DENIED, found) for found in _PUNCTUALITY.finditer(answer)}
    return said == {shipment["late"]} and _names_carrier(shipment, answer)


def _tells_points(earned: Mapping[str, Any], answer: str) -> bool:
    denied = _NO_POINTS.search(answer) is not None
    if not earned["points"] and denied:
        return True
    return "point" in answer and not denied and _says(answer, show(earned["points"]))


def _tells_stock(stock: Mapping[str, Any], answer: str) -> bool:
    product, store = stock["product"].lower(), stock["store"].lower()
    clauses = [part for part in _SENTENCE_END.split(answer) if store in part and product in part]
    said = " ".join(clauses).replace(product, " ")
    if not clauses or not stock["quantity"]:
        return bool(clauses) and _NONE.search(said) is not None
    return _NONE.search(said) is None and _says(said, show(stock["quantity"]))


_CHECKS: dict[str, Callable[[Mapping[str, Any], str], bool]] = {
    "order_status": _tells_status,
    "shipment": _tells_lateness,
    "loyalty_points": _tells_points,
    "store_stock": _tells_stock,
}


def _adds_nothing(calls: Sequence[ToolCall], facts: str, answer: str) -> bool:
    """Whether every word is of what was asked or found, or one that such things are told with."""
    asked = " ".join(show(value) for call in calls for value in call.arguments.values())
    known = words(f"{asked} {facts}") | _TELLING_WORDS
    return "_" not in answer and all(word in known or word[0].isdigit() for word in words(answer))


def _tells_rows(rows: Sequence[Sequence[object]], answer: str) -> bool:
    """Every name and the last figure of each row, and of several rows each figure beside its own name."""
    names = [show(value).lower() for row in rows for value in row if isinstance(value, str)]
    if not all(name in answer for name in names):
        return False
    figures = [row[-1] for row in rows]
    if len(rows) == 1 or len(rows[0]) == 1:
        bare = answer
        for name in sorted(names, key=len, reverse=True):
            bare = bare.replace(name, " ")
        return all(isinstance(figure, str) or _says(bare, show(figure)) for figure in figures)
    firsts = [show(row[0]).lower() for row in rows]
    places = sorted(
        (answer.find(first), first, figure) for first, figure in zip(firsts, figures, strict=True)
    )
    starts = [place for place, _, _ in places]
    ends = [place + len(first) for place, first, _ in places]
    behind = [answer[end:start] for end, start in zip(ends, [*starts[1:], len(answer)], strict=True)]
    before = [answer[end:start] for end, start in zip([0, *ends[:-1]], starts, strict=True)]
    return any(
        all(_says(part, show(figure).lower()) for part, (_, _, figure) in zip(parts, places, strict=True))
        for parts in (behind, before)
    )


def _names_carrier(result: Mapping[str, Any], answer: str) -> bool:
    """A part of the name is another carrier's."""
    return not result.get("carrier") or result["carrier"].lower() in answer


def _as_stage(status: str) -> str:
    return STAGES[0] if status == "processing" else status


def _follows(pattern: re.Pattern[str], found: re.Match[str]) -> bool:
    return pattern.search(found.string[: found.start()]) is not None


def _says(text: str, value: str) -> bool:
    """Whether the value stands there as a whole, and is not denied."""
    found = re.finditer(rf"(?<![\w.,-]){re.escape(value.lstrip('-'))}(?![\w]|[.,]\d)", text)
    return any(not _follows(_DENIED, one) for one in found)


def _numbers(text: str) -> set[str]:
    return set(_NUMBER.findall(_ID.sub(" ", text)))


def _rows(call: ToolCall) -> list[Mapping[str, Any]]:
    result = call.result or {}
    if "rows" in result:
        columns = result["columns"]
        return [dict(zip(columns, row, strict=True)) for row in result["rows"][:MAX_ROWS]]
    reported = {name: result[name] for name in REPORTED_FIELDS.get(call.name, ()) if name in result}
    if reported.get("status") in ("delivered", "returned", "cancelled"):
        reported.pop("expected", None)  # a model would say that it is still expected
    return [reported]


def _write(row: Mapping[str, Any]) -> str:
    return "; ".join(f"{key} {show(value)}" for key, value in row.items() if value is not None)


def show(value: object) -> str:
    """A value in words: `yes`, `6 March 2026`, `Tent, Pegs`; what no tool should return is shown as it is."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(show, value))
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.2f}"
    return _show_day(value) if isinstance(value, str) and _DAY.fullmatch(value) else str(value)


def _show_day(text: str) -> str:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return text
    return f"{day.day} {day:%B} {day.year}"

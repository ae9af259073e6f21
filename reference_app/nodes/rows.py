"""Rows of a database as a sentence for the customer, with names, figures and units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_app.nodes.showing import show
from reference_app.tools.sql.slots.tree import HOLDS, NAMES
from reference_app.tools.sql.slots.wording import join_words, say_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LISTED = 20
_OCCASIONS = {"£": "row_cheaper", "kg": "row_lighter", "date": "row_earlier"}
_STOCK = "in stock"
_ENDS_AND_DIFFERENCE = 3  # figures of a row without a name


def write_rows(result: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """
    The occasion of the answerer's replies, and what goes into it.

    Args:
        result: Of `query_shop` with `understood`, `units`, `yes_no`, `columns`, `rows` and `truncated`.
    """
    units, rows, yes_no = result["units"], result["rows"], result["yes_no"]
    understood = result["understood"][:1].upper() + result["understood"][1:]
    if not rows or all(value is None for value in rows[0]):
        looked_for = result["understood"].partition(", with ")[0]
        return ("row_no_missing" if yes_no else "row_missing"), {"understood": looked_for}
    if "other_product" in result["columns"]:
        return _compare(units, rows[0], yes_no=yes_no == "holds")
    verdict = _judge(yes_no, units, rows)
    alone = len(rows) == 1 and f" of {rows[0][0]}" in result["understood"]  # its name has been said
    texts = _list_rows(units, rows, alone=alone, truncated=result["truncated"])
    occasion = {True: "row_yes", False: "row_no", None: "row_found"}[verdict]
    return occasion, {"understood": understood, "rows": texts}


def _compare(units: Sequence[str], row: Sequence[Any], *, yes_no: bool) -> tuple[str, dict[str, Any]]:
    unit, verdict = units[1], ""
    pairs = sorted([(row[1], row[0]), (row[3], row[2])])
    if yes_no and units[-1] == HOLDS:
        verdict = "Yes. " if row[-1] else "No. "
    occasion = "row_equal" if pairs[0][0] == pairs[1][0] else _OCCASIONS[unit]
    difference = pairs[1][0] - pairs[0][0] if unit != "date" else ""
    return occasion, {
        "verdict": verdict,
        "first": pairs[0][1],
        "first_value": _say(pairs[0][0], unit),
        "second": pairs[1][1],
        "second_value": _say(pairs[1][0], unit),
        "difference": _say(difference, unit) if unit != "date" else "",
    }


def _judge(how: str, units: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool | None:
    """Yes or no; None where nothing says so, or stores differ."""
    if how == "holds" and units[-1] == HOLDS:
        return bool(rows[0][-1])
    if how in ("stock", "gone"):
        found = {bool(row[list(units).index(_STOCK)]) is (how == "stock") for row in rows}
        return found.pop() if len(found) == 1 else None
    return True if how == "rows" else None


def _list_rows(units: Sequence[str], rows: Sequence[Sequence[Any]], *, alone: bool, truncated: bool) -> str:
    none_left = _STOCK in units and all(not row[list(units).index(_STOCK)] for row in rows) and len(rows) > 1
    texts = []
    for row in rows[:MAX_LISTED]:
        names, figures = [], []
        for value, unit in zip(row, units, strict=True):
            if unit == NAMES:
                names.append(str(value))
            elif unit != HOLDS and not (none_left and unit == _STOCK):
                figures.append(_say(value, unit))
        if not names or (alone and figures):
            texts.append(_say_range(figures) if not names else ", ".join(figures))
            continue
        texts.append(": ".join(names) + (f" ({', '.join(figures)})" if figures else ""))
    more = len(rows) - MAX_LISTED
    if more > 0:
        texts.append(f"{'at least ' if truncated else ''}{more} more")
    return join_words(texts)


def _say_range(figures: Sequence[str]) -> str:
    """The two ends with their difference, or the figures that there are."""
    if len(figures) != _ENDS_AND_DIFFERENCE:
        return join_words(figures)
    low, high, difference = figures
    return f"{low} to {high}, a difference of {difference}"


def _say(value: Any, unit: str) -> str:
    if value is None:
        return "not known"
    return say_figure(value, unit) if isinstance(value, int | float) else show(value)

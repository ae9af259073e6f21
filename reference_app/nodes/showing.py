"""Values of tools in words."""

from __future__ import annotations

import datetime as dt
import re

MAX_ROWS = 5
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


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

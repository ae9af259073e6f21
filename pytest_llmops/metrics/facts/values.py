"""A number with its unit, a date, a time of day or a code; and whether two of them agree."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEARLY = 0.02  # relative; 2 months are nearly 60 days
_EQUAL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """
    One value as it stands in a text.

    Attributes:
        kind: `time`, `mass`, `GBP` … of a number with a unit, `date`, `clock`, `weekday`, `month`, `code`, or
            `number`.
        number: In the smallest unit of its kind; of a date month * 100 + day, of a clock minutes.
        written: The number alone, without its unit.
        year: Of a date, if it is given.
        code: In capitals, without hyphens.
        noun: The word behind a number without a unit.
        exact: False for months and years.
        text: As written.
    """

    kind: str
    text: str
    start: int
    number: float = 0.0
    written: float = 0.0
    year: int | None = None
    code: str = ""
    noun: str = ""
    exact: bool = True


def agree(one: Value, other: Value) -> bool:
    """
    Whether the values can be the same: 14 days and two weeks, £3.50 and 3.50 GBP, 11 am and 11:00.

    A number without a unit agrees with the same number in any unit, and one with fewer decimals with what
    rounds to it.
    """
    if one.kind == other.kind:
        if one.kind == "date":
            years = {one.year, other.year} - {None}
            return one.number == other.number and len(years) < 2  # noqa: PLR2004 - no two years
        if one.kind == "code":
            return one.code == other.code
        mixed = one.exact != other.exact
        return _is_close(one.number, other.number, _NEARLY if mixed else _EQUAL) or _rounds(one, other)
    if "number" not in {one.kind, other.kind} or {one.kind, other.kind} & {
        "date",
        "clock",
        "weekday",
        "month",
    }:
        return _has_month(one, other) or _has_month(other, one)
    if "code" in {one.kind, other.kind}:
        return False
    bare, other = (one, other) if one.kind == "number" else (other, one)
    return _rounds(bare, other) or any(
        _is_close(bare.written, each, _EQUAL) for each in (other.written, other.number)
    )


def compete(one: Value, other: Value) -> bool:
    """Whether two values that disagree speak of the same quantity: of one unit, or of equal nouns."""
    if one.kind != other.kind or agree(one, other):
        return False
    return one.kind != "number" or (bool(one.noun) and one.noun == other.noun)


def _rounds(one: Value, other: Value) -> bool:
    """Whether one of two numbers, of one unit or without, is the other, rounded."""
    if one.kind in {"date", "clock", "weekday", "month"} or not (one.number and other.number):
        return False
    short, long = sorted((one, other), key=lambda value: _decimals(value.text))
    decimals = _decimals(short.text)
    if one.kind != other.kind:
        return decimals < _decimals(long.text) and _is_close(
            round(long.written, decimals), short.written, _EQUAL
        )
    scale = long.number / long.written if long.written else 1.0
    return bool(decimals < _decimals(long.text)) and _is_close(
        round(long.written, decimals) * scale, short.number, _EQUAL
    )


def _decimals(text: str) -> int:
    matched = re.search(r"\d[.,](\d{1,2})(?!\d)", text) or re.search(r"\d\.(\d+)", text)
    return len(matched[1]) if matched else 0


def _has_month(one: Value, other: Value) -> bool:
    return one.kind == "month" and other.kind == "date" and other.number // 100 == one.number


def _is_close(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * max(abs(one), abs(other), 1e-9)

"""Days, months and years in a question, as ranges of ISO dates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FEASTS = {
    "christmas eve": (12, 24), "christmas day": (12, 25), "boxing day": (12, 26), "christmas": (12, 25),
    "new year(?:'s)? eve": (12, 31), "new year(?:'s)? day": (1, 1),
}  # fmt: skip
_MONTH = "|".join(f"{month}|{month[:3]}" for month in MONTHS)
_ONE = (
    rf"(?P<iso>20\d\d-\d\d-\d\d)"
    rf"|(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<day_month>{_MONTH})(?:,? (?P<day_year>20\d\d))?"
    rf"|(?P<month>{_MONTH})(?:,?(?: of)? (?P<month_year>20\d\d))?"
    r"|(?:q(?P<quarter>[1-4])|(?P<quarter_word>first|second|third|fourth|last) quarter)(?: of)?"
    r" (?P<quarter_year>20\d\d)"
    rf"|(?:the )?(?P<half>first|second) half of (?P<half_year>20\d\d)"
    rf"|(?P<year>20\d\d)"
    r"|(?P<relative>today|(?:the day before )?yesterday|(?:this|last|previous|current) (?:week|month|year))"
    rf"|(?P<feast>{'|'.join(_FEASTS)})(?: (?:in |of )?(?P<feast_year>20\d\d))?"
    rf"|last (?P<weekday>{'|'.join(_WEEKDAYS)})"
    rf"|(?:the )?(?:last|past) (?P<ago>\d{{1,3}}|{'|'.join(NUMBERS[2:])}) (?P<unit>day|week|month)s?"
)
_PERIOD = re.compile(
    r"\b(?:(?P<side>since(?: the (?:start|beginning) of)?|after|before|until|from|prior to|later than"
    r"|earlier than|not before)\s+)?"
    rf"(?:{_ONE})(?:'s)?(?![\w-])",
    re.ASCII | re.IGNORECASE,
)
_RANGE = re.compile(r"\b(?:between|from)\s+$", re.ASCII | re.IGNORECASE)
_JOINT = re.compile(r"\s+(?:and|to|until|till)\s+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """
    Days from `first` up to, but not with, `end`; None leaves that side open.

    Attributes:
        start: Where it stands in the question, in characters.
        stop: Where it ends there.
    """

    start: int
    stop: int
    first: date | None
    end: date | None


def find_periods(text: str, today: date) -> list[Period]:
    """The periods a question names; a month without a year is the latest one that has begun."""
    found = list(_read_all(text, today))
    for left, right in pairwise(found):
        opening = _RANGE.search(text[: left.start])
        opened = opening or text[left.start : left.stop].lower().startswith("from")
        if opened and _JOINT.fullmatch(text[left.stop : right.start]) and left.first and right.end:
            first = left.first
            if first >= right.end:  # "between October and January 2026"
                first = _move(first, right.end.year - 1)
            if (
                not re.search(r"20\d\d", text[left.start : left.stop])
                and first.year < (right.end - _DAY).year
            ):
                same = _move(first, (right.end - _DAY).year)
                first = same if same < right.end else first
            start = opening.start() if opening else left.start
            return [Period(start=start, stop=right.stop, first=first, end=right.end)]
    return found


_DAY = timedelta(days=1)


def _read_all(text: str, today: date) -> Iterator[Period]:
    for match in _PERIOD.finditer(text):
        # "may" and "march" are words of their own; without a year or a capital they are no months.
        word = (match["month"] or "").lower()
        if word in {"may", "march", "mar", "sep", "dec", "jan"} and not (
            match["month_year"] or match["month"][0].isupper()
        ):
            continue
        try:
            first, end = _read(match, today)
        except (ValueError, OverflowError):  # 31 February
            continue
        side = re.sub(" the .*", "", (match["side"] or "").lower())
        ranges: dict[str, tuple[date | None, date | None]] = {
            "since": (first, None),
            "after": (end, None),
            "before": (None, first),
            "prior to": (None, first),
            "earlier than": (None, first),
            "later than": (end, None),
            "not before": (first, None),
            "until": (None, end),
        }
        start, stop = ranges.get(side, (first, end))
        yield Period(start=match.start(), stop=match.end(), first=start, end=stop)


def _read(match: re.Match[str], today: date) -> tuple[date, date]:
    if match["iso"]:
        return _days(date.fromisoformat(match["iso"]))
    if match["day"] or match["feast"]:
        return _read_day(match, today)
    if match["month"]:
        month = _number(match["month"])
        year = int(match["month_year"] or today.year - (month > today.month))
        return _months(year, month, 1)
    if match["quarter_year"] or match["half"]:
        return _read_part(match)
    if match["year"]:
        return _months(int(match["year"]), 1, 12)
    return _read_relative(match, today)


def _read_relative(match: re.Match[str], today: date) -> tuple[date, date]:
    if match["relative"]:
        return _read_named(match["relative"].lower(), today)
    if match["weekday"]:  # the latest one before today
        back = (today.weekday() - _WEEKDAYS.index(match["weekday"].lower()) - 1) % 7 + 1
        return _days(today - back * _DAY)
    ago = match["ago"].lower()
    count = NUMBERS.index(ago) if ago in NUMBERS else int(ago)
    days = count * {"day": 1, "week": 7, "month": 30}[match["unit"].lower()]
    return today - timedelta(days=days), today + _DAY


def _read_day(match: re.Match[str], today: date) -> tuple[date, date]:
    year = match["day_year"] or match["feast_year"]
    if match["feast"]:
        month, number = next(
            day for name, day in _FEASTS.items() if re.fullmatch(name, match["feast"].lower())
        )
    else:
        month, number = _number(match["day_month"]), int(match["day"])
    day = date(int(year or today.year), month, number)
    return _days(day if year or day <= today else day.replace(year=today.year - 1))


def _read_part(match: re.Match[str]) -> tuple[date, date]:
    if match["half"]:
        return _months(int(match["half_year"]), 1 + 6 * (match["half"].lower() == "second"), 6)
    words = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}
    quarter = int(match["quarter"]) if match["quarter"] else words[match["quarter_word"].lower()]
    return _months(int(match["quarter_year"]), 3 * quarter - 2, 3)


def _read_named(words: str, today: date) -> tuple[date, date]:
    if words.endswith(("today", "yesterday")):
        return _days(today - _DAY * ("yesterday" in words) - _DAY * ("before" in words))
    which, unit = words.split()
    back = which in ("last", "previous")
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return monday, monday + timedelta(days=7)
    if unit == "year":
        return _months(today.year - back, 1, 12)
    months = today.year * 12 + today.month - 1 - back
    return _months(months // 12, months % 12 + 1, 1)


def _move(day: date, year: int) -> date:
    leaps = (day.month, day.day) == (2, 29)
    return day.replace(year=year, day=28 if leaps else day.day)


def _days(day: date) -> tuple[date, date]:
    return day, day + _DAY


def _months(year: int, month: int, count: int) -> tuple[date, date]:
    after = year * 12 + month - 1 + count
    return date(year, month, 1), date(after // 12, after % 12 + 1, 1)


def _number(month: str) -> int:
    return next(number for number, name in enumerate(MONTHS, 1) if name.startswith(month.lower()[:3]))

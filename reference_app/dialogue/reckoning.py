"""What a rule comes to in a customer's case: the day on which its time ends, and what points are worth."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reference_app.dialogue.wording import find_exact_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COUNT = r"(?P<count>\d{1,3}|one|two|three|four|five|six)"
_TIME = re.compile(rf"\b{_COUNT} (?:\w+ )?(?P<unit>day|week|month|year)s?\b", re.IGNORECASE)
_WORKING = re.compile(r"\b(?:working|business)\b", re.IGNORECASE)  # those are not counted here
_ANCHOR = re.compile(
    r"\W+(?:of|from|after|since)\W+(?:the |your |each )?(?:day of |last )?"
    r"(?P<anchor>delivery|arrival|purchase|order)\b",
    re.IGNORECASE,
)
_CASES = {
    "delivery": re.compile(
        r"\b(?:deliver\w*|arriv\w*|came|come|got|get|receiv\w*|dropped|turned up|handed|here)\b",
        re.IGNORECASE,
    ),
    "purchase": re.compile(r"\b(?:bought|buy|order(?:ed)?|purchase\w*|paid)\b", re.IGNORECASE),
}
_ENDS = re.compile(
    r"\b(?:last (?:day|date)|until|deadline|latest|by when|still|too late|when|how long|in time|"
    r"expir\w*|laps\w*|runs? out|ends?|valid|covered|(?:can|may|could|am) i|return\w*|send (?:\w+ )?back)\b",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"\b(?P<count>[1-9]\d{0,5}) (?P<unit>(?:[\w-]+ )?points) (?:is|are) worth £(?P<pounds>\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_POINTS = re.compile(r"(?<![\w.,-])(?P<count>\d{1,3}(?:,\d{3})+|\d+)\s+(?:\w+ )?points?\b", re.IGNORECASE)
_WORTH = re.compile(r"£|\b(?:worth|pounds?|money|value|quid|cash)\b", re.IGNORECASE)
_SEASON = re.compile(r"\bbetween (?P<first>\d{1,2} [A-Z][a-z]+) and (?P<last>\d{1,2} [A-Z][a-z]+)\b")
_ON_ITS_WAY = dt.timedelta(days=14)
_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


@dataclass(frozen=True, slots=True)
class Deadline:
    """
    Attributes:
        time: As the rule has it: `60 days`.
        end: The day on which that time, counted from `start`, is over.
    """

    start: dt.date
    time: str
    end: dt.date


@dataclass(frozen=True, slots=True)
class Worth:
    """What a number of points is worth, in pounds."""

    points: int
    pounds: float


def find_start(rule: str) -> Literal["delivery", "purchase"] | None:
    """With what the time of a rule begins, if the rule says so and has one time."""
    found = list(_list_times(rule))
    anchors = {anchor for _, anchor in found}
    if len({time[0].lower() for time, _ in found}) != 1 or len(anchors) != 1:
        return None  # of two times it is not known which one is meant
    return "delivery" if anchors & {"delivery", "arrival"} else "purchase"


def find_day_of(start: Literal["delivery", "purchase"], question: str, today: dt.date) -> dt.date | None:
    """The day of the delivery or the purchase that a question names."""
    return find_exact_day(question, today, _CASES[start])


def find_deadline(rule: str, question: str, start: dt.date) -> Deadline | None:
    """
    When the time that a rule allows is over.

    Args:
        rule: A sentence with a start (`find_start`).
        question: Without a word for a time that ends there is nothing to count.
        start: The day of what the rule begins with.
    """
    if not _ENDS.search(question) or find_start(rule) is None:
        return None
    (time, _), *_ = _list_times(rule)
    count = _WORDS.get(time["count"].lower()) or int(time["count"])
    end = _add(start, count, time["unit"].lower())
    return Deadline(start, time[0], end) if end else None


def _list_times(rule: str) -> Iterator[tuple[re.Match[str], str]]:
    """The times of a rule that count from something, each with what it counts from."""
    for time in _TIME.finditer(rule):
        if not _WORKING.search(time[0]) and (anchor := _ANCHOR.match(rule, time.end())):
            yield time, anchor["anchor"].lower()


def has_other_rule(section: str, start: dt.date) -> bool:
    """Whether a section has another rule for purchases of a season that the day, or its order, may be in."""
    for found in _SEASON.finditer(section):
        with suppress(ValueError):
            first, last = (
                dt.datetime.strptime(f"{found[day]} {start.year}", "%d %B %Y").date()  # noqa: DTZ007 - a day
                for day in ("first", "last")
            )
            if first <= start <= last + _ON_ITS_WAY:
                return True
    return False


def find_worth(sentences: Sequence[str], question: str, points: int | None) -> Worth | None:
    """
    What points are worth by a rate that the sentences have.

    Args:
        points: That a tool found; those that the question names come first.
    """
    rates = [found for sentence in sentences if (found := _RATE.search(sentence))]
    named = _POINTS.search(question)
    count = int(named["count"].replace(",", "")) if named else points
    if not rates or not count or not _WORTH.search(question):
        return None
    return Worth(count, round(count * float(rates[0]["pounds"]) / int(rates[0]["count"]), 2))


def _add(start: dt.date, count: int, unit: str) -> dt.date | None:
    """The day that far after another; of a month without that day its last."""
    try:
        if unit in ("day", "week"):
            return start + dt.timedelta(days=count * (7 if unit == "week" else 1))
        months = count * (12 if unit == "year" else 1)
        year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
        return dt.date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return None

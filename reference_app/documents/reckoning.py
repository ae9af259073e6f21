"""What a rule comes to in a customer's case: the day on which its time ends, and what points are worth."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNT = r"(?P<count>\d{1,3}|one|two|three|four|five|six)"
_TIME = re.compile(rf"\b{_COUNT} (?:\w+ )?(?P<unit>day|week|month|year)s?\b", re.IGNORECASE)
_WORKING = re.compile(r"\b(?:working|business)\b", re.IGNORECASE)  # those are not counted here
_BEGINS = re.compile(
    r"\b(?:within|for|of|until|after|expires?|valid|warranty|covered|returned|sent back|held|kept)\b",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"\b(?:last (?:day|date)|until|deadline|latest|by when|still|too late|when|how long|in time|"
    r"expir\w*|laps\w*|runs? out|ends?|valid|covered|(?:can|may|could|am) i|return\w*|send (?:\w+ )?back)\b",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"\b(?P<count>\d+) (?P<unit>(?:[\w-]+ )?points) (?:is|are) worth £(?P<pounds>\d+(?:\.\d+)?)",
    re.IGNORECASE,
)
_POINTS = re.compile(r"(?<![\w.,-])(?P<count>\d{1,3}(?:,\d{3})+|\d+)\s+(?:\w+ )?points?\b", re.IGNORECASE)
_WORTH = re.compile(r"£|\b(?:worth|pounds?|money|value|quid|cash)\b", re.IGNORECASE)
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


def find_deadline(sentence: str, question: str, start: dt.date) -> Deadline | None:
    """
    When the time that a rule allows is over.

    Args:
        sentence: The rule.
        question: What is asked; without a word for a time that ends there is nothing to count.
        start: The day that the customer's case begins with: of the delivery or the purchase.
    """
    if not _ENDS.search(question) or _WORKING.search(sentence):
        return None
    found = [one for one in _TIME.finditer(sentence) if _BEGINS.search(sentence[: one.start()] + one[0])]
    times = {one[0].lower() for one in found}
    if len(times) != 1:  # of two times it is not known which one is meant
        return None
    first = found[0]
    count = _WORDS.get(first["count"].lower()) or int(first["count"])
    end = _add(start, count, first["unit"].lower())
    return Deadline(start, first[0], end) if end else None


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

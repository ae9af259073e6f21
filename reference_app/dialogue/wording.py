"""Words of customers that the app reads by patterns, and order numbers as people type them."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from functools import cache

ORDER_ID = re.compile(r"\bFW-\d{5}\b", re.ASCII | re.IGNORECASE)
_TYPED_ORDER = re.compile(r"\bf\s?w\s?[-#:._]?\s?(\d{5})\b", re.ASCII | re.IGNORECASE)
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" if name != "may" else name for name in _MONTHS)
_DAY = re.compile(
    rf"\b(?:(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})|(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?)?"
    rf"(?P<month>{_MONTH})\b\.?(?:\s+(?P<late>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d))?(?:,?\s+(?P<year>20\d\d))?|"
    r"(?:in|since|of|from|during)\s+(?P<only>20\d\d)|(?P<ago>\d+|an?|one|two|three|four|five|six)\s+"
    r"(?P<unit>year|month)s?\s+(?:ago|old))\b",
    re.IGNORECASE,
)
_DAY_OR_ORDINAL = re.compile(
    rf"{_DAY.pattern}|\b(?P<ordinal>\d{{1,2}})(?:st|nd|rd|th)\b(?!\s+(?:of|place|time|order))", re.IGNORECASE
)
_BEHIND = 30  # characters
_BEFORE_MAY = re.compile(r"\b(?:in|since|of|from|during|last|before|until|till|by|this)\s+$", re.IGNORECASE)
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_PAST = re.compile(
    r"\b(?:old|previous|former|earlier) (?:rules?|terms|conditions|prices?|programme|price list)\b|"
    r"\bused to\b|\b(?:under|in) the 20\d\d\b|\bback in 20\d\d\b|"
    r"\b(?:in those days|back then|at (?:that|the) time|used to be|last year's)\b",
    re.IGNORECASE,
)


def mend_order_ids(text: str) -> str:
    """`fw 10427` and `FW10427` as `FW-10427`."""
    return _TYPED_ORDER.sub(lambda found: f"FW-{found[1]}", text)


def find_orders(text: str) -> list[str]:
    """Order numbers in the order of their first mention."""
    return list(dict.fromkeys(found.upper() for found in ORDER_ID.findall(text)))


def find_day(text: str, today: dt.date) -> dt.date | None:
    """The earliest day that the text names; of a month or a year its first, never one to come."""
    named = [found for found in _DAY.finditer(text) if not _is_verb(found)]
    days = [day for found in named if (day := _read_day(found, today)) and day <= today]
    return min(days, default=None)


def find_exact_day(text: str, today: dt.date, beside: re.Pattern[str]) -> dt.date | None:
    """
    The last day of something that the text names, never one to come.

    `The 9th` after `5 January` is in that month.

    Args:
        beside: What stands between the day before it and this one, or shortly behind: `delivered on`.
    """
    last: dt.date | None = None
    chosen: dt.date | None = None
    before = 0
    for found in _DAY_OR_ORDINAL.finditer(text):
        if found["iso"] or found["day"] or found["late"]:
            day = _read_day(found, today)
        elif found["ordinal"] and last:
            day = _next_with(last, int(found["ordinal"]))
        else:
            continue
        behind = re.split(r"[.,;!?]|\band\b", text[found.end() : found.end() + _BEHIND])[0]
        fits, shortly = beside.search(text[before : found.start()]), beside.search(behind)
        before = found.end() + (shortly.end() if shortly and not fits else 0)
        if day and day <= today:
            last = day
            chosen = day if fits or shortly else chosen
    return chosen


def _next_with(start: dt.date, number: int) -> dt.date | None:
    """The first day of that number in a month, not before the start; None where the month has none."""
    month = start if number >= start.day else start.replace(day=1) + dt.timedelta(days=31)
    with suppress(ValueError):
        return month.replace(day=number)
    return None


def _is_verb(found: re.Match[str]) -> bool:
    """Whether it is the "may" of "may I return it?"."""
    alone = found[0].lower() == "may"
    return alone and _BEFORE_MAY.search(found.string[max(0, found.start() - 10) : found.start()]) is None


def asks_for_past(text: str) -> bool:
    """Whether a question is about rules that were replaced."""
    return _PAST.search(text) is not None


def _read_day(found: re.Match[str], today: dt.date) -> dt.date | None:
    try:
        if found["iso"]:
            return dt.date.fromisoformat(found["iso"])
        if found["only"]:
            return dt.date(int(found["only"]), 1, 1)
        if found["ago"]:
            count = _COUNTS.get(found["ago"].lower()) or int(found["ago"])
            months = count * (12 if found["unit"].lower() == "year" else 1)
            year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
            return dt.date(year, month + 1, min(today.day, 28))
        month = next(
            place for place, name in enumerate(_MONTHS, 1) if name.startswith(found["month"].lower()[:3])
        )
        day = int(found["day"] or found["late"] or 1)
        if found["year"]:
            return dt.date(int(found["year"]), month, day)
        this_year = dt.date(today.year, month, day)
        return this_year if this_year <= today else dt.date(today.year - 1, month, day)
    except (ValueError, OverflowError):
        return None


LANGUAGES = {
    "de": "der die das und ist nicht ich mein meine wie was wann kann wo habe für mit ein eine soll "
    "wird zu auf sind",
    "es": "el la los las que cuánto cuántos cuándo cómo dónde es mi puedo para con una un por tienen "
    "tiene está hay",
    "fr": "le la les est que quel quelle combien comment où mon ma puis pour avec une des du je vous "
    "quand sont et",
    "it": "il lo la gli che quanto quando come dove è mio mia posso per con una un di del sono ho quanti",
    "nl": "de het een is niet ik mijn hoe wat wanneer kan waar heb voor met zijn wordt jullie naar",
}
"""Words that show a language which the app answers in English."""


def find_language(text: str) -> str | None:
    """`de`, `es`, `fr`, `it` or `nl`; None for English and for what shows none."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    counts = {name: sum(word in known for word in words) for name, known in _language_words().items()}
    best = max(counts, key=lambda name: counts[name])
    return None if best == "en" or counts[best] < 2 or counts[best] <= counts["en"] else best  # noqa: PLR2004 - one word is chance


@cache
def _language_words() -> dict[str, frozenset[str]]:
    english = (
        "the a is are i my do does how what when where can will for with of in to it and you have your that "
        "this"
    )
    return {"en": frozenset(english.split())} | {
        name: frozenset(text.split()) for name, text in LANGUAGES.items()
    }

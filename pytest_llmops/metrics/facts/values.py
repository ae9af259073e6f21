"""
Values of a text: numbers with units, dates, times of day and codes; and whether two of them agree.

Each kind has a pattern, and the first pattern that matches a place takes it.
"""

from __future__ import annotations

import re
from calendar import month_name
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from pytest_llmops.metrics.faithfulness.sentences import NUMBER_WORDS
from pytest_llmops.text.characters import fold_typography

_NEARLY = 0.02  # relative; 2 months are nearly 60 days
_EQUAL = 1e-6
_HOURS = 24
DATES = frozenset({"date", "clock", "weekday", "month"})
"""Kinds of values that a calendar or a clock has."""


class Unit(NamedTuple):
    """
    A unit's dimension, such as `mass`, and its size in the smallest unit of that dimension.

    Attributes:
        exact: False for months and years, which are no fixed number of days.
    """

    dimension: str
    factor: float = 1.0
    exact: bool = True


_DAY = 86_400.0
_LISTED: Mapping[Unit, str] = {
    Unit("time"): "s sec secs second seconds",
    Unit("time", 60.0): "min mins minute minutes",
    Unit("time", 3_600.0): "h hr hrs hour hours",
    Unit("time", _DAY): "day days",
    Unit("time", 7 * _DAY): "week weeks",
    Unit("time", 14 * _DAY): "fortnight fortnights",
    Unit("time", 30.4375 * _DAY, exact=False): "month months",
    Unit("time", 365.25 * _DAY, exact=False): "yr yrs year years",
    Unit("mass", 1e-3): "mg milligram milligrams milligramme milligrammes",
    Unit("mass"): "g gram grams gramme grammes",
    Unit("mass", 1e3): "kg kilo kilos kilogram kilograms",
    Unit("mass", 28.3495): "oz ounce ounces",
    Unit("mass", 453.592): "lb lbs",
    Unit("mass", 1e6): "tonne tonnes",
    Unit("length"): "mm millimetre millimetres millimeter millimeters",
    Unit("length", 10.0): "cm centimetre centimetres centimeter centimeters",
    Unit("length", 25.4): "inch inches",
    Unit("length", 304.8): "ft foot feet",
    Unit("length", 1e3): "m metre metres meter meters",
    Unit("length", 1e6): "km kilometre kilometres kilometer kilometers",
    Unit("length", 1.609344e6): "mile miles",
    Unit("volume"): "ml millilitre millilitres milliliter milliliters",
    Unit("volume", 1e3): "l litre litres liter liters",
    Unit("temperature"): "° °c c degree degrees",
    Unit("fahrenheit"): "°f",
    Unit("percent"): "% percent pct",
    Unit("power"): "w watt watts",
    Unit("energy"): "wh watt-hour watt-hours",
    Unit("energy", 1e3): "kwh kilowatt-hour kilowatt-hours",
    Unit("data", 1e3): "kb",
    Unit("data", 1e6): "mb",
    Unit("data", 1e9): "gb",
    Unit("data", 1e12): "tb",
    Unit("GBP"): "£ gbp pound pounds quid",
    Unit("GBP", 0.01): "pence",
    Unit("EUR"): "€ eur euro euros",
    Unit("USD"): "$ usd dollar dollars",
    Unit("USD", 0.01): "cents",
    Unit("JPY"): "¥ jpy yen",
}
UNITS: Mapping[str, Unit] = {word: unit for unit, words in _LISTED.items() for word in words.split()}
CURRENCIES = "£€$¥"
SCALES: Mapping[str, float] = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9, "hundred": 1e2,
    "dozen": 12.0,
}  # fmt: skip
_MONTH_NAMES = (
    "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
    "september sept sep", "october oct", "november nov", "december dec",
)  # fmt: skip
MONTHS: Mapping[str, int] = {word: at for at, words in enumerate(_MONTH_NAMES, 1) for word in words.split()}
DAYS_OF_THE_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """
    One value of a text.

    Attributes:
        kind: `time`, `mass`, `GBP` … of a number with a unit, `date`, `clock`, `weekday`, `month`, `code`, or
            `number`.
        number: In the smallest unit of its kind; of a date month * 100 + day, of a clock minutes.
        written: The number without its unit.
        year: Of a date, if it is given.
        code: In capitals, without hyphens.
        noun: The word behind a number without a unit.
        exact: False for months and years.
        text: As written.
        last: The end of a period: 1999 of the 1990s.
        per: Of a rate: the length of time, or the thing, that it is for.
        margin: `<`, `>` or `~` of a number that its text calls an upper or a lower bound, or rounded.
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
    last: float = 0.0
    per: str = ""
    margin: str = ""


_GROUP = re.compile(r"(?<![\d.,])[1-9]\d{0,2}\.\d{3}(?![\d.,]*\d)")


def agree(one: Value, other: Value) -> bool:
    """
    Return whether the values can be the same: 14 days and two weeks, £3.50 and 3.50 GBP, 11 am and 11:00.

    A number without a unit agrees with the same number in any unit, and one with fewer decimals with those
    that round to it.
    """
    pairs = [(one, other)]
    if _GROUP.search(one.text) or _GROUP.search(other.text):
        pairs += [(_in_thousands(one), other), (one, _in_thousands(other))]
    return any(_agree(*pair) for pair in pairs)


def _in_thousands(value: Value) -> Value:
    """Read `1.000` as much of the world does, if the value is one."""
    if value.kind in DATES or value.kind == "code" or not _GROUP.search(value.text):
        return value
    text = value.text.replace(".", "")
    return replace(value, text=text, number=value.number * 1000, written=value.written * 1000)


def _agree(one: Value, other: Value) -> bool:
    if one.kind == other.kind:
        if one.kind == "date":
            years = {one.year, other.year} - {None}
            return one.number == other.number and len(years) < 2  # noqa: PLR2004 - no two years
        if one.kind == "code":
            return one.code == other.code
        mixed = one.exact != other.exact
        return _is_close(one.number, other.number, _NEARLY if mixed else _EQUAL) or _rounds(one, other)
    kinds = {one.kind, other.kind}
    if kinds == {"month", "date"}:
        month, date = (one, other) if one.kind == "month" else (other, one)
        return date.number // 100 == month.number
    if "number" not in kinds or "code" in kinds or kinds & DATES:
        return False
    bare, measured = (one, other) if one.kind == "number" else (other, one)
    return _rounds(bare, measured) or any(
        _is_close(bare.written, number, _EQUAL) for number in (measured.written, measured.number)
    )


def compete(one: Value, other: Value) -> bool:
    """Return whether two values that disagree are of the same quantity: of one unit, or of equal nouns."""
    if one.kind != other.kind or agree(one, other):
        return False
    return one.kind != "number" or (bool(one.noun) and one.noun == other.noun)


def _rounds(one: Value, other: Value) -> bool:
    """Return whether one of two numbers, of one unit or without, is the other, rounded."""
    if one.kind in DATES or not (one.number and other.number):
        return False
    short, long = sorted((one, other), key=lambda value: _decimals(value.text))
    decimals = _decimals(short.text)
    if decimals >= _decimals(long.text):
        return False
    rounded = round(long.written, decimals)
    if one.kind != other.kind:
        return _is_close(rounded, short.written, _EQUAL)
    scale = long.number / long.written if long.written else 1.0
    return _is_close(rounded * scale, short.number, _EQUAL)


def _decimals(text: str) -> int:
    match = re.search(r"\d[.,](\d{1,2})(?!\d)", text) or re.search(r"\d\.(\d+)", text)
    return len(match[1]) if match else 0


def _is_close(one: float, other: float, tolerance: float) -> bool:
    return abs(one - other) <= tolerance * max(abs(one), abs(other), 1e-9)


_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?"
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_FULL_MONTHS = "|".join(month for month in month_name[1:] if month != "May")
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORD = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
NUMBER = rf"(?:{_DIGITS}|(?:{_TENS})-(?:{_WORD})|{_WORD})"
_SCALE = "|".join(sorted(SCALES, key=len, reverse=True))
_UNIT = "|".join(re.escape(word) for word in sorted(UNITS, key=len, reverse=True))
_DAY_OF_MONTH = r"(?:the\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_MINUS = r"(?P<minus>(?:(?<=\s)|(?<=\A))-)?"  # not the dash of 4-6


@lru_cache(maxsize=16_384)
def read_values(text: str) -> tuple[Value, ...]:
    """
    Return the values of a text in order; a part of one is no other.

    The weights of `supported` were fitted to this reading; `reading.read_all` reads more.
    """
    folded = fold_typography(text)
    return tuple(share_units(find_values(folded, READERS), folded))


def find_values(folded: str, readers: Sequence[Reader]) -> list[Value]:
    """Return what the readers find in a folded text, in order; the first that matches a place takes it."""
    values: list[Value] = []
    taken = bytearray(len(folded))
    for pattern, read in readers:
        for match in pattern.finditer(folded):
            if not any(taken[match.start() : match.end()]) and (value := read(match)) is not None:
                values.append(value)
                taken[match.start() : match.end()] = b"\1" * len(match[0])
    return sorted(values, key=lambda value: value.start)


def share_units(values: Sequence[Value], text: str) -> Iterator[Value]:
    """Yield the values, the first number of a range with the unit of the second: `4 to 6 weeks`."""
    starts = {value.start: value for value in values}
    for value in values:
        end = value.start + len(value.text)
        joined = re.match(r"\s*(?:to|and|or|-|by|x)\s*", text[end:])
        following = starts.get(end + joined.end()) if joined and value.kind == "number" else None
        unit = _unit_of(following.text) if following else None
        if following and following.kind == "clock" and 0 <= value.number <= _HOURS:
            yield Value(kind="clock", text=value.text, start=value.start, number=value.number * 60)
        elif unit is None:
            yield value
        else:
            yield measured(value.text, value.start, value.written, unit)


def _unit_of(text: str) -> Unit | None:
    match = re.search(rf"({_UNIT})\Z", text, re.IGNORECASE)
    return UNITS.get(match[1].lower()) if match and re.match(r"[\d\w]", text) else None


def measured(text: str, start: int, written: float, unit: Unit) -> Value:
    number = written * unit.factor
    return Value(
        kind=unit.dimension, text=text, start=start, number=number, written=written, exact=unit.exact
    )


def _value(
    match: re.Match[str], kind: str, number: float = 0.0, *, year: int | None = None, code: str = ""
) -> Value:
    return Value(kind=kind, text=match[0], start=match.start(), number=number, year=year, code=code)


def _read_date(match: re.Match[str]) -> Value | None:
    groups = match.groupdict()
    month = groups.get("month") or ""
    number = MONTHS.get(month.lower()) or int(groups.get("digits") or 0)
    day = int(groups["day"])
    if month == "may" and not re.search(r"st|nd|rd|th", match[0]):
        return None  # `4 may be`
    if groups.get("digits") and number > 12 >= day:  # noqa: PLR2004 - the months of a year
        day, number = number, day
    if not (1 <= day <= 31 and 1 <= number <= 12):  # noqa: PLR2004
        return None
    year = groups.get("year")
    return _value(match, "date", number * 100 + day, year=int(year) if year else None)


def _read_clock(match: re.Match[str]) -> Value | None:
    groups = match.groupdict()
    if word := groups.get("word"):
        return _value(match, "clock", 0 if word.lower() == "midnight" else 720)
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = (groups.get("half") or "").lower()[:1]
    if not (half or match["minute"]) or hour > _HOURS or minute > 59:  # noqa: PLR2004 - of a clock
        return None
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    return _value(match, "clock", hour * 60 + minute)


def _read_amount(match: re.Match[str]) -> Value | None:
    groups = match.groupdict()
    written = read_number(match["number"]) * (-1 if groups.get("minus") else 1)
    written *= SCALES.get((groups.get("scale") or "").lower(), 1.0)
    word = "".join((groups.get("sign") or groups.get("unit") or "").lower().split())
    if word:  # a letter that only looks like one of a unit's, such as a dotless i, makes no unit
        return measured(match[0], match.start(), written, UNITS[word]) if word in UNITS else None
    if match["number"].lower() == "one":  # `no one`, `that one`
        return None
    noun = groups.get("noun") or ""
    return Value(
        kind="number",
        text=match[0][: len(match[0]) - len(noun)].rstrip(),
        start=match.start(),
        number=written,
        written=written,
        noun=noun.lower().removesuffix("s"),
    )


def read_number(written: str) -> float:
    lower = written.lower()
    if lower[0].isalpha():
        return sum(float(NUMBER_WORDS[part]) for part in lower.split("-"))
    is_decimal_comma = re.fullmatch(r"\d+,\d{1,2}", lower)
    return float(lower.replace(",", "." if is_decimal_comma else ""))


Reader = tuple[re.Pattern[str], Callable[[re.Match[str]], Value | None]]


def reader(read: Callable[[re.Match[str]], Value | None], *parts: str) -> Reader:
    return re.compile("".join(parts)), read


READERS: tuple[Reader, ...] = (
    reader(_read_date, rf"(?<![\w-]){_YEAR}-(?P<digits>\d\d)-(?P<day>\d\d)(?!\d)"),
    reader(_read_date, rf"(?<![\w.]){_DAY_OF_MONTH}[./](?P<digits>\d{{1,2}})[./]{_YEAR}(?!\d)"),
    reader(
        _read_date,
        rf"(?i)(?<![\w.]){_DAY_OF_MONTH}(?:\s+of)?\s+(?P<month>{_MONTH})\b\.?(?:,?\s+{_YEAR}(?!-))?(?!\d)",
    ),
    reader(
        _read_date,
        rf"(?i)\b(?P<month>{_MONTH})\.?\s+{_DAY_OF_MONTH}(?![\d:.%]\d|\d)\b(?:,?\s+{_YEAR}(?!-))?",
    ),
    reader(
        _read_clock,
        r"(?i)(?<![\w:.,])(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s?(?P<half>[ap]\.?m\b\.?)",
        r"|(?P<word>\b(?:noon|midday|midnight)\b)",
    ),
    reader(_read_clock, r"(?<![\w:.,])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?![\d:])"),
    reader(
        _read_amount,
        rf"(?i)(?P<minus>-)?(?P<sign>[{CURRENCIES}])\s?(?P<number>{_DIGITS})(?!\d)",
        rf"(?:\s?(?P<scale>{_SCALE})\b)?",
    ),
    reader(_read_amount, rf"\b(?P<sign>GBP|EUR|USD|JPY)\s?(?P<number>{_DIGITS})(?!\d)"),
    reader(
        lambda match: _value(match, "code", code=match[0].upper().replace("-", "")),
        r"\b(?=[A-Z\d-]*\d)(?:[A-Z]{1,6}-?\d+[A-Z\d]*|[A-Z]{2,6})(?:-[A-Z\d]+)*(?<!-)\b(?<=[A-Z\d])",
    ),
    reader(
        _read_amount,
        rf"(?i)(?<![\w.,]){_MINUS}(?P<number>{NUMBER})(?:[\s-]?(?P<scale>{_SCALE})(?=\s|-))?[\s-]?",
        rf"(?:working\s|business\s|calendar\s)?(?P<unit>per\scent|{_UNIT})(?!\w)",
    ),
    reader(
        lambda match: measured(match[0], match.start(), 50.0, UNITS["%"]),
        r"(?i)\bhalf\b(?!\s+(?:a|an)\b)",
    ),
    reader(
        lambda match: _value(match, "weekday", DAYS_OF_THE_WEEK.index(match["weekday"].lower()) + 1),
        rf"(?i)\b(?P<weekday>{'|'.join(DAYS_OF_THE_WEEK)})s?\b",
    ),
    reader(
        lambda match: _value(match, "month", MONTHS[match["month"].lower()]),
        rf"(?i)\b(?P<month>(?-i:May)|{_FULL_MONTHS})\b",
    ),
    reader(
        _read_amount,
        rf"(?i)(?<![\w.,]){_MINUS}(?P<number>{NUMBER})(?:st|nd|rd|th)?(?![\w%])(?!\.\d)",
        rf"(?:[\s-](?P<scale>{_SCALE})\b)?(?:[\s-](?P<noun>[A-Za-z]{{3,}})\b)?",
    ),
)

"""A date, year, weekday, month or time of day of an answer, made another."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Sequence

from pytest_llmops.features.mutate.languages import Language, join_words
from pytest_llmops.features.mutate.places import (
    AROUND,
    QUOTED_SOURCE,
    Place,
    ordinal_ending,
    pick,
    tier_of_text,
)
from pytest_llmops.features.mutate.readings import Edit, Reading
from pytest_llmops.text.characters import fold

_DatePlace = tuple[int, int, list[str]]
_Add = Callable[[int, int, Sequence[str]], None]
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?![\w-])")
_NUMERIC = re.compile(r"(?<![\w./])(\d{1,2})([./])(\d{1,2})\2(\d{4}|\d\d)(?![\w/])")
_CHINESE = re.compile(r"(?:(\d{4})\u5e74)?(\d{1,2})\u6708(\d{1,2})(\u65e5|\u53f7)")
_CLOCK = re.compile(
    r"(?<![A-Za-z0-9_:.,/])(?P<hour>\d{1,2})(?:(?P<mark>[:.h])(?P<minute>[0-5]\d))?"
    r"(?P<half>\s?[ap]\.?m\b\.?|\s?Uhr\b|\s?h\b|\u70b9|\u65f6(?!\u95f4))?"
    r"(?![A-Za-z0-9_:/]|[.,]\d)"
)
_YEAR = re.compile(
    r"(?<![A-Za-z0-9_.,:/#$\u00a3\u20ac@])(?P<year>1[0-9]\d\d|20\d\d)(?P<era>s\b)?"
    r"(?![A-Za-z0-9_:/%]|[.,]\d|-\d\d-)"
)
_RECENT = 2000  # a later year might be to come
_ORIGINAL_ERA = re.compile(r"\s?(?:BC|BCE|AD|CE|v\. ?Chr|av\. J|a\. ?C)\b")


def change_date(reading: Reading) -> Sequence[Edit]:
    """Make a date, a year, a weekday, a month or a time of day another."""
    places = []
    for start, end, options in find_dates(reading):
        written = reading.prose[start:end]
        candidates = [
            option for option in options if fold(option) not in reading.folded_sources and option != written
        ]
        if candidates:
            places.append(
                Place(start=start, end=end, tier=tier_of_text(reading, written), options=candidates)
            )
    return pick(reading, places, "date")


def find_dates(reading: Reading) -> list[_DatePlace]:
    """Return the dates of an answer with what each can become."""
    prose, language = reading.prose, reading.language
    found: list[_DatePlace] = []
    covered = bytearray(len(prose))

    def add(start: int, end: int, options: Sequence[str]) -> None:
        if not any(covered[start:end]):
            covered[start:end] = b"\1" * (end - start)
            found.append((start, end, list(options)))

    _add_numeric_dates(prose, add)
    if language and language.months:
        _add_written_dates(prose, language, add)
    for match in _CLOCK.finditer(prose):
        if match["mark"] in {":", "h"} or match["half"]:
            add(*match.span(), _other_times(match))
    _add_years(reading, add)
    if language:
        days = join_words(language.weekdays)
        weekday = rf"(?<!\w)(?:{days})(?=s?\b(?! [A-Z\u00c4\u00d6\u00dc])|\Z|[^\w\s])"
        for match in re.finditer(weekday, prose):
            add(*match.span(), [day for day in language.weekdays if fold(day) not in fold(prose)])
    return found


def _add_numeric_dates(prose: str, add: _Add) -> None:
    for match in _ISO.finditer(prose):
        year, month, day = map(int, match.groups())
        add(*match.span(), [f"{year}-{m:02}-{d:02}" for m, d in _other_days(year, month, day)])
    for match in _NUMERIC.finditer(prose):
        first, mark, second, year_text = match.groups()
        add(*match.span(), _numeric_dates(first, mark, second, year_text))
    for match in _CHINESE.finditer(prose):
        year_text = f"{match[1]}\u5e74" if match[1] else ""
        days = _other_days(int(match[1] or 2024), int(match[2]), int(match[3]))
        add(*match.span(), [f"{year_text}{m}\u6708{d}{match[4]}" for m, d in days])


def _add_years(reading: Reading, add: _Add) -> None:
    prose = reading.prose
    for match in _YEAR.finditer(prose):
        before, after = (
            prose[max(0, match.start() - AROUND) : match.start()],
            prose[match.end() : match.end() + 12],
        )
        if options := _other_years(match, before, after, reading):
            add(*match.span(), options)
        elif not re.match(r"\s[a-z]", after):
            add(*match.span(), [])


def _other_days(year: int, month: int, day: int) -> list[tuple[int, int]]:
    """Return other days of the same month, then the same day of other months; none if it is no date."""
    if not (1 <= month <= 12 and 1 <= year <= 9999 and 1 <= day <= monthrange(year, month)[1]):  # noqa: PLR2004
        return []
    days = [(month, (day + shift - 1) % 28 + 1) for shift in (3, 5, 9, 12, 17)]
    months = [((month + shift - 1) % 12 + 1, min(day, 28)) for shift in (1, 2, 5)]
    return [date for date in (*days, *months) if date != (month, day)]


def _numeric_dates(first: str, mark: str, second: str, year: str) -> list[str]:
    numbers = int(first), int(second)
    month_first = mark == "/" and numbers[1] > 12 >= numbers[0]  # noqa: PLR2004 - months
    month, day = numbers if month_first else numbers[::-1]
    width = len(first) if first.startswith("0") else len(second) if second.startswith("0") else 1
    written = []
    for new_month, new_day in _other_days(2024, month, day):
        one, other = (new_month, new_day) if month_first else (new_day, new_month)
        written.append(f"{one:0{width}}{mark}{other:0{width}}{mark}{year}")
    return written


def _add_written_dates(prose: str, language: Language, add: _Add) -> None:
    numbers = {name.lower(): at for at, names in enumerate(language.months, 1) for name in names}
    names = join_words([name for names in language.months for name in names])
    joint = r"\s+de\s+" if language.code == "es" else r"\.?\s+(?:of\s+)?"
    first = re.compile(
        rf"(?i)(?<![\w.,/:-])(?P<day>\d{{1,2}})(?P<ending>st|nd|rd|th|er)?(?P<joint>{joint})(?P<month>{names})\b"
    )
    then = re.compile(
        rf"\b(?P<month>{names})\b(?P<joint>\.?\s+)(?P<day>\d{{1,2}})(?P<ending>st|nd|rd|th)?(?![\w:%]|[.,]\d)"
    )
    for pattern in (first, *((then,) if language.code == "en" else ())):
        for match in pattern.finditer(prose):
            year = re.match(r",?\s(?:de\s)?\d{4}(?!\w)", prose[match.end() : match.end() + 12])
            rest = year[0] if year else ""
            month, day = numbers[match["month"].lower()], int(match["day"])
            options = []
            for new_month, new_day in _other_days(2024, month, day):
                name = (
                    match["month"]
                    if new_month == month
                    else _like(language.months[new_month - 1], match["month"])
                )
                ending = "" if not match["ending"] else _ending(new_day, language)
                written = f"{new_day}{ending}"
                options.append(
                    f"{written}{match['joint']}{name}{rest}"
                    if pattern is first
                    else f"{name}{match['joint']}{written}{rest}"
                )
            add(match.start(), match.end() + len(rest), options)
    alone = re.compile(rf"(?<![\w-])(?P<month>{names})\b(?![\w-])")
    for match in alone.finditer(prose):
        before = prose[max(0, match.start() - 12) : match.start()].lower()
        if re.search(
            r"(?<!\w)(?:in|since|by|until|from|to|of|im|seit|bis|ab|en|depuis|de|desde|hasta|and|und|et|y|early|late|mid)[\s-]\Z",
            before,
        ):
            at = numbers[match["month"].lower()]
            new = [language.months[(at + shift - 1) % 12] for shift in (2, 3, 5, 7)]
            add(*match.span(), [_like(names_of, match["month"]) for names_of in new])


_LONG_AS_SHORT = frozenset({"june", "july", "may"})


def _like(names: Sequence[str], model: str) -> str:
    """Return a month's name, as long and with the same first letter's case as another."""
    is_short = len(names) > 1 and model.lower() not in _LONG_AS_SHORT and len(model) <= 4  # noqa: PLR2004 - `Sept`
    name = names[1] if is_short else names[0]
    return name.capitalize() if model[0].isupper() else name


def _ending(day: int, language: Language) -> str:
    if language.code == "fr":
        return "er" if day == 1 else ""
    return ordinal_ending(day)


def _other_times(match: re.Match[str]) -> list[str]:
    hour = int(match["hour"])
    half = (match["half"] or "").strip().lower()
    limit = 12 if half[:1] in {"a", "p"} else 24
    if hour > limit or (match["mark"] == "." and not half):
        return []
    hours = [(hour + shift - 1) % 12 + 1 if limit == 12 else (hour + shift) % 24 for shift in (2, 3, 4, 21)]  # noqa: PLR2004
    width = len(match["hour"]) if match["hour"].startswith("0") else 1
    rest = f"{match['mark']}{match['minute']}" if match["minute"] else ""
    return [f"{new:0{width}}{rest}{match['half'] or ''}" for new in hours]


def _other_years(match: re.Match[str], before: str, after: str, reading: Reading) -> list[str]:
    """Return other years; later ones behind `since` and at the end of a span of years, where they must be."""
    language = reading.language
    if _ORIGINAL_ERA.match(after) or QUOTED_SOURCE.search(before) or before.lower().endswith("as of "):
        return []
    led = bool(language and language.year_before.search(before)) or before.endswith(("(", "\u2013", "-"))
    chinese = after.startswith("\u5e74")
    if re.match(r"\s[A-Z]", after) and not led:
        return []
    closed = not re.match(r"\s?[a-z\u00e0-\u00ff]", after)
    dated = bool(re.search(r"[A-Za-z\u00e0-\u00ff]{3,}\.?,? (?:de )?\Z", before)) and closed
    if not (chinese or (led and not re.match(r"\s[A-Z][a-z]", after)) or match["era"] or dated):
        return []
    year = int(match["year"])
    later = bool(
        re.search(r"(?:after|since|from|nach|seit|depuis|apr\u00e8s|desde|to|until|\u2013|-)\s?\Z", before)
    )
    earlier = bool(re.search(r"(?:before|by|vor|avant|antes de)\s\Z", before)) or after[:1] in {"\u2013", "-"}
    is_bound = re.search(r"(?:after|before|since|by|nach|vor|seit|apr\u00e8s|avant|depuis)\s\Z", before)
    steps = (20, 30, 10) if match["era"] else (17, 23, 31) if is_bound else (3, 4, 6, 7, 9, 11, 13, 17)
    signs = (1,) if later and not earlier else (-1,) if earlier or year > _RECENT else (1, -1)
    years = [year + sign * step for step in steps for sign in signs]
    return [f"{new}{match['era'] or ''}" for new in years if new not in reading.source_numbers]

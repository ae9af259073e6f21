"""Numbers, dates and units of an answer, made other plausible ones."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_llmops.features.mutate.languages import LANGUAGES, Language, join_words, read_language
from pytest_llmops.features.mutate.readings import Edit, Reading, choose, order
from pytest_llmops.metrics.facts.values import UNITS
from pytest_llmops.metrics.words import fold

_CURRENCY = "£$€¥"
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.,:/#@+*^'\u2019\-\u2010-\u2015\u2212\0])"
    r"(?P<whole>\d{1,3}(?:(?P<mark>[,. \u00a0\u202f'\u2019])\d{3})(?:(?P=mark)\d{3}){0,3}(?!\d)|\d{1,12})"
    r"(?P<part>[.,]\d{1,6})?(?P<ordinal>(?:st|nd|rd|th)\b)?"
    r"(?![0-9_:/@\u00b2\u00b3]|[.,]\d|[-\u2010-\u2015]\d)"
)
_ATTACHED = re.compile(r"[A-Za-z\u00b5\u03bc]{1,12}")
_ALSO_ATTACHED = frozenset("s ms k bn gb mb tb kb kwh mw gw w v hz mhz ghz px mg go mo ko to a b".split())
_RANGE = re.compile(
    r"(?<![\w.,:/\-\u2013])(\d{1,3})(\s?[-\u2013]\s?)(\d{1,3})(?=\s?%|\s[a-z\u00e0-\u00ff]|[\u4e00-\u9fff])"
)
_BEFORE = 40
_LAST_WORD = re.compile(r"([^\W\d_]+)[.:\s]{0,3}\Z")
_ITEM = re.compile(r"(?:^|(?<=[\n:;.!?]))[ \t]*[(\[]?(\d{1,3})[.)\]][ \t]", re.MULTILINE)
_QUOTED_SOURCE = re.compile(r"et al|\([^()\d]{3,40},?\s*\Z")
_ARTICLE = re.compile(r"\b(an?)\s\Z", re.IGNORECASE)
_VOWEL_NUMBER = re.compile(r"(?:8|11(?!\d)|18(?!\d)|11,|18,|eigh|eleven)")
_NEARBY_WORD = re.compile(r"[\s-]{0,2}([^\W\d_]+)")
_NO_WORDS = frozenset("third thirds half halves quarter quarters fifth fifths sided fold".split())
_LONGEST_YEAR = 4
_FIRST_YEAR, _LAST_YEAR, _NOW = 1000, 2099, 2026
_HUNDRED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """
    A number or date of the answer.

    Attributes:
        tier: 0 if it is what the reference says and the question does not; the higher, the less it matters.
        options: What it can become, in order.
    """

    start: int
    end: int
    tier: int
    options: Sequence[str]


def change_number(reading: Reading) -> Sequence[Edit]:
    """Make a number another: the one that the reference has, if there is one."""
    taken = [(start, end) for start, end, _ in _find_dates(reading)]
    places = [*_digit_places(reading, taken), *_range_places(reading), *_word_places(reading, taken)]
    return _pick(reading, places, "number")


def change_date(reading: Reading) -> Sequence[Edit]:
    """Make a date, a year, a weekday, a month or a time of day another."""
    places = []
    for start, end, options in _find_dates(reading):
        written = reading.prose[start:end]
        candidates = [
            option for option in options if fold(option) not in reading.folded_sources and option != written
        ]
        if candidates:
            places.append(
                _Place(start=start, end=end, tier=_tier_of_text(reading, written), options=candidates)
            )
    return _pick(reading, places, "date")


def change_unit(reading: Reading) -> Edit | None:
    """Make days weeks, pounds euros, a rate a day one a week, and so on."""
    edits = [edit for edit in (*_unit_edits(reading), *_rate_edits(reading)) if not reading.is_told(edit)]
    edits = [edit for edit in edits if fold(_around(reading, edit)) not in reading.folded_sources]
    if not edits:
        return None
    tiers = [
        (_tier_of_text(reading, edit.change.split(" \u2192 ")[0]), _rank(reading, edit.start))
        for edit in edits
    ]
    best = min(tiers)
    return choose(
        [edit for edit, tier in zip(edits, tiers, strict=True) if tier == best], reading.seed, "unit"
    )


def _pick(reading: Reading, places: Sequence[_Place], kind: str) -> Sequence[Edit]:
    """Return the change of a place that matters most; what the question says itself is not changed."""
    ranked = [(place.tier, _rank(reading, place.start)) for place in places]
    known = [(tier, rank) for tier, rank in ranked if tier <= _OTHER]
    if not known:
        return []
    best = min(known)
    candidates = [place for place, rank in zip(places, ranked, strict=True) if rank == best]
    for place in order(candidates, reading.seed, kind, "place"):
        for option in order(place.options, reading.seed, kind, "option"):
            edit = _edit(reading, place.start, place.end, option)
            if not reading.is_told(edit):
                same = [other for other in places if other != place and _is_same(reading, place, other)]
                return [edit, *(_edit(reading, other.start, other.end, option) for other in same)]
    return []


def _is_same(reading: Reading, place: _Place, other: _Place) -> bool:
    """Return whether an answer repeats a value: the same text before the same word."""
    one, two = (reading.prose[at.start : at.end + _BEFORE] for at in (place, other))
    length = place.end - place.start
    if other.end - other.start != length or one[:length] != two[:length]:
        return False
    following, others = (_NEARBY_WORD.match(text[length:]) for text in (one, two))
    return (following and following[1]) == (others and others[1])


_EXPECTED, _ALSO_ASKED, _OTHER, _ASKED = range(4)


def _rank(reading: Reading, start: int) -> int:
    """Return the place of a sentence among those of the answer by weight."""
    return next(
        (rank for rank, sentence in enumerate(reading.sentences) if sentence.start <= start < sentence.end),
        len(reading.sentences),
    )


def _tier(reading: Reading, value: float) -> int:
    expected, asked = value in reading.reference_numbers, value in reading.question_numbers
    return _tier_of(expected=expected, asked=asked)


def _tier_of_text(reading: Reading, text: str) -> int:
    folded = fold(text)
    return _tier_of(expected=folded in fold(reading.reference or ""), asked=folded in fold(reading.question))


def _tier_of(*, expected: bool, asked: bool) -> int:
    if expected:
        return _ALSO_ASKED if asked else _EXPECTED
    return _ASKED if asked else _OTHER


def _edit(reading: Reading, start: int, end: int, new: str) -> Edit:
    """Return the replacement, with `a` or `an` before it put right."""
    text = reading.text
    old = text[start:end]
    article = _ARTICLE.search(text[max(0, start - 4) : start])
    if article and reading.language and reading.language.code == "en":
        right = "an" if _VOWEL_NUMBER.match(new) else "a"
        if article[1].lower() != right:
            begin = start - len(article[0])
            right = right.capitalize() if article[1][0].isupper() else right
            return Edit(start=begin, end=end, new=f"{right} {new}", change=f"{old} \u2192 {new}")
    return Edit(start=start, end=end, new=new, change=f"{old} \u2192 {new}")


# --- Numbers ------------------------------------------------------------------------------------------------


def _digit_places(reading: Reading, taken: Sequence[tuple[int, int]]) -> Iterator[_Place]:
    prose, language = reading.prose, reading.language
    items = {match.start(1) for match in _ITEM.finditer(prose)}
    covered = _Covered(taken)
    for match in _NUMBER.finditer(prose):
        start, end = match.span()
        before, after = prose[max(0, start - _BEFORE) : start], prose[end : end + _BEFORE]
        value = _value_of(match)
        attached = _ATTACHED.match(after)
        unit = _is_unit(attached[0]) if attached else None
        if unit is False or start in items or covered.has(start) or _is_part_of_row(before, after):
            continue
        has_sign = (
            before.rstrip()[-1:] in _CURRENCY
            and before[-1:] != ""
            or after.lstrip()[:1] in {*_CURRENCY, "%", "\u00b0"}
        )
        if (value in {0.0, 1.0} and not has_sign) or _QUOTED_SOURCE.search(before):
            continue
        measured = bool(unit) or has_sign or _has_unit(after, language)
        if (
            not measured
            and not match["part"]
            and (_is_label(before, reading, start) or _is_year(match, before, after))
        ):
            continue
        tier = _tier(reading, value)
        if tier == _ASKED:
            continue
        rising, falling = _direction(before, after, language)
        options = [
            _write(number, match)
            for number in _others(value, _decimals(match["part"]), rising=rising, falling=falling)
            if number not in reading.source_numbers
            and not (
                0 <= value <= _HUNDRED < number
                and re.match(r"\s?(?:%|per\s?cent|Prozent|pour cent|por ciento)", after)
            )
        ]
        if options:
            yield _Place(start=start, end=end, tier=tier, options=options)


def _range_places(reading: Reading) -> Iterator[_Place]:
    """Yield the upper ends of ranges such as `4-6 weeks`."""
    for match in _RANGE.finditer(reading.prose):
        low, high = float(match[1]), float(match[3])
        before = reading.prose[max(0, match.start() - _BEFORE) : match.start()]
        if low < high and not _is_label(before, reading, match.start()):
            options = [
                f"{number:.0f}"
                for number in _others(high, 0, rising=True, falling=False)
                if number not in reading.source_numbers
            ]
            if options:
                yield _Place(
                    start=match.start(3), end=match.end(3), tier=_tier(reading, high), options=options
                )


def _word_places(reading: Reading, taken: Sequence[tuple[int, int]]) -> Iterator[_Place]:
    """Yield numbers that are written as words."""
    language = reading.language
    if language is None:
        return
    known = {word: number for number, word in language.numbers.items()}
    covered = _Covered(taken)
    if language.is_spaced:
        pattern = re.compile(rf"(?<![\w\0'\u2019-])(?:{join_words([*known])})(?![\w'\u2019])")
    else:
        digits = "\u4e24\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d"
        known |= {"\u4e8c": 2}
        pattern = re.compile(
            rf"(?<![\u4e00\u5341\u767e\u5343\u4e07\u4ebf\u96f6\u7b2c\u51e0\u661f\u671f\u6570\u5206{digits}])"
            rf"(?:[{digits[1:]}]?\u5341|[{digits}])(?=\u4e2a?(?:{language.counted}))"
        )
    for match in pattern.finditer(reading.prose):
        value = known.get(match[0])
        before = reading.prose[max(0, match.start() - _BEFORE) : match.start()]
        following = _NEARBY_WORD.match(reading.prose[match.end() : match.end() + _BEFORE])
        if value is None or covered.has(match.start()) or (following and following[1] in _NO_WORDS):
            continue
        if language.is_spaced and _is_label(before, reading, match.start()):
            continue
        if not following and language.is_spaced:
            continue
        tier = _tier_of_word(reading, match[0], float(value))
        rising, falling = _direction(before, reading.prose[match.end() : match.end() + _BEFORE], language)
        numbers = [
            number
            for number in language.numbers
            if number != value
            and _is_other(float(value), number, rising=rising, falling=falling)
            and number / value <= 4  # noqa: PLR2004 - a plausible other one
        ]
        told = reading.source_numbers
        options = [
            language.numbers[number]
            for number in numbers
            if number not in told and fold(language.numbers[number]) not in _words_of(reading)
        ]
        if options and tier != _ASKED:
            yield _Place(start=match.start(), end=match.end(), tier=tier, options=options)


def _words_of(reading: Reading) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", f"{reading.folded_sources} {fold(reading.prose)}"))


def _tier_of_word(reading: Reading, word: str, value: float) -> int:
    found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    return _tier_of(
        expected=bool(found.search(reading.reference or "")) or value in reading.reference_numbers,
        asked=bool(found.search(reading.question)) or value in reading.question_numbers,
    )


class _Covered:
    """Spans of a text, in which places are looked for in ascending order."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self._places = {at for start, end in spans for at in range(start, end)}

    def has(self, place: int) -> bool:
        return place in self._places


def _value_of(match: re.Match[str]) -> float:
    whole = re.sub(r"\D", "", match["whole"])
    return float(f"{whole}.{match['part'][1:]}" if match["part"] else whole)


def _decimals(part: str | None) -> int:
    return len(part) - 1 if part else 0


def _is_unit(attached: str) -> bool:
    return attached.lower() in UNITS or attached.lower() in _ALSO_ATTACHED


def _has_unit(after: str, language: Language | None) -> bool:
    """Return whether a unit follows a number."""
    match = re.match(r"[\s-]?([^\W\d_]+)", after)
    if match is None:
        return False
    if match[1].lower() in UNITS.keys() | _COUNTING:
        return True
    return language is not None and bool(_unit_start(language.code).match(after))


_COUNTING = frozenset({"percent", "prozent", "times", "mal", "fois", "veces"})


@lru_cache(maxsize=len(LANGUAGES))
def _unit_start(code: str) -> re.Pattern[str]:
    """Return the pattern of a language's units at the start of what follows a number."""
    language = read_language(code)
    units = "|".join(find for find, _ in language.units)
    counted = f"|{language.counted}" if language.counted else ""
    return re.compile(rf"[\s-]?(?:(?:{units})(?!\w){counted})")


def _is_part_of_row(before: str, after: str) -> bool:
    """Return whether digits stand on both sides of a blank, as in a telephone number."""
    return bool(re.search(r"\d[ /-]\Z", before) or re.match(r" \d", after) or re.search(r"[A-Z]-?\Z", before))


def _is_label(before: str, reading: Reading, start: int) -> bool:
    """Return whether a number belongs to a name (`Corrie 65`) or counts things off (`zone 2`)."""
    match = _LAST_WORD.search(before)
    if match is None:
        return before.rstrip()[-1:] in {"#", "\u00b0", "\u00a7"}
    word = match[1]
    language = reading.language
    if language and word.lower() in language.labels:
        return True
    if not word[0].isupper() or not word.isascii() and not word[0].isupper():
        return False
    at_start = any(sentence.start == start - len(before) + match.start() for sentence in reading.in_order)
    return not (at_start and language and (word.lower() in language.words or language.rising.search(word)))


def _is_year(match: re.Match[str], before: str, after: str) -> bool:
    """Return whether a bare number is, or may be, a year."""
    digits = match["whole"]
    return (
        len(digits) == _LONGEST_YEAR
        and digits.isdigit()
        and _FIRST_YEAR <= int(digits) <= _LAST_YEAR
        and not before.endswith(tuple(_CURRENCY))
        and not after[:1].isdigit()
    )


def _direction(before: str, after: str, language: Language | None) -> tuple[bool, bool]:
    """Return whether only a larger, and whether only a smaller number makes the statement false."""
    if language is None:
        return bool(re.search(r"\d\s?\Z", before)), False
    is_upper = bool(language.range.search(before) and re.search(r"\d", before[-12:]))
    is_lower = bool(re.match(rf"{language.range.pattern[:-2]}\d", after, re.IGNORECASE))
    rising = bool(language.rising.search(before)) or is_upper
    return rising, (bool(language.falling.search(before)) or is_lower) and not rising


_FACTORS = (1.5, 2.0, 0.5, 2.5, 0.6, 0.7, 1.3)


def _is_other(value: float, number: float, *, rising: bool, falling: bool) -> bool:
    far = max(value, number) >= 1.19 * min(value, number)
    return far and not (rising and number < value) and not (falling and number > value)


def _others(value: float, decimals: int, *, rising: bool, falling: bool) -> list[float]:
    """Return other plausible numbers, as round as the value is."""
    if decimals and value >= 2:  # noqa: PLR2004 - `3.95` keeps its pence
        part = round(value % 1, decimals)
        numbers = [round(whole + part, decimals) for whole in _whole_others(int(value))]
    elif decimals:
        numbers = [round(value * factor, decimals) for factor in _FACTORS]
    else:
        numbers = [float(number) for number in _whole_others(int(value))]
    return [
        number
        for number in dict.fromkeys(numbers)
        if number > 0
        and number != value
        and _is_other(value, number, rising=rising, falling=falling)
        and (decimals or number > 1)
    ]


def _whole_others(value: int) -> list[int]:
    if value <= 12:  # noqa: PLR2004 - what is counted on hands
        return [value + 3, value + 2, value + 4, value - 2, value * 2, value - 3, value + 1, value - 1]
    step = 1
    while value % (step * 10) == 0:
        step *= 10
    if value % (step * 5) == 0:
        step *= 5
    if value < 100 and step >= 10:  # noqa: PLR2004 - from 30 to 45
        step = 5
    if value >= 100 and step > value // 10:  # noqa: PLR2004
        step = max(1, step // 2)
    return [max(step, round(value * factor / step) * step) for factor in _FACTORS]


def _write(number: float, match: re.Match[str]) -> str:
    """Write a number as the one that is replaced: its separators, its decimals, its ordinal ending."""
    mark, part = match["mark"], match["part"]
    decimals = _decimals(part)
    digits = f"{number:.{decimals}f}"
    whole, _, fraction = digits.partition(".")
    if mark and len(whole) > 3:  # noqa: PLR2004 - thousands
        groups = []
        while whole:
            groups.append(whole[-3:])
            whole = whole[:-3]
        whole = mark.join(reversed(groups))
    written = f"{whole}{part[0]}{fraction}" if part else whole
    if match["ordinal"]:
        last = int(number) % 100
        ending = "th" if 10 < last < 14 else {1: "st", 2: "nd", 3: "rd"}.get(last % 10, "th")  # noqa: PLR2004
        written += ending
    return written


# --- Dates --------------------------------------------------------------------------------------------------

_DatePlace = tuple[int, int, list[str]]
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?![\w-])")
_NUMERIC = re.compile(r"(?<![\w./])(\d{1,2})([./])(\d{1,2})\2(\d{4}|\d\d)(?![\w/])")
_CHINESE = re.compile(r"(?:(\d{4})\u5e74)?(\d{1,2})\u6708(\d{1,2})(\u65e5|\u53f7)")
_CHINESE_MONTH = re.compile(r"(?<!\d)(?P<year>\d{4})\u5e74(?!\d{1,2}\u6708\d)")
_CLOCK = re.compile(
    r"(?<![A-Za-z0-9_:.,/])(?P<hour>\d{1,2})(?:(?P<mark>[:.h])(?P<minute>[0-5]\d))?(?P<half>\s?[ap]\.?m\b\.?|\s?Uhr\b|\s?h\b|\u70b9|\u65f6(?!\u95f4))?"
    r"(?![A-Za-z0-9_:/]|[.,]\d)"
)
_YEAR = re.compile(
    r"(?<![A-Za-z0-9_.,:/#$\u00a3\u20ac@])(?P<year>1[0-9]\d\d|20\d\d)(?P<era>s\b)?(?![A-Za-z0-9_:/%]|[.,]\d|-\d\d-)"
)
_ORIGINAL_ERA = re.compile(r"\s?(?:BC|BCE|AD|CE|v\. ?Chr|av\. J|a\. ?C)\b")


def _find_dates(reading: Reading) -> list[_DatePlace]:
    """Return the dates of an answer with what each can become."""
    prose, language = reading.prose, reading.language
    found: list[_DatePlace] = []
    covered = bytearray(len(prose))

    def add(start: int, end: int, options: Sequence[str]) -> None:
        if not any(covered[start:end]):
            covered[start:end] = b"\1" * (end - start)
            found.append((start, end, list(options)))

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
    if language and language.months:
        _add_written_dates(prose, language, add)
    for match in _CLOCK.finditer(prose):
        if match["mark"] in {":", "h"} or match["half"]:
            add(*match.span(), _other_times(match))
    for match in _YEAR.finditer(prose):
        before, after = (
            prose[max(0, match.start() - _BEFORE) : match.start()],
            prose[match.end() : match.end() + 12],
        )
        if options := _other_years(match, before, after, reading):
            add(*match.span(), options)
        elif not re.match(r"\s[a-z]", after):
            add(*match.span(), [])
    if language:
        for match in re.finditer(
            rf"(?<!\w)(?:{join_words(language.weekdays)})(?=s?\b(?! [A-Z\u00c4\u00d6\u00dc])|\Z|[^\w\s])",
            prose,
        ):
            add(*match.span(), [day for day in language.weekdays if fold(day) not in fold(prose)])
    return found


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


def _add_written_dates(
    prose: str, language: Language, add: Callable[[int, int, Sequence[str]], None]
) -> None:
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
    return "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")  # noqa: PLR2004


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
    if _ORIGINAL_ERA.match(after) or _QUOTED_SOURCE.search(before) or before.lower().endswith("as of "):
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
    steps = (20, 30, 10) if match["era"] else (3, 4, 6, 7, 9, 11, 13, 17)
    signs = (1,) if later and not earlier else (-1,) if earlier else (1, -1)
    years = [year + sign * step for step in steps for sign in signs]
    years = [new for new in years if (new <= _NOW or year > _NOW) and new not in reading.source_numbers]
    return [f"{new}{match['era'] or ''}" for new in years]


# --- Units --------------------------------------------------------------------------------------------------

_SIGNS = {"\u00a3": "\u20ac", "\u20ac": "$", "$": "\u20ac", "\u00a5": "$"}


def _unit_edits(reading: Reading) -> Iterator[Edit]:
    prose, language = reading.prose, reading.language
    for match in re.finditer(
        rf"(?<![A-Za-z])([{_CURRENCY}])\s?\d|\d\s?([{_CURRENCY}])(?![\d{_CURRENCY}])", prose
    ):
        if _is_bounded(prose, match.start(), language):
            continue
        group = 1 if match[1] else 2
        amount = re.search(r"\d[\d.,]*", prose[match.start() : match.start() + 24]) if match[1] else None
        old, new = match[group], _SIGNS[match[group]]
        shown = (f"{old}{amount[0].rstrip('.,')}", f"{new}{amount[0].rstrip('.,')}") if amount else (old, new)
        yield Edit(start=match.start(group), end=match.end(group), new=new, change=" \u2192 ".join(shown))
    if language is None:
        return
    number = (
        join_words([*language.numbers.values()])
        if language.is_spaced
        else "[\u4e00\u4e8c\u4e24\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341]"
    )
    for find, put in language.units:
        flags = 0 if len(find) <= 3 else re.IGNORECASE  # noqa: PLR2004 - `5 m` is no `5 M`
        edge = r"(?!\w)" if language.is_spaced else ""
        pattern = (
            re.compile(
                rf"(?P<number>(?<![\w.,/-])\d[\d.,]{{0,12}}|(?<!\w)(?i:{number}))(?P<gap>[\s-]?)(?P<unit>{find}){edge}",
                flags,
            )
            if language.is_spaced
            else re.compile(
                rf"(?P<number>(?<![\d.])\d[\d.,]{{0,12}}|{number})(?P<gap>\s?)(?P<unit>{find})(?!\u5185\u7684)"
            )
        )
        for match in pattern.finditer(prose):
            if language.unit_block.match(prose[match.end() : match.end() + 20].lstrip()):
                continue
            if _is_bounded(prose, match.start(), language):
                continue
            if not language.is_spaced and match["unit"] == "\u5e74":
                continue
            new = (
                put.capitalize() if match["unit"][0].isupper() and put[0].islower() and len(put) > 2 else put
            )  # noqa: PLR2004
            yield Edit(
                start=match.start("unit"),
                end=match.end("unit"),
                new=new,
                change=f"{match[0]} \u2192 {match['number']}{match['gap']}{new}",
            )


def _is_bounded(prose: str, start: int, language: Language | None) -> bool:
    """Return whether `more than` or `under` stands before an amount, so that another unit may leave it true."""
    before = prose[max(0, start - _BEFORE) : start]
    return bool(language and (language.rising.search(before) or language.falling.search(before)))


def _rate_edits(reading: Reading) -> Iterator[Edit]:
    if reading.language is None:
        return
    for rule in reading.language.rates:
        for match in rule.find.finditer(reading.prose):
            around = reading.prose[max(0, match.start() - _BEFORE) : match.start()]
            if re.search(r"\d", around) or not reading.language.is_spaced:
                yield Edit(
                    start=match.start(),
                    end=match.end(),
                    new=rule.put,
                    change=f"{match[0].strip()} \u2192 {rule.put.strip()}",
                )


def _around(reading: Reading, edit: Edit) -> str:
    """Return the number with its new unit."""
    before = re.search(r"[\d.,]+[\s-]?\Z", reading.text[max(0, edit.start - 20) : edit.start])
    after = (
        re.match(r"\s?[\d.,]*\d", reading.text[edit.end : edit.end + 20])
        if edit.new in _SIGNS.values()
        else None
    )
    return f"{before[0] if before else ''}{edit.new}{after[0] if after else ''}" if before or after else "\0"

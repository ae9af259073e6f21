"""A number of an answer, made another plausible one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from pytest_llmops.features.mutate.dates import find_dates
from pytest_llmops.features.mutate.languages import LANGUAGES, Language, join_words, read_language
from pytest_llmops.features.mutate.places import (
    AROUND,
    ASKED,
    EXPECTED,
    NEARBY_WORD,
    QUOTED_SOURCE,
    Place,
    ordinal_ending,
    pick,
    tier_of,
)
from pytest_llmops.features.mutate.readings import Edit, Reading
from pytest_llmops.metrics.facts.values import CURRENCIES, UNITS
from pytest_llmops.text.characters import fold

_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.,:/#@+*^'\u2019\-\u2010-\u2015\u2212\0])"
    r"(?P<whole>\d{1,3}(?:(?P<mark>[,. \u00a0\u202f'\u2019])\d{3})(?:(?P=mark)\d{3}){0,3}(?!\d)|\d{1,12})"
    r"(?P<part>[.,]\d{1,6})?(?P<ordinal>(?:st|nd|rd|th)\b)?"
    r"(?![0-9_:/@\u00b2\u00b3]|[.,]\d|[-\u2010-\u2015]\d)"
)
_ATTACHED = re.compile(r"[A-Za-z\u00b5\u03bc]{1,12}")
_ALSO_ATTACHED = frozenset(
    {"s", "ms", "k", "bn", "mw", "gw", "v", "hz", "mhz", "ghz", "px", "mg", "go", "mo", "ko", "to"}
)
_RANGE = re.compile(
    r"(?<![\w.,:/\-\u2013])(\d{1,3})(\s?[-\u2013]\s?)(\d{1,3})(?=\s?%|\s[a-z\u00e0-\u00ff]|[\u4e00-\u9fff])"
)
_LAST_WORD = re.compile(r"([^\W\d_]+)[.:\s]{0,3}\Z")
_ITEM = re.compile(r"(?:^|(?<=[\n:;.!?]))[ \t]*[(\[]?(\d{1,3})[.)\]][ \t]", re.MULTILINE)
_NO_WORDS = frozenset(
    {"third", "thirds", "half", "halves", "quarter", "quarters", "fifth", "fifths", "sided", "fold"}
)
_FRACTION = re.compile(r"(?:six|seven|eigh|nin|ten)ths?\Z")
_CODE = re.compile(r"(?<![\w-])[A-Z]{1,6}-?\d{1,12}(?![\w-])")
_NEARLY = 1.5  # times; a rough number must differ more
_LONGEST_YEAR = 4
_FIRST_YEAR, _LAST_YEAR = 1000, 2099
_HUNDRED = 100


def change_number(reading: Reading) -> Sequence[Edit]:
    """Make a number another: the one that the reference has, if there is one."""
    taken = [(start, end) for start, end, _ in find_dates(reading)]
    places = [*_code_places(reading), *_digit_places(reading, taken)]
    places += [*_range_places(reading), *_word_places(reading, taken)]
    return pick(reading, places, "number")


def _tier(reading: Reading, value: float) -> int:
    expected, asked = value in reading.reference_numbers, value in reading.question_numbers
    return tier_of(expected=expected, asked=asked)


def _digit_places(reading: Reading, taken: Sequence[tuple[int, int]]) -> Iterator[Place]:
    prose, language = reading.prose, reading.language
    items = {match.start(1) for match in _ITEM.finditer(prose)}
    covered = _cover(taken, len(reading.prose))
    for match in _NUMBER.finditer(prose):
        start, end = match.span()
        before, after = prose[max(0, start - AROUND) : start], prose[end : end + AROUND]
        value = _value_of(match)
        attached = _ATTACHED.match(after)
        unit = _is_unit(attached[0]) if attached else None
        if unit is False or start in items or covered[start] or _is_part_of_row(before, after):
            continue
        has_sign = (before.rstrip()[-1:] in CURRENCIES and before[-1:] != "") or after.lstrip()[:1] in {
            *CURRENCIES,
            "%",
            "\u00b0",
        }
        if (value in {0.0, 1.0} and not has_sign) or QUOTED_SOURCE.search(before):
            continue
        measured = bool(unit) or has_sign or _has_unit(after, language)
        if (
            not measured
            and not match["part"]
            and (_is_label(before, reading, start) or _is_year(match, before, after))
        ):
            continue
        tier = _tier(reading, value)
        if tier == ASKED or (any(reading.passages) and value not in reading.known_numbers):
            continue
        rising, falling = _direction(before, after, language)
        options = [
            _write(number, match)
            for number in _others(value, _decimals(match["part"]), rising=rising, falling=falling)
            if number not in reading.source_numbers
            and not (_is_nearly(before, language) and _NEARLY > number / value > 1 / _NEARLY)
            and not (
                0 <= value <= _HUNDRED < number
                and re.match(r"\s?(?:%|per\s?cent|Prozent|pour cent|por ciento)", after)
            )
        ]
        if options:
            yield Place(start=start, end=end, tier=tier, options=options)


def _code_places(reading: Reading) -> Iterator[Place]:
    """Yield codes such as `EM-03` that are what the reference answers."""
    for match in _CODE.finditer(reading.prose):
        code = match[0]
        if code in (reading.reference or "") and code.lower() not in reading.question.lower():
            options = [f"{code[:-1]}{(int(code[-1]) + step) % 10}" for step in (3, 1, 5, 7)]
            options = [option for option in options if option not in reading.sources]
            if options:
                yield Place(start=match.start(), end=match.end(), tier=EXPECTED, options=options)


def _is_nearly(before: str, language: Language | None) -> bool:
    """Return whether a number is said to be rough."""
    return language is not None and bool(language.nearly.search(before.rstrip("\u00a3$\u20ac")))


def _range_places(reading: Reading) -> Iterator[Place]:
    """Yield the upper ends of ranges such as `4-6 weeks`."""
    for match in _RANGE.finditer(reading.prose):
        low, high = float(match[1]), float(match[3])
        before = reading.prose[max(0, match.start() - AROUND) : match.start()]
        if low < high and not _is_label(before, reading, match.start()):
            options = [
                f"{number:.0f}"
                for number in _others(high, 0, rising=True, falling=False)
                if number not in reading.source_numbers
            ]
            if options:
                yield Place(
                    start=match.start(3), end=match.end(3), tier=_tier(reading, high), options=options
                )


def _word_places(reading: Reading, taken: Sequence[tuple[int, int]]) -> Iterator[Place]:
    """Yield numbers that are written as words."""
    language = reading.language
    if language is None:
        return
    known = {word: number for number, word in language.numbers.items()}
    covered = _cover(taken, len(reading.prose))
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
        before = reading.prose[max(0, match.start() - AROUND) : match.start()]
        following = NEARBY_WORD.match(reading.prose[match.end() : match.end() + AROUND])
        if (
            value is None
            or covered[match.start()]
            or (following and (following[1] in _NO_WORDS or _FRACTION.match(following[1])))
        ):
            continue
        if language.is_spaced and _is_label(before, reading, match.start()):
            continue
        if not following and language.is_spaced:
            continue
        tier = _tier_of_word(reading, match[0], float(value))
        rising, falling = _direction(before, reading.prose[match.end() : match.end() + AROUND], language)
        numbers = [
            number
            for number in language.numbers
            if number != value
            and _is_other(float(value), number, rising=rising, falling=falling)
            and number / value <= 4  # noqa: PLR2004 - a plausible other one
        ]
        taken_numbers = reading.source_numbers
        options = [
            language.numbers[number]
            for number in numbers
            if number not in taken_numbers and fold(language.numbers[number]) not in _words_of(reading)
        ]
        if options and tier != ASKED:
            yield Place(start=match.start(), end=match.end(), tier=tier, options=options)


def _words_of(reading: Reading) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", f"{reading.folded_sources} {fold(reading.prose)}"))


def _tier_of_word(reading: Reading, word: str, value: float) -> int:
    found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    return tier_of(
        expected=bool(found.search(reading.reference or "")) or value in reading.reference_numbers,
        asked=bool(found.search(reading.question)) or value in reading.question_numbers,
    )


def _cover(spans: Sequence[tuple[int, int]], length: int) -> bytearray:
    """Return a text's characters, 1 for those within spans."""
    covered = bytearray(length)
    for start, end in spans:
        covered[start:end] = b"\1" * (end - start)
    return covered


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
    if not word[0].isupper():
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
        and not before.endswith(tuple(CURRENCIES))
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
    if mark:
        whole = f"{int(whole):,}".replace(",", mark)
    written = f"{whole}{part[0]}{fraction}" if part else whole
    return written + ordinal_ending(int(number)) if match["ordinal"] else written

"""
All values of a text, in any script: those of `values`, more units, rates, periods, and technical forms.

No run of digits is left out: what no reader understands is compared as written, with the token around it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from pytest_llmops.metrics.facts.units import SIGNS, find_unit
from pytest_llmops.metrics.facts.values import (
    DATES,
    NUMBER,
    READERS,
    SCALES,
    Reader,
    Unit,
    Value,
    agree,
    compete,
    find_values,
    measured,
    read_number,
    reader,
    share_units,
)
from pytest_llmops.text.characters import fold_typography

LITERALS = frozenset({"url", "version", "phone", "literal"})
"""Kinds of values that are compared as they are written."""

_PIECE = 2_000  # characters that are read at once: time grows with the length of a text, not with its square
_LONG_RUN = re.compile(r"\d{65,}")
_DIGITS_AT_MOST = 15  # of a number: a float has no more
_LONGEST_LITERAL = 200
_FEWEST_DIGITS = 7  # of a telephone number
_CONVERTED = 0.01  # of a value in another unit
_SAME_UNIT = 1e-6
_ROUNDED = 0.1  # relative, of a number that its text calls rounded
_BEYOND = 1.25  # times a number that others are `over`
_FIRST_YEAR, _LAST_YEAR = 1_000, 2_100
_HUNDRED = 100

_ORDINALS: Mapping[str, int] = {
    word: at
    for at, word in enumerate(
        re.findall(
            r"\S+",
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
            "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first",
        ),
        1,
    )
}
_DECADES = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70,
            "eighties": 80, "nineties": 90}  # fmt: skip
_SCALE = "|".join(sorted(SCALES, key=len, reverse=True)) + "|trillion|tn|mn|mln|mio|bln"
_SIZES: Mapping[str, float] = {
    **SCALES,
    "trillion": 1e12,
    "tn": 1e12,
    "mn": 1e6,
    "mln": 1e6,
    "mio": 1e6,
    "bln": 1e9,
}
_SIGN = "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True))
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?"
_UNIT = (
    r"[A-Za-z\u00b5\u03bc\u03a9%\u00b0\u2103\u2109][A-Za-z\u00b5\u03bc\u00b0\u0142\u010d]{0,15}"
    r"[23\u00b2\u00b3]?"
)

PERIODS: Mapping[str, str] = {
    "sec": "second", "s": "second", "min": "minute", "h": "hour", "hr": "hour", "night": "day", "mo": "month",
    "yr": "year", "annum": "year", "hourly": "hour", "daily": "day", "nightly": "day", "weekly": "week",
    "monthly": "month", "quarterly": "quarter", "yearly": "year", "annually": "year", "annual": "year",
}  # fmt: skip
TIMES = "second minute hour day night week fortnight weekend month quarter year decade century"
_THINGS = "person people head capita child adult item unit order user guest room seat kg litre liter km mile"
_PER = re.compile(
    rf"(?i)[ -]?(?P<noun>(?:[A-Za-z]{{2,20}} ){{0,2}}?)(?:(?:(?:per|a|an|each|every)[ -]|/ ?)"
    rf"(?P<of>{'|'.join((TIMES + ' ' + _THINGS + ' annum').split())})s?\b"
    r"|(?P<adverb>hourly|daily|nightly|weekly|monthly|quarterly|yearly|annually)\b)"
)
_NO_NOUN = re.compile(r"(?i)\b(?:a|an|the|and|or|but|for|in|on|at|of|after|before|is|are|was|were|to|from)\b")

_BELOW = (
    r"under|less than|fewer than|below|at most|no more than|not more than|no later than|up to|lower than|"
    r"smaller than|shorter than|maximum of|max\.?|before|until|till|<|\u2264|no longer than"
)
_ABOVE = (
    r"over|more than|above|at least|no less than|no fewer than|not less than|exceeding|exceeds|upwards? of|"
    r"greater than|higher than|larger than|longer than|minimum of|min\.?|beyond|after|since|>|\u2265|"
    r"no earlier than"
)
_ABOUT = (
    r"about|around|approximately|approx\.?|roughly|nearly|almost|circa|ca\.?|c\.|some|close to|"
    r"just (?:over|under)|an estimated|estimated(?: at)?|~|\u2248|"
    r"a little (?:over|under|more than|less than)|or so"
)
_MARGIN = re.compile(
    rf"(?i)(?:(?<=\W)|\A)(?:(?P<about>{_ABOUT})|(?P<below>{_BELOW})|(?P<above>{_ABOVE}))"
    r"\s*(?:(?:the|a|an)\s)?(?:total of\s)?\Z"
)
_MARGIN_BEHIND = re.compile(
    r"(?i)\s?(?:(?P<above>\+|or (?:more|over|above|later|older)|plus\b)"
    r"|(?P<below>or (?:less|fewer|under|below|earlier|younger)))"
)
_BEFORE = 24  # characters in which a margin is looked for

_TOKEN = re.compile(r"[^\s,;()\[\]{}\"<>|]+")
_EDGES = ".:!?'*_`~\u2018\u2019\u201c\u201d\u3002\uff0c\u3001\u300c\u300d"


def _read_literal(kind: str) -> Reader:
    patterns = {
        "url": r"(?i)\b(?:https?://|www\.)[^\s<>\"')\]]+|\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
        r"|\b[a-z][\w-]{0,62}(?:\.[a-z][\w-]{0,62}){0,3}\.(?:com|org|net|io|dev|gov|edu|uk|de|fr|eu)\b(?:/[^\s<>\"')\]]*)?",
        "version": r"(?i)(?<![\w.,])v?\d+(?:\.\d+){2,7}(?:[-+]?[a-z][\w.-]*|-\d[\w.-]*)?(?![\d])"
        r"|\bv\d+(?:\.\d+)?\b|(?<=version )\d+(?:\.\d+)+(?:[-+]?[a-z]\w*)?\b",
        "phone": r"(?<![\w.,/-])(?:\+ ?\d|\(0|0)[\d ()/-]{5,24}\d(?![\w/-])(?!\.\d)",
    }
    pattern = re.compile(patterns[kind])

    def read(match: re.Match[str]) -> Value | None:
        text = match[0].rstrip(".,;:!?'")
        if kind == "phone" and sum(map(str.isdigit, text)) < _FEWEST_DIGITS:
            return None
        return Value(kind=kind, text=text, start=match.start(), code=_squash(text, kind))

    return pattern, read


def _squash(text: str, kind: str) -> str:
    """Return a literal without what writers may leave out."""
    folded = text.casefold()
    if kind == "url":
        return re.sub(r"\A(?:https?://)?(?:www\.)?", "", folded).rstrip("/.#?")
    if kind == "version":
        return folded.removeprefix("v")
    if kind == "phone":
        return "".join(filter(str.isdigit, folded))
    return re.sub(r"[-_\u00b7'\s]", "", folded)


def _read_amount(match: re.Match[str]) -> Value | None:
    """Read a number with a unit or currency of `units`; None leaves it to the readers of `values`."""
    groups = match.groupdict()
    if sum(map(str.isdigit, match["number"])) > _DIGITS_AT_MOST:
        return None
    written = read_number(match["number"]) * (-1 if groups.get("minus") else 1)
    written *= _SIZES.get((groups.get("scale") or "").lower(), 1.0)
    unit: Unit | None
    if sign := groups.get("sign"):
        unit = SIGNS.get(sign) or SIGNS.get(sign.upper())
    else:
        gap = match.string[match.end("number") : match.start("unit")]
        unit = find_unit(match["unit"], attached=not gap)
    return measured(match[0], match.start(), written, unit) if unit else None


def _read_century(match: re.Match[str]) -> Value | None:
    word = match["ordinal"].lower()
    at = _ORDINALS.get(word) or int(re.sub(r"\D", "", word) or 0)
    if not 1 <= at <= 21:  # noqa: PLR2004 - centuries with a name
        return None
    first = (at - 1) * _HUNDRED
    years = (-first - _HUNDRED, -first) if match["bc"] else (first, first + _HUNDRED)
    return Value(kind="period", text=match[0], start=match.start(), number=years[0], last=years[1])


def _read_decade(match: re.Match[str]) -> Value:
    groups = match.groupdict()
    if word := groups.get("word"):
        year: int = 1_900 + _DECADES[word.lower()]
    else:
        year = int(match["year"]) if groups.get("year") else 1_900 + int(match["short"])
    span = 9 if year % _HUNDRED else _HUNDRED - 1  # `the 1900s` are a century
    return Value(kind="period", text=match[0], start=match.start(), number=year, last=year + span)


_MINUS = r"(?P<minus>(?:(?<=\s)|(?<=\A))-)?"
_UNITS_FIRST: tuple[Reader, ...] = (
    reader(
        _read_amount,
        rf"(?:(?<![\w.,])|(?<=\())(?P<minus>-)?(?P<sign>{_SIGN})\s?(?P<number>{_DIGITS})(?!\d)",
        rf"(?:\s?(?i:(?P<scale>{_SCALE}))\b)?",
    ),
    reader(
        _read_amount,
        rf"(?<![\w.,]){_MINUS}(?P<number>{NUMBER})(?:[\s-]?(?i:(?P<scale>{_SCALE}))(?=\s|-))?[\s-]?",
        rf"(?i:working\s|business\s|calendar\s|square (?=kilo|mile))?(?P<unit>{_UNIT}(?:/{_UNIT})?)(?![\w/])",
    ),
)
_PERIOD_READERS: tuple[Reader, ...] = (
    reader(
        _read_century,
        r"(?i)\b(?P<ordinal>\d{1,2}\s?(?:st|nd|rd|th)|",
        rf"{'|'.join(sorted(_ORDINALS, key=len, reverse=True))})"
        r"[\s-]+(?:century|centuries)\b(?P<bc>\s+B\.?C)?",
    ),
    reader(
        _read_decade,
        r"(?i)\b(?P<year>1\d\d0|20\d0)'?s\b|(?<=')(?P<short>\d0)s\b",
        rf"|\b(?P<word>{'|'.join(_DECADES)})\b",
    ),
)
_READERS: tuple[Reader, ...] = (
    _read_literal("url"),
    _read_literal("version"),
    *READERS[:6],  # dates and times of day
    *_PERIOD_READERS,
    _read_literal("phone"),
    *_UNITS_FIRST,
    *READERS[6:],
)


@lru_cache(maxsize=16_384)
def read_all(text: str) -> tuple[Value, ...]:
    """Return all values of a text in order, with their rates and margins, in time linear in its length."""
    folded = fold_typography(text)
    runs = [_as_literal(match[0], match.start()) for match in _LONG_RUN.finditer(folded)]
    rest = _LONG_RUN.sub(lambda match: " " * len(match[0]), folded) if runs else folded
    values = [
        replace(value, start=start + value.start) if start else value
        for start, piece in _cut(rest)
        for value in _read_piece(piece)
    ]
    return tuple(sorted([*values, *runs], key=lambda value: value.start))


def _cut(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text in pieces, cut at white space where there is any."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            gap = text.rfind(" ", start + _PIECE // 2, end)
            end = gap if gap > 0 else end
        yield start, text[start:end]
        start = end


def _read_piece(text: str) -> list[Value]:
    values = list(share_units(find_values(text, _READERS), text))
    values = [
        _as_literal(value.text, value.start) if _has_too_many_digits(value) else value for value in values
    ]
    values = sorted([*values, *_find_left_out(text, values)], key=lambda value: value.start)
    return [
        _describe(value, text, values[at + 1] if at + 1 < len(values) else None)
        for at, value in enumerate(values)
    ]


def _has_too_many_digits(value: Value) -> bool:
    return value.kind not in LITERALS and sum(map(str.isdigit, value.text)) > _DIGITS_AT_MOST


def _as_literal(text: str, start: int) -> Value:
    return Value(kind="literal", text=text[:_LONGEST_LITERAL], start=start, code=_squash(text, "literal"))


def _find_left_out(text: str, values: Sequence[Value]) -> Iterator[Value]:
    """Yield the tokens with a digit that no value has."""
    starts = [value.start for value in values]
    for token in _TOKEN.finditer(text):
        if not any(map(str.isdigit, token[0])):
            continue
        at = bisect_right(starts, token.end() - 1) - 1
        read = values[at].start + len(values[at].text) if at >= 0 else 0
        before = bisect_right(starts, token.start()) - 1
        begun = values[before].start + len(values[before].text) if before >= 0 else 0
        if any(map(str.isdigit, text[max(read, token.start()) : token.end()])) or (
            at != before and any(map(str.isdigit, text[max(begun, token.start()) : values[before + 1].start]))
        ):
            written = token[0].strip(_EDGES)
            if written:
                yield _as_literal(written, token.start() + token[0].index(written))


def _describe(value: Value, text: str, following: Value | None) -> Value:
    """Add the rate and the margin that the words around a value give it."""
    if value.kind in LITERALS or value.kind == "code":
        return value
    end = value.start + len(value.text)
    stop = following.start if following else end + 60
    margin = _find_margin(text, value.start, end)
    per = ""
    if (
        value.kind not in DATES
        and (match := _PER.match(text[end : min(stop, end + 60)]))
        and not _NO_NOUN.search(match["noun"])
    ):
        written = (match["of"] or match["adverb"]).lower()
        per = PERIODS.get(written, written)
    if not (margin or per):
        return value
    return replace(value, margin=margin, per=per)


def _find_margin(text: str, start: int, end: int) -> str:
    match = _MARGIN.search(text[max(start - _BEFORE, 0) : start]) or _MARGIN_BEHIND.match(
        text[end : end + _BEFORE]
    )
    if match is None:
        return ""
    groups = match.groupdict()
    return "~" if groups.get("about") else "<" if groups.get("below") else ">"


def supports(source: Value, claim: Value) -> bool:
    """Return whether a value of a source says the same as a claim's, or is one that the claim has rounded."""
    if {source.margin, claim.margin} == {"<", ">"} or (source.per and claim.per and source.per != claim.per):
        return False
    if source.kind in LITERALS or claim.kind in LITERALS:
        return _is_same_literal(source, claim)
    if claim.kind == "period" or source.kind == "period":
        return _is_in_period(source, claim)
    if {source.kind, claim.kind} == {"clock", "number"}:
        return _is_hour(*sorted((source, claim), key=lambda value: value.kind))
    return (
        agree(claim, source)
        or _is_converted(source, claim)
        or (claim.kind in {source.kind, "number"} and _is_rounded(source, claim))
    )


def contradicts(source: Value, claim: Value) -> bool:
    """Return whether a source has another value of the same quantity: of one unit or rate, or a version."""
    if supports(source, claim):
        return False
    if claim.kind in LITERALS:
        return claim.kind == source.kind != "literal"
    if claim.kind == "period":
        return source.kind == "period"
    return compete(claim, source) or (claim.kind == source.kind and claim.kind not in {"number", "code"})


def _is_same_literal(source: Value, claim: Value) -> bool:
    if claim.kind == "number" and source.kind == "literal":  # RTX 4090 of an rtx4090
        return f"{claim.number:.0f}" in re.findall(r"\d+", source.text)
    one, other = (value.code or _squash(value.text, "literal") for value in (source, claim))
    if one == other:
        return True
    if "phone" in {source.kind, claim.kind}:
        digits = ["".join(filter(str.isdigit, code)) for code in (one, other)]
        short = min(digits, key=len)
        return len(short) >= _FEWEST_DIGITS and all(code.endswith(short.lstrip("0")) for code in digits)
    if source.kind == "version":  # 3.11 is said of 3.11.2
        return one.startswith(f"{other}.")
    return source.kind == "url" and one.startswith((f"{other}/", f"{other}?", f"{other}#"))


def _is_hour(clock: Value, number: Value) -> bool:
    """Return whether a number is the hour of a time: 9 of 9 am, 5 or 17 of 5 pm."""
    hour, minutes = divmod(clock.number, 60)
    return not minutes and number.number in {hour, (hour - 1) % 12 + 1}


def _is_converted(source: Value, claim: Value) -> bool:
    """Return whether values of unlike units are the same, rounded: 10 km and 6.2 miles."""
    if source.kind != claim.kind or claim.kind in DATES or not (source.written and claim.written):
        return False
    scales = [value.number / value.written for value in (source, claim)]
    is_unlike = abs(scales[0] - scales[1]) > _SAME_UNIT * max(map(abs, scales))
    return is_unlike and abs(source.number - claim.number) <= _CONVERTED * abs(source.number)


def _is_in_period(source: Value, claim: Value) -> bool:
    if claim.kind != "period":  # a source with a century says no year
        return False
    if source.kind == "period":
        return source.number >= claim.number and source.last <= claim.last
    year = source.year if source.kind == "date" else source.number if source.kind == "number" else None
    return year is not None and claim.number <= year <= claim.last


def _is_rounded(source: Value, claim: Value) -> bool:
    """Return whether the claim calls the source's number `over`, `about` …, or has fewer figures of it."""
    true = source.number if claim.kind == source.kind else source.written
    said = claim.number
    if true <= 0 or said <= 0 or claim.kind in DATES:
        return False
    if claim.margin == "~":
        return abs(true - said) <= _ROUNDED * true
    if source.margin == claim.margin != "":  # up to 20 is not up to 12
        return False
    if claim.margin:
        least, most = (said, said * _BEYOND) if claim.margin == ">" else (said / _BEYOND, said)
        return least <= true <= most
    is_year = claim.kind == "number" and _FIRST_YEAR <= said <= _LAST_YEAR
    return not is_year and _has_fewer_figures(true, said)


def _has_fewer_figures(true: float, said: float) -> bool:
    """Return whether one number is the other, rounded to two or more figures: 5.7 million of 5,731,220."""
    figures = f"{said:.9e}".partition("e")[0].rstrip("0").replace(".", "")
    if not 2 <= len(figures) <= 6:  # noqa: PLR2004 - one figure is hardly a number that was rounded
        return False
    return said >= _HUNDRED and f"{true:.{len(figures) - 1}e}" == f"{said:.{len(figures) - 1}e}"

"""Numbers with separators of any country written alike, and apart from what they count."""

from __future__ import annotations

import regex

from pytest_llmops.text.characters import NUMBER_MARKS, UNSPACED, fold_script

# Units that stand right behind a number; others, such as `60days`, are told from a code by nothing.
_UNITS = (
    r"(?:[kmc\u00b5\u03bcnd]?[gml]|mcg|[kmgt]i?b|[kmg]?hz|[kmg]?wh?|[kmg]?bit/s|m?ah|[m\u00b5\u03bcn]s|mins?|h|hrs?|"
    r"secs?|km/h|mph|[kmc]?m[23]|lbs?|oz|ft|inch|in|px|dpi|kcal|kj|°?[cf]|fps|rpm|psi|bar|eur|usd|gbp|jpy|chf|pln|inr|"
    r"rub|tl|zł|kč|kr)"
)
_OTHER_LETTER = rf"[{UNSPACED}\p{{Hangul}}]"
_START = rf"(?<![[\w.,']--{_OTHER_LETTER}])"  # of a number: letters without spaces may be before it
_NO_BREAK_GROUPS = regex.compile(r"(?<![\d.,])\d{1,3}(?:[\u00a0\u2007\u2009\u202f]\d{3})+(?!\d)")
# Of groups between plain spaces, only these cannot be two numbers: `1 000`, `1 250 000`, `12 500 €`.
_CURRENCY = (
    r"(?i: ?(?:[€£$¥₩₹₽₺₫₪]|eur|usd|gbp|chf|pln|rub|kč|zł|\u0440\u0443\u0431|"
    r"(?:euro|dollar|pound|franc|peso)s?\b))"
)
_GROUPS = rf"(?: \d{{3}}){{2,}}| 000| \d{{3}}(?=(?:[.,]\d+)?{_CURRENCY})"
_SPACED_GROUPS = regex.compile(
    rf"{_START}(?<!-)[1-9]\d{{0,2}}(?:{_GROUPS})(?!\d)(?! \d{{3}}(?!\d))", regex.VERSION1
)
_ANY_GROUPS = regex.compile(rf"{_START}(?<!-)[1-9]\d{{0,2}}(?: \d{{3}})+(?!\d)", regex.VERSION1)
_WRITTEN = regex.compile(rf"{_START}\d+(?:[.,']\d+)+(?![.,']?\d)", regex.VERSION1)
_GROUPED = regex.compile(
    r"(?P<whole>[1-9]\d{0,2}(?:(?P<mark>[.,'])\d{3})(?:(?P=mark)\d{3})*|[1-9]\d?(?:,\d{2})+,\d{3})"
    r"(?:(?!(?P=mark))[.,](?P<decimals>\d+))?"
)
_DECIMAL_COMMA = regex.compile(r"(\d+),(\d+)")
_BEFORE_UNIT = regex.compile(rf"(?i){_START}(\d+(?:\.\d+)?)(?={_UNITS}(?![\w']))", regex.VERSION1)
_BEFORE_SIGN = regex.compile(r"(?<=\d) (?=[%‰°€£$¥₩₹฿₽₺₫₪])|(?<=[€£$¥₩₹฿₽₺₫₪]) (?=\d)")
_FOREIGN = regex.compile(r"'|\..*\.|\.\d+,|\d,\d\d,")
_BESIDE_LETTER = regex.compile(
    rf"(?<=\d)(?={_OTHER_LETTER})|(?<={_OTHER_LETTER})(?=\d)|(?<=\d)(?=[[\p{{L}}\p{{M}}]--\p{{Latin}}])",
    regex.VERSION1,
)
_APOSTROPHE = regex.compile(r"(?<=\d)[\u2018\u2019\u02bc](?=\d{3}(?!\d))")


def normalize(text: str) -> str:
    """Fold a text without markup and unify its numbers, so that it can be compared with another one."""
    return unify_numbers(fold_script(join_no_break_groups(text)))


def join_no_break_groups(text: str) -> str:
    """Write `1 000`, whose space breaks no line, as `1000`; before folding, which makes it a plain space."""
    if text.isascii():
        return text
    return _NO_BREAK_GROUPS.sub(lambda match: "".join(match[0].split()), text.translate(NUMBER_MARKS))


def join_all_groups(text: str) -> str:
    """Write `12 500` as `12500`, in a text that is too short to have two numbers in a row."""
    return _ANY_GROUPS.sub(lambda match: match[0].replace(" ", ""), text)


def unify_numbers(text: str) -> str:
    """
    Write `1,000`, `1.000`, `1'000`, `1 000` and `1,00,000.5` without groups and with a decimal point, `500mg`
    as `500 mg` and `60 %` as `60%`.

    One group of three digits is taken for thousands, so that `1.000` is 1000; both sides of a comparison are.
    """
    if not regex.search(r"\d", text):
        return text
    joined = _SPACED_GROUPS.sub(lambda match: match[0].replace(" ", ""), text)
    joined = _WRITTEN.sub(lambda match: _read(match[0]), joined)
    return _BEFORE_SIGN.sub("", _BEFORE_UNIT.sub(r"\1 ", joined))


def write_in_english(text: str) -> str:
    """
    Write numbers as English does, with a space between them and letters of other scripts and units.

    English numbers stay as they are: `1,000`, `3.5`. So do `3,5` and `1.000`, which may be either.
    """
    if not regex.search(r"\d", text):
        return text
    spaced = _SPACED_GROUPS.sub(lambda match: match[0].replace(" ", ""), join_no_break_groups(text))
    spaced = _APOSTROPHE.sub("'", spaced)
    read = _WRITTEN.sub(lambda match: _read(match[0]) if _FOREIGN.search(match[0]) else match[0], spaced)
    return _BESIDE_LETTER.sub(" ", _BEFORE_UNIT.sub(r"\1 ", read))


def _read(written: str) -> str:
    if match := _GROUPED.fullmatch(written):
        whole = regex.sub(r"\D", "", match["whole"])
        return f"{whole}.{match['decimals']}" if match["decimals"] else whole
    return _DECIMAL_COMMA.sub(r"\1.\2", written) if _DECIMAL_COMMA.fullmatch(written) else written

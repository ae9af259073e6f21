"""
Texts as a reader would take them: decoded, joined and spelt in digits, with each part's place in the source.

Every step is one pass of a pattern whose repeats are bounded, so hostile text costs time in proportion to its
length.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise
from urllib.parse import unquote_to_bytes

from pytest_llmops.detect.labels import label_of
from pytest_llmops.text.characters import read_character
from pytest_llmops.text.markup import ENTITY
from pytest_llmops.text.reading import Reading

_ROUNDS = 4  # of encodings inside encodings
_FEWEST_SPACED = 9  # digits one by one that are no list
_FEWEST_NAMED = 3  # distinct names of digits in a number that is spelt
_FEWEST_DISTINCT = 4  # digits of a number that is not counted through


def read_disguised(source: str | Reading) -> Iterator[Reading]:
    """Yield the text decoded, paired and folded, then with spaced and spelt values joined; if changed."""
    plain = decoded = source if isinstance(source, Reading) else Reading(source)
    for _ in range(_ROUNDS):
        before = decoded
        for mark, pattern, read in _ENCODINGS:
            if mark in decoded.text:
                decoded = decoded.rewrite(pattern, read)
        if decoded is before:
            break
    if not decoded.text.isascii():
        decoded = decoded.rewrite(_FOREIGN, _fold).rewrite(_MIXED, _unmix)
    lower = decoded.text.lower()
    if "dot" in lower or any(bracket in lower for bracket in "[({<"):
        decoded = decoded.rewrite(_AT_DOT, _write_address)
    if decoded is not plain:
        yield decoded
    joined = decoded.rewrite(_SPACED, _join_spaced)
    if sum(name in lower for name in _DIGITS) >= _FEWEST_NAMED:
        joined = joined.rewrite(_SPELT, _join_spelt)
    if joined is not decoded:
        yield joined


def _read_bytes(raw: bytes) -> str | None:
    """Return readable text, or None for anything else."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if text and all(char.isprintable() or char in "\r\n\t" for char in text) else None


def _read_escape(match: re.Match[str]) -> str | None:
    if match["code"] is None:
        return {"n": "\n", "r": "\r", "t": "\t"}.get(match["char"], match["char"])
    number = int(match["code"][1:], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else None  # noqa: PLR2004


def _read_base64(match: re.Match[str]) -> str | None:
    digits = "".join(match[0].split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return _read_bytes(base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True))
    except binascii.Error:
        return None


_SIGN = r"[\"']?\s{0,3}[:=]\s{0,3}"
_PAIRED = re.compile(
    rf"(?i)(?<![\w.-])[\"']?(?:\w{{0,20}}(?:name|key)|field|label){_SIGN}"
    r"(?:[\"'](?P<quoted>[^\"'\n{}\[\]<>]{1,60})[\"']|(?P<bare>[\w.-]{1,60}))"
    rf"(?:\s{{0,3}},?\s{{0,20}}[\"']?\w{{1,20}}{_SIGN}[\"'][^\"'\n]{{0,40}}[\"']){{0,2}}?"
    rf"\s{{0,3}}[,;]?\s{{0,20}}[\"']?\w{{0,20}}value{_SIGN}(?:\{{\s{{0,3}}[\"']?\w{{0,12}}value{_SIGN})?"
)
"""Up to the value in `{'name': 'ssn', 'value': '…'}` and `<input name="ssn" type="text" value="…">`."""

_Step = tuple[str, re.Pattern[str], Callable[[re.Match[str]], str | None]]
_ENCODINGS: tuple[_Step, ...] = (
    (
        "\\",
        re.compile(r"\\(?:(?P<code>u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8})|(?P<char>[nrt\"'/\\]))"),
        _read_escape,
    ),
    ("%", re.compile(r"(?:%[0-9a-fA-F]{2}){1,64}"), lambda match: _read_bytes(unquote_to_bytes(match[0]))),
    ("\x1b", re.compile(r"\x1b\[[0-9;?]{0,20}[A-Za-z]"), lambda _: ""),  # colours of a terminal
    ("&", ENTITY, lambda match: html.unescape(match[0])),
    ("\n", re.compile(r"(?:(?<![\w+/=-])[A-Za-z0-9+/]{60,}\r?\n)+[A-Za-z0-9+/]+={0,2}"), _read_base64),
    ("", re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{12,}={0,2}"), _read_base64),
    (
        "",
        re.compile(r"(?<![0-9A-Za-z])(?<!\d\.)(?:[0-9a-fA-F]{2}){6,}(?![0-9A-Za-z])"),
        lambda match: _read_bytes(bytes.fromhex(match[0])),
    ),
    ("alue", _PAIRED, lambda match: label_of(match["quoted"] or match["bare"])),  # and `Value`
)  # fmt: skip

_FOREIGN = re.compile(r"[^\x00-\x7f]")
_MIXED = re.compile(r"[\w.@+-]{0,64}[\u0370-\u03ff\u0400-\u04ff][\w.@+-]{0,64}")
LOOK_ALIKES = str.maketrans(
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423"
    "\u0430\u0435\u0455\u0456\u0458\u043e\u0440\u0441\u0443\u0445\u0501\u04bb\u051b\u051d\u0391"
    "\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03b1\u03bf"
    "\u03bd\u03c1\u03c5\u03b9",  # Cyrillic, then Greek
    "ABESIJKMHOPCTXYaesijopcyxdhqwABEZHIKMNOPTYXaovpui",
)
"""Letters of Cyrillic, then Greek, as the Latin ones that they look like."""


def _fold(match: re.Match[str]) -> str:
    """
    Read a character as it looks, and nothing for a mark that may hide in a number or an address.

    Vowel signs of Indian scripts and Thai are such marks, so words are folded otherwise.
    """
    char = match[0]
    hidden = unicodedata.category(char) in {"Cf", "Mn"} and not unicodedata.combining(char)
    return "" if hidden else read_character(char)


def _unmix(match: re.Match[str]) -> str | None:
    """Read look-alikes as Latin letters in a word that has Latin letters too."""
    return match[0].translate(LOOK_ALIKES) if re.search("[A-Za-z@0-9]", match[0]) else None


_AT = r"\s{0,2}(?:[\[({<]\s?at\s?[\])}>]|\sat\s|@)\s{0,2}"
_DOT = r"(?:\s{0,2}[\[({<]\s?(?:dot|\.)\s?[\])}>]\s{0,2}|\sdot\s)"
_AT_DOT = re.compile(
    rf"(?<![\w.+%-])[\w+%-][\w.+%-]{{0,63}}(?i:{_AT})[\w-]{{1,63}}(?:(?i:{_DOT}|\.)[\w-]{{1,63}}){{1,6}}"
)


def _write_address(match: re.Match[str]) -> str | None:
    """Write `name at host dot org` as an address; a plain `at` counts only if a dot is written out too."""
    if not re.search(rf"(?i)[\[({{<]\s?at\s?[\])}}>]|{_DOT}", match[0]):
        return None
    joined = re.sub(rf"(?i){_DOT}", ".", match[0])
    return re.sub(rf"(?i){_AT}", "@", joined, count=1)


_SPACED = re.compile(
    r"(?<!\w)[A-Za-z0-9@+(](?P<apart>[ ._\-/|*~,])(?:[A-Za-z0-9@.+_)(-](?P=apart)){4,200}[A-Za-z0-9](?!\w)"
)


def _join_spaced(match: re.Match[str]) -> str | None:
    joined = match[0][::2]
    digits = re.sub(r"\D", "", joined)
    value = "@" in joined or (len(digits) >= _FEWEST_SPACED and not _is_counting(digits))
    return joined if value else None


def _is_counting(digits: str) -> bool:
    """Recognise a sequence or a table, which is no number."""
    steps = {int(after) - int(before) for before, after in pairwise(digits)}
    return len(set(digits)) < _FEWEST_DISTINCT or len(steps) <= 2  # noqa: PLR2004 - one step, and a carry


_NAMED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {name: str(digit) for digit, name in enumerate(_NAMED)} | {"oh": "0", "plus": "+"}
_WORD = rf"(?:(?:double|triple)[ -]{{1,2}})?(?:{'|'.join(_DIGITS)})"
_SPELT = re.compile(rf"(?i)\b{_WORD}(?:[ ,.;-]{{1,3}}{_WORD}){{6,40}}\b")


def _join_spelt(match: re.Match[str]) -> str | None:
    times, joined = 1, ""
    for word in re.findall("[a-z]+", match[0].lower()):
        if word in _DIGITS:
            joined += _DIGITS[word] * times
            times = 1
        else:
            times = 2 if word == "double" else 3
    return None if _is_counting(joined.lstrip("+")) else joined

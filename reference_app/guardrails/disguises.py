"""Texts as a model understands them: what hides a sentence from a pattern is undone."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH = 2  # a base64 text inside a base64 text is read, a third layer is not
MIN_READABLE = 0.9  # of the characters; less is binary data such as a picture

_SPACES = re.compile(r"\s{2,}")  # long runs say nothing and make patterns slow
_MARKS = re.compile("[\u0300-\u036f]+")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_URL_SAFE = str.maketrans("-_", "+/")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){12,}")
_LETTERS = re.compile(r"(?<![^\W_])(?:[^\W_][ .*|_~-]){2,}[^\W_](?![^\W_])")
_JOINTS = re.compile(r"(?<=[^\W_])[_*~|+.-]+(?=[^\W_])")
_LEET_WORD = re.compile(r"(?=[0-9@$!]*[a-zA-Z])[a-zA-Z0-9@$!]*[0-9@$!][a-zA-Z0-9@$!]*")
_LEET = str.maketrans("03457@$!89", "oeastasibg")


@cache
def _lookalikes() -> dict[int, str]:
    import yaml

    likes = yaml.safe_load(Path(__file__).with_name("lookalikes.yaml").read_text(encoding="utf-8"))
    return {ord(like): letter for letter, row in likes.items() for like in row}


def clean(text: str) -> str:
    """The text in its plain letters: no invisible and no control characters, no full-width or styled ones."""
    return "".join(
        character
        for character in unicodedata.normalize("NFKC", text)
        if character in "\n\t" or not is_invisible(character)
    )


def is_invisible(character: str) -> bool:
    """Whether it shows nothing: control, format (zero width, bidi, tags), surrogate, variation selector."""
    return (
        unicodedata.category(character) in ("Cc", "Cf", "Cs")
        or "\ufe00" <= character <= "\ufe0f"
        or character in "\u115f\u1160\u3164\u034f"
    )


def readings(text: str) -> list[str]:
    r"""
    The text in every way a model may understand it, each once, the plain one first.

    Accents and look-alike letters are undone; base64, hexadecimal, percent, HTML and `\\u` encodings, letters
    set apart and digits in place of letters each give a reading of their own, which may hold the decoded
    piece alone.
    """
    return list(dict.fromkeys(_read(text, DEPTH)))


def _read(text: str, depth: int) -> Iterator[str]:
    plain = _SPACES.sub(lambda run: "\n" if "\n" in run[0] else "  ", clean(text))
    latin = _MARKS.sub("", unicodedata.normalize("NFD", plain.replace("\u2019", "'")))
    latin = unicodedata.normalize("NFC", latin)
    yield latin
    latin = latin.translate(_lookalikes())
    yield latin
    if _LETTERS.search(latin):
        yield re.sub(r"[^\w\s]|_", "", _LETTERS.sub(lambda letters: letters[0][::2], latin))
    if _JOINTS.search(latin):
        yield _JOINTS.sub(" ", latin)
    if any(character in latin for character in "0134578@$!9"):
        for one in "il":  # `1gn0r3` as `ignore`
            leet = {**_LEET, ord("1"): one}
            yield _LEET_WORD.sub(lambda word, leet=leet: word[0].translate(leet), latin)  # type: ignore[misc]
    if depth:
        for decoded in _decode(plain):
            yield from _read(decoded, depth - 1)


def _decode(text: str) -> Iterator[str]:
    if _PERCENT.search(text) or "+" in text:
        yield unquote(text.replace("+", " "))
    if _ENTITY.search(text):
        yield html.unescape(text)
    if _ESCAPE.search(text):
        yield _ESCAPE.sub(lambda code: chr(int(code[1] or code[2], 16)), text)
    for piece in _BASE64.finditer(text):
        digits = piece[0].rstrip("=").translate(_URL_SAFE)
        with suppress(binascii.Error):
            yield from _as_readable(base64.b64decode(digits + "=" * (-len(digits) % 4)))
    for piece in _HEX.finditer(text):
        yield from _as_readable(bytes.fromhex(piece[0]))


def _as_readable(data: bytes) -> Iterator[str]:
    with suppress(UnicodeDecodeError):
        text = data.decode()
        if sum(one.isprintable() or one.isspace() for one in text) >= MIN_READABLE * len(text):
            yield text

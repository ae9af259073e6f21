"""
The ways in which a model may read a text: as written, decoded, with letters for digits, or reversed.

Every view knows the place of its parts in the text. Each step takes time in proportion to the text's length.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from pytest_llmops.detect.disguises import LOOK_ALIKES, read_disguised
from pytest_llmops.text.reading import Reading


class View(NamedTuple):
    """A reading of a text and its name: `plain`, `decoded`, `leet`, `spaced`, `rot13` or `reversed`."""

    name: str
    reading: Reading


def read_views(text: str) -> Iterator[View]:
    """Yield the text as written, then each other reading that changes something."""
    plain = Reading(text)
    yield View("plain", plain)
    hidden = plain.rewrite(_TAGS, _read_tags) if max(text, default="") >= "\U000e0001" else plain
    parted = hidden.rewrite(_ASSIGNED, lambda _match: "= ")
    decoded = next(read_disguised(parted), hidden).rewrite(_ALPHABETS, _as_latin)
    if decoded is not plain:
        yield View("decoded", decoded)
    letters = _read_leet(decoded)
    if letters is not decoded:
        yield View("leet", letters)
    joined = letters.rewrite(_SPACED, _join)
    if joined is not letters:
        yield View("spaced", joined)
    if _ROT13.search(decoded.text):
        yield View("rot13", decoded.rewrite(_LINE, lambda match: codecs.encode(match[0], "rot13")))
    if _REVERSED.search(decoded.text):
        yield View("reversed", decoded.rewrite(_LINE, lambda match: match[0][::-1]))


_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")  # ASCII that no font shows; a flag has fewer or no words


def _read_tags(match: re.Match[str]) -> str:
    return "".join(chr(ord(char) - 0xE0000) for char in match[0])


_ASSIGNED = re.compile(r"=(?=[A-Za-z0-9+/_-]{16,}+={0,2}(?![\w=]))")  # `payload=` before base64
_ALPHABETS = re.compile(r"(?<![^\W\d_])[\u0391-\u03c9\u0400-\u052f]{1,16}(?![^\W\d_])")


def _as_latin(match: re.Match[str]) -> str | None:
    """Read a word of look-alikes in a line that is Latin otherwise: `\u0430` as `a`."""
    latin = match[0].translate(LOOK_ALIKES)
    line = match.string[max(0, match.start() - 40) : match.end() + 40]
    return latin if latin.isascii() and len(re.findall("[A-Za-z]", line)) > len(line) // 3 else None


_TOKEN = re.compile(r"\S+")
_LEET = re.compile(  # no brackets, dots or bars inside, as code has them
    r"(?=[^\s]{0,24}[A-Za-z])(?=[^\s]{0,24}[0-9@$|])[\"'(\[#*-]{0,2}[A-Za-z0-9@$!|'-]{2,24}[\"'.,:;?!)\]*-]{0,3}"
)
_MEASURE = re.compile(r"\W*(?:v?[0-9][0-9.,:x-]*[A-Za-z]{0,3}|[A-Za-z]{1,4}-?[0-9.-]+|[0-9a-f]{6,}|#\w+)\W*")
_LETTERS = str.maketrans("013456789@$|", "oieasgtbgasl")
_NEAR = 5  # tokens on either side
_FEWEST = 3  # words in digits near each other


def _read_leet(reading: Reading) -> Reading:
    """Read `1gn0r3 4ll` as `ignore all`, where several such words are near each other."""
    tokens = list(_TOKEN.finditer(reading.text))
    marked = [bool(_LEET.fullmatch(token[0]) and not _MEASURE.fullmatch(token[0])) for token in tokens]
    if sum(marked) < _FEWEST:
        return reading
    sums = [0, *accumulate(marked)]
    chosen = {
        token.start()
        for at, token in enumerate(tokens)
        if sums[min(len(tokens), at + _NEAR + 1)] - sums[max(0, at - _NEAR)] >= _FEWEST
    }
    return reading.rewrite(
        _TOKEN, lambda match: match[0].translate(_LETTERS) if match.start() in chosen else None
    )


_SPACED = re.compile(
    r"(?<![^\W_])[A-Za-z](?:(?P<apart>[ .\-_*|/])[A-Za-z])(?:(?P=apart){1,3}[A-Za-z](?![A-Za-z])){3,200}"
)


def _join(match: re.Match[str]) -> str:
    """Read `i g n o r e  a l l` as `ignore all`: one mark between letters goes, more of them part words."""
    apart = re.escape(match["apart"])
    joined = re.sub(rf"(?<=[A-Za-z]){apart}(?=[A-Za-z])", "", match[0])
    return re.sub(rf"{apart}{{2,3}}", " ", joined)


_LINE = re.compile(r"[^\n]+")
_STEMS = (
    "ignore", "instruction", "previous", "prompt", "system", "disregard", "reveal", "forget", "override",
)  # fmt: skip
_ROT13 = re.compile("|".join(codecs.encode(stem, "rot13") for stem in _STEMS), re.IGNORECASE)
_REVERSED = re.compile("|".join(stem[::-1] for stem in _STEMS), re.IGNORECASE)

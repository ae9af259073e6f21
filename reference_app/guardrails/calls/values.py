"""Whether a text has a value in some usual spelling, and whether as a field or in a sentence."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

from reference_app.guardrails.disguises import clean

MIN_PACKED = 5  # characters of a value that is also looked for without its separators
MAX_FIELD_WORDS = 3  # of a name before a value; more are a sentence
HALF_A_CENT = 0.005

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_ID = re.compile(r"[a-z]{1,3}-(\d{5,})")
_SEPARATORS = re.compile(r"[\s\-().,_/]+")
_NUMBER = re.compile(r"\d[\d.,' ]*\d|\d")
_WRAPPED = re.compile(r"\n\s+(?=\S)(?![\w ]{1,40}:(?:\s|$)|- )")  # a line of a text that YAML broke
_PIECES = re.compile(r"[\[\]{}\"',;:|]|\s{2,}")


@cache
def list_words(name: str) -> frozenset[str]:
    """One of the lists of `words.yaml`."""
    import yaml

    lists = yaml.safe_load((Path(__file__).parents[1] / "words.yaml").read_text(encoding="utf-8"))
    return frozenset(str(lists[name]).split())


@lru_cache(maxsize=512)
def fold(text: str) -> str:
    """The text as it is compared: plain letters, no case, single spaces."""
    return " ".join(clean(text).casefold().split())


def split_name(name: str) -> list[str]:
    """The words of `send_email`, `sendEmail` or `SendEmail`."""
    return [word.casefold() for part in _CAMEL.split(name) for word in _WORD.findall(part.replace("_", " "))]


def is_named(value: str | float, text: str) -> bool:
    """Whether the text has the value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return any(abs(number - abs(value)) < HALF_A_CENT for number in _find_numbers(text))
    wanted, whole = fold(str(value)), fold(text)
    if not wanted:
        return True
    if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", whole):
        return True
    if (digits := _ID.fullmatch(wanted)) and re.search(rf"(?<!\d){digits[1]}(?!\d)", whole):
        return True  # an order number without the letters that all of them begin with
    bare = re.sub(r"^(?:https?://)?(?:www\.)?", "", wanted).rstrip("/")
    if bare and bare != wanted and re.search(rf"(?<![\w.@-]){re.escape(bare)}(?![\w@-])", whole):
        return True
    packed = _SEPARATORS.sub("", wanted)
    return len(packed) >= MIN_PACKED and packed.isascii() and packed in _SEPARATORS.sub("", whole)


def is_field(value: str | float, text: str) -> bool:
    """Whether the text has the value as a field of a record, not only in the middle of a sentence."""
    most = max(MAX_FIELD_WORDS, len(str(value).split()))
    return any(
        is_named(value, line) and all(len(piece.split()) <= most for piece in _PIECES.split(line))
        for line in list_lines(text)
    )


@lru_cache(maxsize=256)
def list_lines(text: str) -> tuple[str, ...]:
    """The lines of a text, those that YAML broke made whole."""
    return tuple(line for line in _WRAPPED.sub(" ", text).splitlines() if line.strip())


@lru_cache(maxsize=512)
def _find_numbers(text: str) -> tuple[float, ...]:
    """The numbers of a text, each as either of `1,234.5` and `1.234,5` may be meant."""
    found: list[float] = []
    for match in _NUMBER.finditer(text):
        digits = re.sub(r"[ ']", "", match[0])
        for thousands, decimal in ((",", "."), (".", ",")):
            try:
                found.append(float(digits.replace(thousands, "").replace(decimal, ".")))
            except ValueError:
                continue
    return tuple(found)

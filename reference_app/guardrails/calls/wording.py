"""Words, and where the values of a call come from: the user's task or only a text that was read."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from reference_app.guardrails.disguises import clean

STEM = 5  # letters; enough to tell "reschedule" from "research", and to join "refund" and "refunds"
MIN_PACKED = 6  # characters of a value that is also looked for without its separators

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_SEPARATORS = re.compile(r"[\s\-().,_/]+")
_NUMBER = re.compile(r"\d[\d.,' ]*\d|\d")


@cache
def load_words() -> dict[str, Any]:
    """The word lists of `words.yaml`, as they are written there."""
    import yaml

    words: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
    return words


@cache
def list_words(name: str) -> frozenset[str]:
    """One of the sets of `words.yaml`."""
    return frozenset(load_words()[name].split())


@lru_cache(maxsize=256)
def fold(text: str) -> str:
    """The text as it is compared: plain letters, no case, single spaces."""
    return " ".join(clean(text).casefold().split())


def split_name(name: str) -> list[str]:
    """The words of `send_email`, `sendEmail` or `SendEmail`."""
    return [word.casefold() for part in _CAMEL.split(name) for word in _WORD.findall(part.replace("_", " "))]


def find_words(text: str) -> set[str]:
    """Stems of the words that say something."""
    return {
        stem(word)
        for word in _WORD.findall(fold(text))
        if word not in list_words("stop_words") and len(word) > 1
    }


def stem(word: str) -> str:
    """`events`, `event` and `eventful` alike; short words only lose their plural."""
    for ending in ("ies", "es", "s", "ing", "ed", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004 - letters that tell words apart
            word = word.removesuffix(ending)
            break
    return word[:STEM]


def is_named(value: str | float, text: str) -> bool:
    """Whether the text contains the value, in its own or a usual other spelling."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return any(abs(number - value) < 0.005 for number in find_numbers(text))  # noqa: PLR2004 - half a cent
    wanted, whole = fold(str(value)), fold(text)
    if not wanted:
        return True
    if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", whole):
        return True
    bare = re.sub(r"^(?:https?://)?(?:www\.)?", "", wanted).rstrip("/")
    if bare and bare != wanted and re.search(rf"(?<![\w.@-]){re.escape(bare)}(?![\w@-])", whole):
        return True
    packed = _SEPARATORS.sub("", wanted)
    return len(packed) >= MIN_PACKED and packed.isascii() and packed in _SEPARATORS.sub("", whole)


def find_numbers(text: str) -> list[float]:
    """The numbers of a text, each as either of `1,234.5` and `1.234,5` may be meant."""
    found: list[float] = []
    for one in _NUMBER.finditer(text):
        digits = re.sub(r"[ ']", "", one[0])
        for thousands, decimal in ((",", "."), (".", ",")):
            try:
                found.append(float(digits.replace(thousands, "").replace(decimal, ".")))
            except ValueError:
                continue
    return found

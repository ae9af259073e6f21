"""The script that a text is mostly written in."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import regex

_READ_AT_MOST = 4_000  # characters
_NAMES = (
    "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Bengali", "Gurmukhi", "Gujarati",
    "Oriya", "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar",
    "Khmer", "Georgian", "Armenian", "Ethiopic", "Mongolian", "Han", "Hiragana", "Katakana", "Hangul",
)  # fmt: skip
_LETTERS_IN = {"Han": 3, "Hiragana": 2, "Katakana": 2, "Hangul": 3}  # a character says as much as so many
_LETTER = regex.compile(r"\p{L}")
_SCRIPT = regex.compile("|".join(rf"(?P<{name}>\p{{Script={name}}})" for name in _NAMES))
_JAPANESE = ("Hiragana", "Katakana", "Han")


@lru_cache(maxsize=4096)
def find_script(text: str) -> str:
    """Return the Unicode name of most letters' script, `Japanese` if kana are among them; empty for none."""
    letters = _LETTER.findall(text[:_READ_AT_MOST])
    counts: Counter[str] = Counter()
    for letter in letters:
        script = _script_of(letter)
        counts[script] += _LETTERS_IN.get(script, 1)
    if counts["Hiragana"] + counts["Katakana"]:
        counts["Japanese"] = sum(counts.pop(name, 0) for name in _JAPANESE)
    return max(counts, key=counts.__getitem__, default="")


@lru_cache(maxsize=16_384)
def _script_of(letter: str) -> str:
    match = _SCRIPT.match(letter)
    return str(match.lastgroup) if match else "another script"

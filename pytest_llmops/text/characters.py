"""Characters as they look: widths, dashes, quotes, digits of any script; and scripts without spaces."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

UNSPACED = (
    r"[[\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\p{Tai_Tham}\p{New_Tai_Lue}\p{Tai_Le}]--\p{Nd}]"
)
"""Scripts without spaces between words, as a class of the package regex (VERSION1); without their digits."""

_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d")
NUMBER_MARKS: dict[int, str] = {0x066A: "%", 0x066B: ".", 0x066C: ","}
"""The percent sign and the separators of Arabic numbers, for `str.translate`."""

# Typesetting that models vary at will and that NFKC leaves alone.
_MARKS: dict[int, str] = {
    **NUMBER_MARKS,
    **dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u2032"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201f\u2033"), '"'),
    **dict.fromkeys(map(ord, "\u2044\u2215"), "/"),
}
_FOREIGN = regex.compile(r"[^\x00-\x7f]")
_INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
# Signs that writers may leave out: vowels of Arabic and Hebrew, the stroke that draws an Arabic word out, the
# dot under Hindi letters, the dot that a Turkish capital leaves behind.
_OPTIONAL = regex.compile(
    r"[\u0640\u064b-\u0655\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u093c]|(?<=i)\u0307"
)
# Letters with such a sign: hamza, letters of Persian, the dots of Russian, Greek stress, which capitals lack.
_SIGNLESS = str.maketrans(
    "\u0623\u0625\u0622\u0671\u06cc\u0649\u06a9\u0451\u03ac\u03ad\u03ae\u03af\u03cc\u03cd\u03ce",
    "\u0627\u0627\u0627\u0627\u064a\u064a\u0643\u0435\u03b1\u03b5\u03b7\u03b9\u03bf\u03c5\u03c9",
)


def read_character(char: str) -> str:
    """Return a character as it looks: digits, spaces and dashes of ASCII, anything else by NFKC."""
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.digit(char))
    if category == "Zs":
        return " "
    return "-" if char in _DASHES else unicodedata.normalize("NFKC", char)


@lru_cache(maxsize=16_384)
def _read_visible(char: str) -> str:
    if _INVISIBLE.match(char):
        return ""
    read = read_character(char)
    return "".join("-" if part in _DASHES else part for part in read if not _INVISIBLE.match(part))


def fold_typography(text: str) -> str:
    """Normalise by NFKC, and unify quotes, dashes, digits and their marks; drop invisible characters."""
    if text.isascii():
        return text
    # NFC of the parts' NFKC is NFKC of the text.
    read = _FOREIGN.sub(lambda match: _read_visible(match[0]), text.translate(_MARKS))
    return unicodedata.normalize("NFC", read).translate(_MARKS)


def fold(text: str) -> str:
    """Fold typography, and unify case and white space; the Turkish I without a dot is one with a dot."""
    return " ".join(fold_typography(text).casefold().replace("\u0131", "i").split())


def fold_script(text: str) -> str:
    """Fold as `fold` does, and drop signs that a script's writers may leave out."""
    folded = fold(text)
    return folded if folded.isascii() else " ".join(_OPTIONAL.sub("", folded).translate(_SIGNLESS).split())

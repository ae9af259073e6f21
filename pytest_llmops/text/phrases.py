"""
Phrases found in a text as a reader finds them: whole words where a script has spaces, anywhere between whole
characters where it has none, and behind a Korean word its particles.

No dictionary is used: by UAX #29 each Chinese character is a word, and Thai words cannot be told apart.
"""

from __future__ import annotations

from functools import lru_cache

import regex

from pytest_llmops.text.characters import UNSPACED, fold
from pytest_llmops.text.markup import read_plain
from pytest_llmops.text.numbers import join_all_groups, normalize
from pytest_llmops.text.particles import ENDINGS, PARTICLES, VERBS

_ANY_ENDING = regex.compile(r"\A\w.*[^\W\d_]\*\Z", regex.DOTALL)
_UNSPACED = regex.compile(UNSPACED, regex.VERSION1)
_HANGUL = regex.compile(r"\p{Hangul}")
_WORDLIKE = regex.compile(r"[\w\p{M}]")
_MARKUP_LIKE = regex.compile(r"[^\w\s\p{M}'-]|_|\A-|-\Z")  # in a phrase: it may be looked for as written
_COUNTED = regex.compile(r"(?P<number>\d)(?P<apart>[ -]?)(?P<word>[a-z]{3,})(?![\w'])")
_LONG_NUMBER = regex.compile(r"(?<![\w.,-])[1-9]\d{3,14}(?!\d)")
_NO_PLURAL = ("ss", "us", "is")
_LEAST_PLURAL = 4  # letters: `ms` is no plural of `m`

_FOREIGN_LETTER = rf"[[\w\p{{M}}]--[{UNSPACED}\p{{Hangul}}]]"
_BEFORE_THAI = r"(?<![\u0e40-\u0e44\u0ec0-\u0ec4])"  # a vowel that is written before its consonant
# Signs, small kana and vowels that belong to the character before them; a Burmese consonant that ends it.
_CHARACTER_ENDS = (
    r"(?![\p{M}\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3ぁぃぅぇぉゃゅょゎァィゥェォャュョヮ])"
    r"(?![\p{Myanmar}&&\p{L}][\u1039\u103a])"
)
_WORD_ENDS = rf"(?!{_FOREIGN_LETTER})"


class PlainText:
    """A text to look for phrases in, as read without markup and as written."""

    __slots__ = ("_plain", "_written")

    def __init__(self, text: str) -> None:
        self._plain = normalize(read_plain(text))
        self._written = fold(text)

    def contains(self, phrase: str) -> bool:
        """Return whether it has the phrase; one with other marks than hyphens also in the text as written."""
        as_read, as_written = _patterns(phrase)
        return bool(as_read.search(self._plain)) or (
            as_written is not None and bool(as_written.search(self._written))
        )


def has_unspaced(text: str) -> bool:
    """Return whether a text has characters of a script without spaces, or Korean ones."""
    return bool(_UNSPACED.search(text) or _HANGUL.search(text))


@lru_cache(maxsize=4096)
def _patterns(phrase: str) -> tuple[regex.Pattern[str], regex.Pattern[str] | None]:
    """Return the patterns of a phrase in a text without markup, and in one as written if that may differ."""
    folded = fold(phrase)
    written = _compile(folded) if _MARKUP_LIKE.search(folded) else None
    return _compile(join_all_groups(normalize(phrase)) or folded), written


def _compile(folded: str) -> regex.Pattern[str]:
    """Compile the phrase between boundaries; an end that is no letter or digit needs none."""
    goes_on = bool(_ANY_ENDING.search(folded))
    words = folded[:-1] if goes_on else folded
    before = _start_of(words[0]) if _WORDLIKE.match(words[0]) else ""
    after = "" if goes_on or not _WORDLIKE.match(words[-1]) else _end_of(words)
    return regex.compile(before + _body(words) + after, regex.VERSION1)


def _body(words: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(words):
        if match := _LONG_NUMBER.match(words, at):
            parts.append(_group_of(match[0]))
            at = match.end() - 1  # its last digit and what follows are looked at below
        if match := _COUNTED.match(words, at):
            parts.append(match["number"] + _join_counted(match["apart"], match["word"]))
            at = match.end()
            continue
        char, following = words[at], words[at + 1 : at + 2]
        if char in " -" and at and following:
            parts.append(_join(words[at - 1], char, following))
        else:
            parts.append(regex.escape(char, special_only=True))
            if following and following not in " -":
                parts.append(_join(char, "", following))
        at += 1
    return "".join(parts)


def _group_of(digits: str) -> str:
    """Return the pattern of a number but for its last digit, that may have a space before each three."""
    spaced = [
        f" ?{digit}" if at and (len(digits) - at) % 3 == 0 else digit for at, digit in enumerate(digits)
    ]
    return "".join(spaced[:-1])


def _join_counted(apart: str, word: str) -> str:
    """Join a number and what it counts: `60 days` is `60-days`, `60days` and `60-day`."""
    if len(word) >= _LEAST_PLURAL and word.endswith("s") and not word.endswith(_NO_PLURAL):
        return f"(?:[ -]?{word}|-{word[:-1]})"
    return f"(?:[ -]?{word}|[ -]{word}s)" if apart == "-" else f"[ -]?{word}"


def _join(one: str, mark: str, other: str) -> str:
    """Return the pattern of what may be between two characters of a phrase that has `mark` there."""
    unspaced = bool(_UNSPACED.match(one) or _UNSPACED.match(other))
    if mark == " ":
        if one.isdigit() and other.isdigit():
            return " "
        optional = unspaced or _HANGUL.match(other) or (one.isdigit() and other.isalpha())
        return "[ -]?" if optional else "[ -]" if _WORDLIKE.match(one) and _WORDLIKE.match(other) else " "
    if mark == "-":
        letters = _WORDLIKE.match(one) and _WORDLIKE.match(other) and not (one.isdigit() and other.isdigit())
        return "[ -]" if letters else "-"
    if unspaced and not regex.match(r"\p{M}", other):
        return " ?"
    if one.isdigit() and other.isalpha():
        return "[ -]?"
    return ""


def _start_of(first: str) -> str:
    if _UNSPACED.match(first):
        return _BEFORE_THAI if regex.match(r"[\p{Thai}\p{Lao}]", first) else ""
    if _HANGUL.match(first):
        return r"(?<!\p{Hangul})"
    return rf"(?<!{_FOREIGN_LETTER})" + (r"(?<!\d[.,])" if first.isdigit() else "")


def _end_of(words: str) -> str:
    last = words[-1]
    if _UNSPACED.match(last):
        return _CHARACTER_ENDS
    if _HANGUL.match(last):
        verbs = rf"|(?:{VERBS})\p{{Hangul}}*" if regex.search(r"\p{Hangul}{2}\Z", words) else ""
        return rf"(?:(?:{PARTICLES}){{0,3}}(?:{ENDINGS})?(?:{PARTICLES}){{0,2}}{verbs})(?!\p{{Hangul}})"
    return _WORD_ENDS + (r"(?![.,]\d)" if last.isdigit() else "")

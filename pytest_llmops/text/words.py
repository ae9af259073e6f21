"""Words of texts in any script, for counting."""

from __future__ import annotations

import re
from itertools import pairwise

import regex

from pytest_llmops.text.characters import UNSPACED, fold
from pytest_llmops.text.markup import read_plain
from pytest_llmops.text.numbers import normalize
from pytest_llmops.text.particles import PARTICLES

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# Scripts written without spaces count by the character, numbers keep sign and marks, `don't` is one word.
_LETTERS = rf"[\w--[_{UNSPACED}]]+"
_UNSPACED_WORD = rf"[{UNSPACED}--\p{{M}}]\p{{M}}*"
_NUMBER = r"-?\d++(?:[.,:/]\d++)*"
_SPACED_WORD = rf"{_LETTERS}(?:'{_LETTERS})*"
_WORD = regex.compile(rf"{_UNSPACED_WORD}|(?<!\w){_NUMBER}|{_SPACED_WORD}", regex.VERSION1)
_AFTER_LETTER = rf"(?<![\w--[{UNSPACED}\p{{Hangul}}]])"
_OTHER_WORD = rf"{_AFTER_LETTER}{_NUMBER}|{_SPACED_WORD}"
_PLAIN_WORD = regex.compile(rf"{_UNSPACED_WORD}|{_OTHER_WORD}", regex.VERSION1)
_TERM = regex.compile(rf"{UNSPACED}[{UNSPACED}\p{{M}}]*|{_OTHER_WORD}", regex.VERSION1)
# Lines are broken anywhere in such a script, so that white space parts nothing.
_RUN = regex.compile(rf"(?P<run>{UNSPACED}(?: ?[{UNSPACED}\p{{M}}])*)|{_OTHER_WORD}", regex.VERSION1)
_PARTICLES_BEHIND = regex.compile(rf"(?<=\p{{Hangul}}{{2}})(?:{PARTICLES})+\Z")


def join_thousands(text: str) -> str:
    """Write `1,000` as `1000`."""
    return _THOUSANDS.sub("", text)


def split_words(text: str) -> list[str]:
    """
    Return the folded words of a text in order, in any script, without marks between words and possessive
    `'s`; marks of numbers stay (`3.5`, `-4`).
    """
    return [word.removesuffix("'s") for word in _WORD.findall(join_thousands(fold(text)))]


def split_plain_words(text: str) -> list[str]:
    """Return the words as `split_words` does, without markup and Korean particles, numbers unified."""
    return list(map(_strip, _PLAIN_WORD.findall(normalize(read_plain(text)))))


def split_terms(text: str) -> list[str]:
    """Return the words of a text without markup, a run of a script without spaces as one word."""
    return [term.removesuffix("'s") for term in _TERM.findall(normalize(text))]


def split_pairs(text: str) -> list[str]:
    """
    Return the words as `split_plain_words` does, but neighbours in a script without spaces in pairs.

    Two Thai sentences have most characters in common whatever they say, and hardly a pair.
    """
    words: list[str] = []
    for match in _RUN.finditer(normalize(read_plain(text))):
        if match["run"] is None:
            words.append(_strip(match[0]))
        else:
            characters = _PLAIN_WORD.findall(match[0])
            words += map("".join, pairwise(characters)) if len(characters) > 1 else characters
    return words


def _strip(word: str) -> str:
    return word.removesuffix("'s") if word.isascii() else _PARTICLES_BEHIND.sub("", word.removesuffix("'s"))

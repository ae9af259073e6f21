"""Words of texts in any script, for counting."""

from __future__ import annotations

import re

import regex

from pytest_llmops.text.characters import UNSPACED, fold, fold_script
from pytest_llmops.text.markup import read_plain
from pytest_llmops.text.numbers import join_no_break_groups, unify_numbers
from pytest_llmops.text.particles import PARTICLES

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# Scripts written without spaces count by the character, numbers keep sign and marks, `don't` is one word.
_LETTERS = rf"[\w--[_{UNSPACED}]]+"
_WORD = regex.compile(
    rf"[{UNSPACED}--\p{{M}}]\p{{M}}*|(?<!\w)-?\d++(?:[.,:/]\d++)*|{_LETTERS}(?:'{_LETTERS})*",
    regex.VERSION1,
)
_TERM = regex.compile(rf"{UNSPACED}[{UNSPACED}\p{{M}}]*|{_WORD.pattern}", regex.VERSION1)
_PARTICLES_BEHIND = regex.compile(rf"(?<=\p{{Hangul}}{{2}})(?:{PARTICLES})+\Z")


def split_terms(text: str) -> list[str]:
    """Return the words as `split_plain_words` does, but a run of a script without spaces as one word."""
    written = unify_numbers(fold_script(join_no_break_groups(text)))
    return [term.removesuffix("'s") for term in _TERM.findall(written)]


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
    written = unify_numbers(fold_script(join_no_break_groups(read_plain(text))))
    words = [word.removesuffix("'s") for word in _WORD.findall(written)]
    return words if written.isascii() else [_PARTICLES_BEHIND.sub("", word) for word in words]

"""The grammar of a sentence as far as lists of words show it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import regex

from pytest_llmops.metrics.facts.values import Value, read_values
from pytest_llmops.metrics.language import Language
from pytest_llmops.text.characters import fold_typography
from pytest_llmops.text.words import join_thousands

_TOKEN = regex.compile(
    r"\d+(?:[.,:/-]\d+)*|[\p{L}\p{M}]+(?:['-](?=\p{L})[\p{L}\p{M}]+)*|[\p{L}\p{N}]+", regex.VERSION1
)
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー]+|[\p{Latin}\p{N}]+(?:[.,:/-]\d+)*")
_CONTRACTED = re.compile(r"(?<=\w)n't\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """
    A content word.

    Attributes:
        start: Its place in the sentence, and `end`.
        clause: Index of its clause.
        negated: Its clause has an odd number of negations.
        person: `1` or `2` if the nearest pronoun before it in the clause is of that person.
    """

    stem: str
    word: str
    start: int
    end: int
    clause: int
    negated: bool
    person: str


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A sentence, read.

    Attributes:
        marks: Words of scope and condition: their kind, the stem that follows, and the clause.
        clauses: Number of clauses.
        negated: Of each clause.
        words: All words in order, folded; characters in a language without spaces.
    """

    text: str
    tokens: tuple[Token, ...]
    marks: tuple[tuple[str, str, int], ...]
    negated: tuple[bool, ...]
    values: tuple[Value, ...]
    words: tuple[str, ...]

    @property
    def stems(self) -> frozenset[str]:
        return frozenset(token.stem for token in self.tokens)


@lru_cache(maxsize=32_768)
def read_sentence(text: str, language: Language) -> Reading:
    """Read a sentence of that language, in time that grows with its length: white space counts once."""
    spaced = " ".join(fold_typography(text).split())
    folded = _CONTRACTED.sub(" not", spaced.replace("can't", "can not").replace("won't", "will not"))
    clauses = list(_split(folded, language))
    tokens: list[Token] = []
    marks: list[tuple[str, str, int]] = []
    negated = []
    for at, (start, clause) in enumerate(clauses):
        plain = language.not_negations.sub(lambda match: " " * len(match[0]), clause)
        is_negated = len(language.negations.findall(plain)) % 2 == 1
        negated.append(is_negated)
        own = list(_tokens(clause, start, at, is_negated, language))
        tokens += own
        marks += _marks(clause, start, at, own, language)
    values = read_values(folded)
    return Reading(folded, tuple(tokens), tuple(marks), tuple(negated), values, _words(folded, language))


@lru_cache(maxsize=32_768)
def list_letters(reading: Reading) -> frozenset[str]:
    """Return the runs of letters of a sentence: `we'd` has two."""
    return frozenset(re.findall(r"[^\W\d_]+", reading.text.casefold()))


def _words(text: str, language: Language) -> tuple[str, ...]:
    if language.is_unspaced:
        return tuple(character for character in text.casefold() if character.isalnum())
    words = (match[0].casefold().removesuffix("'s") for match in _TOKEN.finditer(join_thousands(text)))
    return tuple(word if word in language.logic else language.stem(word) for word in words)


def _split(text: str, language: Language) -> Iterator[tuple[int, str]]:
    start = 0
    for match in language.breaks.finditer(text):
        if text[start : match.start()].strip():
            yield start, text[start : match.start()]
            start = match.end()
    if text[start:].strip():
        yield start, text[start:]


def _tokens(clause: str, start: int, at: int, negated: bool, language: Language) -> Iterator[Token]:  # noqa: FBT001
    if language.is_unspaced:
        yield from _characters(clause, start, at, negated, language)
        return
    person = ""
    negating = {match.start() for match in language.negations.finditer(clause)}
    for match in _TOKEN.finditer(clause):
        word = match[0].casefold()
        if word in language.first:
            person = "1"
        elif word in language.second:
            person = "2"
        if word in language.function or match.start() in negating:
            continue
        for part in _parts(match):
            lower = part[0].casefold().removesuffix("'s")
            if lower and lower not in language.function:
                stem = join_thousands(lower) if lower[0].isdigit() else language.stem(lower)
                yield Token(stem, part[0], start + part[1], start + part[2], at, negated, person)


def _parts(match: regex.Match[str]) -> Iterator[tuple[str, int, int]]:
    """Yield the words of a compound with hyphens, and of `l'école`."""
    written = match[0]
    if written[0].isdigit() or not re.search(r"[-']", written):
        yield written, match.start(), match.end()
        return
    for part in re.finditer(r"[^-']+", written):
        yield part[0], match.start() + part.start(), match.start() + part.end()


def _characters(clause: str, start: int, at: int, negated: bool, language: Language) -> Iterator[Token]:  # noqa: FBT001
    """Yield pairs of neighbouring characters, and words and figures as they stand."""
    for match in _UNSPACED.finditer(clause):
        written = match[0]
        if written[0].isascii() or regex.match(r"[\p{Latin}\p{N}]", written):
            yield Token(
                written.casefold(), written, start + match.start(), start + match.end(), at, negated, ""
            )
            continue
        for place in range(max(len(written) - 1, 1)):
            pair = written[place : place + 2]
            if not all(character in language.function for character in pair):
                begin = start + match.start() + place
                yield Token(pair, pair, begin, begin + len(pair), at, negated, "")


def _marks(
    clause: str, start: int, at: int, tokens: list[Token], language: Language
) -> Iterator[tuple[str, str, int]]:
    taken = bytearray(len(clause))
    matches = [
        (match.start(), match.end(), name)
        for name, pattern in language.marks.items()
        for match in pattern.finditer(clause)
    ]
    for begin, end, name in sorted(matches, key=lambda mark: (mark[0] - mark[1], mark[0])):
        if any(taken[begin:end]):
            continue
        taken[begin:end] = b"\1" * (end - begin)
        after = (token.stem for token in tokens if token.start >= start + end)
        before = (token.stem for token in reversed(tokens) if token.end <= start + begin)
        yield name, next(after, next(before, "")), at

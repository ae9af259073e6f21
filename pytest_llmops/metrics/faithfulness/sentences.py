"""Texts cut into sentences: an answer's are its claims, a context's are what could support them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_llmops.metrics.faithfulness.english import join_phrases, load_english

# A stop, what may close after it, white space, and something that can begin a sentence. Tokenized
# corpora put a space before the stop and write in lower case; there a stop is one when it stands alone.
_END = re.compile(
    r"""(?<=[.!?…])["')\]\u201d\u2019]*\s+(?=["'(\[\u201c\u2018]?[A-Z0-9])"""
    r"""|(?<=\s[.!?])\s+|(?<=[!?])\s+|[ \t]*\n\s*"""
)
_ABBREVIATIONS = frozenset(load_english()["abbreviations"].split())
_LAST_WORD = re.compile(r"([\w.]+)\.[\"')\]\u201d\u2019]*\s*\Z")
_MARK = re.compile(r"^\s*(?:[-*•#>]+|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")
_LETTER_OR_DIGIT = re.compile(r"\w")
_LONGEST = 1_200  # characters; what is longer is a table or a list, and is cut at white space


_INTERJECTION = re.compile(
    rf"(?:{join_phrases('interjections')})(?=\s*[,.!;:]|\s+(?:and|but|yes|yeah|no|well)\b|\s*\Z)",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    rf"(?:{join_phrases('hedges')})(?:\s*,)?(?:\s+(?:but|that|and))?(?:\s*[,:])?(?=\s|\Z)", re.IGNORECASE
)
_BETWEEN = re.compile(r"[\s,.!;:]*(?:(?:and|but)\b[\s,]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence and its place in the text, in characters."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of a text, in order; items of a list and lines are sentences of their own."""
    found: list[Sentence] = []
    start = 0
    for end, following in [*_cuts(text), (len(text), len(text))]:
        if end < len(text) and _is_abbreviation(text[start:end]):
            continue
        found.extend(_kept(text, start, end))
        start = following
    return found


def drop_opener(sentence: str) -> str:
    """
    The sentence without what opens it and claims nothing: `Yes,`, `I think that`, `According to the text,`.

    Empty where nothing else is said.
    """
    rest = sentence.strip()
    while found := _INTERJECTION.match(rest) or _HEDGE.match(rest):
        rest = rest[found.end() :]
        between = _BETWEEN.match(rest)
        rest = rest[between.end() :] if between else rest
    return rest if _LETTER_OR_DIGIT.search(rest) else ""


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    for match in _END.finditer(text):
        yield match.start(), match.end()


def _is_abbreviation(piece: str) -> bool:
    matched = _LAST_WORD.search(piece[-40:])
    if matched is None:
        return False
    word = matched[1].lower()
    return word in _ABBREVIATIONS or bool(re.fullmatch(r"[A-Z]", matched[1]))


def _kept(text: str, start: int, end: int) -> Iterator[Sentence]:
    """The piece without white space and marks of a list, cut where it is too long; nothing of no word."""
    if mark := _MARK.match(text[start:end]):
        start += mark.end()
    while start < end:
        stop = end
        if end - start > _LONGEST:
            stop = text.rfind(" ", start + _LONGEST // 2, start + _LONGEST)
            stop = stop if stop > 0 else start + _LONGEST
        piece = text[start:stop]
        inner = piece.strip()
        if _LETTER_OR_DIGIT.search(inner):
            yield Sentence(text=inner, start=start + len(piece) - len(piece.lstrip()))
        start = stop

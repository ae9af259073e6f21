"""Texts cut into sentences: an answer's are its claims, a context's are what could support them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_llmops.metrics.faithfulness.english import join_phrases, load_english

# A stop, what may close after it, white space, and something that can begin a sentence. Tokenized
# corpora put a space before the stop and write in lower case; there a stop is one when it stands alone.
_END = re.compile(
    r"""(?<=[.!?…])(["')\]\u201d\u2019]*)\s+(?=["'(\[\u201c\u2018]?[A-Z0-9])"""
    r"""|(?<=\s[.!?])\s+|(?<=[!?])\s+|(?<![ \t])[ \t]*\n\s*"""
)
_ABBREVIATIONS = frozenset(load_english()["abbreviations"].split())
_BEFORE_NUMBERS = frozenset(load_english()["before_numbers"].split())
_ITEM = re.compile(r"\(?(?:\d{1,2}|[a-z])[.)]")
_LONGEST_WORD = 40
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
_CITATION = re.compile(r"\s?(?<!\w)\[[\w./#:,;-]{1,80}\]")
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
    sentences: list[Sentence] = []
    start = 0
    for end, following in [*_cuts(text), (len(text), len(text))]:
        if end < len(text) and _goes_on(text[start:end], text[following : following + 1]):
            continue
        sentences.extend(_kept(text, start, end))
        start = following
    return sentences


def drop_opener(sentence: str) -> str:
    """
    The sentence without what claims nothing: what opens it (`Yes,`, `I think that`, `According to it,`),
    and marks of citations (`[2]`, `[returns#window]`).

    Empty where nothing else is said.
    """
    rest = drop_citations(sentence).strip()
    while match := _INTERJECTION.match(rest) or _HEDGE.match(rest):
        rest = rest[match.end() :]
        between = _BETWEEN.match(rest)
        rest = rest[between.end() :] if between else rest
    return rest if _LETTER_OR_DIGIT.search(rest) else ""


def drop_citations(text: str) -> str:
    """The text without marks such as `[2]` and `[returns#window]`."""
    return _CITATION.sub("", text)


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    """Where a sentence ends, with the marks that close it, and where the next begins."""
    for match in _END.finditer(text):
        yield match.end(1) if match[1] else match.start(), match.end()


def _goes_on(piece: str, following: str) -> bool:
    """Whether the stop at the end of a piece belongs to an abbreviation, or to the number of an item."""
    if _ITEM.fullmatch(piece.strip()):
        return True
    matched = _LAST_WORD.search(piece[-_LONGEST_WORD:])
    if matched is None:
        return False
    word = matched[1].lower()
    before_number = word in _BEFORE_NUMBERS and following.isdigit()
    return before_number or word in _ABBREVIATIONS or bool(re.fullmatch(r"[A-Z]", matched[1]))


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

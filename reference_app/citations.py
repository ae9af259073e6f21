"""Which sections support an answer, found by the words they share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.knowledge import Section

MIN_SUPPORT = 0.5
MIN_NEW_WORDS = 3
MAX_SOURCES = 2

_WORD = re.compile(r"[a-z]+(?:-\d+)?|\d+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z£\[])")
_BRACKETS = re.compile(r"\s*\[[^\]]*\]?")
_STOP = frozenset(
    "a an and any are as at be been but by can do does for from has have how i if in is it its may more must no not of on "
    "or our so than that the their them then there these they this to up was we were what when which will "
    "with you your".split()
)


def cite(answer: str, sections: Sequence[Section]) -> list[str]:
    """
    Ids of at most two sections that hold the answer's words, the better first.

    A section counts when it holds half of the answer's content words and every word it shares with no
    earlier source is new: a second one is named only if it adds three words, as where a question needs
    two documents. An answer that no section supports has no source.
    """
    rest = content_words(answer)
    total = len(rest)
    sources: list[str] = []
    while rest and len(sources) < MAX_SOURCES:
        shared = [(len(rest & content_words(f"{one.heading} {one.text}")), one) for one in sections]
        count, best = max(shared, key=lambda pair: pair[0])
        if count < (MIN_NEW_WORDS if sources else MIN_SUPPORT * total) or best.id in sources:
            break
        sources.append(best.id)
        rest -= content_words(f"{best.heading} {best.text}")
    return sources


def content_words(text: str) -> set[str]:
    """Lower-case words and numbers without the words every sentence has; plurals lose their s."""
    return {
        word[:-1] if word.endswith("s") and len(word) > 3 else word  # noqa: PLR2004 - `gas` is no plural
        for word in _WORD.findall(text.lower())
        if word not in _STOP
    }


def first_sentences(text: str, count: int = 2) -> str:
    """At most so many sentences; a last one that was cut short goes, and so do the model's own brackets."""
    sentences = _SENTENCE_END.split(_BRACKETS.sub("", " ".join(text.split())).strip())
    if len(sentences) > 1 and not sentences[-1].endswith((".", "!", "?")):
        sentences.pop()
    kept: list[str] = []
    for sentence in sentences[:count]:
        if sentence not in kept:
            kept.append(sentence)
    return " ".join(kept)

"""Content words of a text, blank texts, and texts quoted for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from reprlib import Repr

import regex

from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import split_pairs

# English words of grammar, without negations: they turn the meaning of an answer.
FUNCTION_WORDS = frozenset(
    re.findall(
        r"\S+",
        "a about after all also am an and any are as at be because been before being both but by can could "
        "did do does doing each for from further had has have having he her here hers herself him himself "
        "his how i if in into is it its itself just may me might more most must my myself of off on once "
        "only or other our ours ourselves out over own same shall she should so some such than that the "
        "their theirs them themselves then there these they this those through to too under until up upon us "
        "very was we were what when where which while who whom why will with would you your yours yourself "
        "yourselves i'm i've i'd i'll it'll that'll you're you've you'd you'll we're we've we'd we'll "
        "they're they've they'd they'll",
    )
)
_QUOTED_AT_MOST = 5
# A sign may be an answer (an emoji), but marks, brackets and operators are only remains of one. Invisible
# letters (the Hangul filler) and the blank Braille pattern are neither.
_MEANINGFUL = regex.compile(r"[[\p{L}\p{N}\p{So}]--[\p{Default_Ignorable_Code_Point}\u2800]]", regex.VERSION1)

_shortened = Repr()
_shortened.maxstring = 80


def texts_in(value: object) -> Iterator[str]:
    """Yield the texts of a question: of a list of turns all, of a mapping its values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from texts_in(item)


def content_words(text: str) -> list[str]:
    """Return `split_pairs` without English function words; all of them if nothing else is left."""
    words = split_pairs(text)
    return [word for word in words if word not in FUNCTION_WORDS] or words


def find_blank(text: str, expected: str | None = None) -> str:
    """
    Return why an output is blank: it is empty, or has only white space, punctuation and invisible characters.
    Empty for any other output.

    Encoders and judges rate a blank text as any other, not at the bottom of their scale.

    Args:
        expected: A text that the output may equal, so that the answer `-` can be right.
    """
    if _MEANINGFUL.search(text):
        return ""
    folded = fold(text)
    if not folded:
        return "the output is empty"
    if expected is not None and fold(expected) == folded:
        return ""
    return f"the output contains no word: {quote([text])}"


def quote(texts: Iterable[str]) -> str:
    """Quote the first few texts in one line, shortened and with control characters escaped."""
    head = list(islice(texts, _QUOTED_AT_MOST + 1))
    shown = ", ".join(_shortened.repr(text) for text in head[:_QUOTED_AT_MOST])
    return f"{shown}, …" if len(head) > _QUOTED_AT_MOST else shown

"""The parts in which a text is read: windows, and the sentences and pairs of sentences in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

WINDOW = 700  # characters
STEP = 500
_SHORTEST = 12  # characters of a sentence; a shorter one belongs to the next
_STOP = re.compile(r"""[.!?]["')\]]{0,2}\s+|[\u3002\uff01\uff1f]|\n+""")

Span = tuple[int, int]


def cut_windows(length: int) -> Iterator[Span]:
    """Start and end of the overlapping windows of a text."""
    for start in range(0, max(length - (WINDOW - STEP), 1), STEP):
        yield start, min(start + WINDOW, length)


def cut_sentences(text: str, window: Span) -> list[Span]:
    """The sentences and pairs of neighbours in a window; none where that would be the window again."""
    begin, end = window
    stops = [match.end() for match in _STOP.finditer(text, begin, end)]
    sentences: list[Span] = []
    for stop in (*stops, end):
        if stop - begin >= _SHORTEST:
            sentences.append((begin, stop))
            begin = stop
    if begin < end and sentences:
        sentences[-1] = (sentences[-1][0], end)
    pairs = [(first, last) for (first, _), (_, last) in pairwise(sentences)]
    return [each for each in (*sentences, *pairs) if each != window]

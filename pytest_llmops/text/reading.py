"""Texts that were rewritten, with each part's place in the source."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class _Piece(NamedTuple):
    """A stretch of the new text from `at` on, and its old place; `alike` if both have the same length."""

    at: int
    start: int
    end: int
    alike: bool
    touched: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A text, and the way from its places back to those of the source.

    Attributes:
        layers: The changes of each step, the last one last.
    """

    text: str
    layers: tuple[Sequence[_Piece], ...] = ()

    def place(self, start: int, end: int) -> tuple[int, int, bool]:
        """Return start and end in the source, and whether anything in between was changed."""
        touched = False
        for pieces in reversed(self.layers):
            first, last = (
                bisect_right(pieces, at, key=lambda piece: piece.at) - 1 for at in (start, end - 1)
            )
            touched = touched or any(piece.touched for piece in pieces[first : last + 1])
            head, tail = pieces[first], pieces[last]
            start = head.start + (start - head.at if head.alike else 0)
            end = tail.start + (end - tail.at) if tail.alike else tail.end
        return start, end, touched

    def rewrite(self, pattern: re.Pattern[str], read: Callable[[re.Match[str]], str | None]) -> Reading:
        """Return the reading with each match replaced by the result of `read`; None leaves a match."""
        parts: list[str] = []
        pieces: list[_Piece] = []
        at = done = 0
        for match in pattern.finditer(self.text):
            new = read(match)
            if new is None or new == match[0]:
                continue
            before = self.text[done : match.start()]
            pieces.append(_Piece(at, done, match.start(), alike=True, touched=False))
            at += len(before)
            pieces.append(_Piece(at, *match.span(), alike=len(new) == len(match[0]), touched=True))
            at += len(new)
            parts += [before, new]
            done = match.end()
        if not pieces:
            return self
        pieces.append(_Piece(at, done, len(self.text), alike=True, touched=False))
        return Reading("".join([*parts, self.text[done:]]), (*self.layers, pieces))

"""Neighbouring texts read together: an instruction may be cut over passages, arguments or results."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.metrics.injection.parts import Found
from pytest_llmops.metrics.places import Piece

_REACH = 300  # characters on either side of a boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """
    The end of one text and the beginning of the next ones.

    Attributes:
        starts: Where in the joined text each piece begins.
    """

    text: str
    pieces: tuple[Piece, ...]
    starts: tuple[int, ...]

    def is_cut(self, found: Found) -> bool:
        """Whether a finding goes over a boundary."""
        return self._at(found.start) != self._at(found.end - 1)

    def place(self, found: Found) -> str:
        """From the first piece of a finding to its last."""
        first, last = (self.pieces[self._at(at)].place(strict=False) for at in (found.start, found.end - 1))
        return f"{first} to {last}, read together"

    def _at(self, offset: int) -> int:
        return max(0, bisect_right(self.starts, offset) - 1)


def join_neighbours(pieces: Sequence[Piece], known: Sequence[bool]) -> list[Joined]:
    """
    What stands around each boundary between texts of one field: passages, items of a list.

    Spans are left out: what they hold of passages and tools is read where it belongs.

    Args:
        known: Pieces in which something was found already; nothing is joined to them.
    """
    groups: dict[str, list[Piece | None]] = defaultdict(list)
    for piece, found in zip(pieces, known, strict=True):
        if piece.group and piece.owner != "span" and piece.text.strip():
            groups[piece.group].append(None if found else piece)
    joined = {each.text: each for group in groups.values() for run in _runs(group) for each in _join(run)}
    return list(joined.values())


def _runs(group: Sequence[Piece | None]) -> Iterator[list[Piece]]:
    run: list[Piece] = []
    for piece in (*group, None):
        if piece is not None:
            run.append(piece)
        else:
            yield run
            run = []


def _join(run: Sequence[Piece]) -> Iterator[Joined]:
    between = "" if any(each.text[:1].isspace() or each.text[-1:].isspace() for each in run) else " "
    for at in range(1, len(run)):
        parts: list[tuple[Piece, str]] = []
        left = _REACH
        for piece in reversed(run[:at]):
            parts.insert(0, (piece, piece.text[max(0, len(piece.text) - left) :]))
            if (left := left - len(piece.text)) <= 0:
                break
        left = _REACH
        for piece in run[at:]:
            parts.append((piece, piece.text[:left]))
            if (left := left - len(piece.text)) <= 0:
                break
        yield _joined(parts, between)


def _joined(parts: Sequence[tuple[Piece, str]], between: str) -> Joined:
    starts, length = [], 0
    for _, text in parts:
        starts.append(length)
        length += len(text) + len(between)
    return Joined(
        text=between.join(text for _, text in parts),
        pieces=tuple(piece for piece, _ in parts),
        starts=tuple(starts),
    )

"""What a scan finds in the texts of a sample, alone and read together with their neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pytest_llmops.detect.mask import mask
from pytest_llmops.metrics.injection.neighbours import join_neighbours
from pytest_llmops.metrics.injection.parts import Found
from pytest_llmops.metrics.injection.scanner import LIKELY, Scan, scan_texts
from pytest_llmops.metrics.places import Piece, read_pieces
from pytest_llmops.printable import printable
from pytest_llmops.records import Sample

_SHOWN = 160  # characters of a finding
_OPERATORS = frozenset({"system", "developer"})


class Finding(NamedTuple):
    """
    A finding, for people and judges.

    Attributes:
        place: Which text of the sample.
        text: In which `found` gives offsets.
    """

    place: str
    found: Found
    text: str

    def describe(self) -> dict[str, Any]:
        """As evidence keeps it: masked."""
        found = self.found
        return {
            "place": self.place,
            "start": found.start,
            "end": found.end,
            "view": found.view,
            "rule": found.rule,
            "value": round(found.value, 4),
            "text": printable(mask(self.text[found.start : found.end]), _SHOWN),
        }


def read_instructable(sample: Sample, places: Sequence[str]) -> list[Piece]:
    """The texts of those places, but for messages that spans give to the operator."""
    return list(_without_operator(list(read_pieces(sample, places))))


def find_in(pieces: Sequence[Piece], max_chars: int) -> list[Finding]:
    """The findings in the first `max_chars` characters of each text, and across neighbours; highest first."""
    texts = [piece.text[:max_chars] for piece in pieces]
    scans = scan_texts(texts)
    findings = [
        Finding(piece.place(strict=False), found, text)
        for piece, text, scan in zip(pieces, texts, scans, strict=True)
        for found in scan
    ]
    findings += _find_cut(pieces, scans)
    return sorted(findings, key=lambda each: -each.found.value)


def _find_cut(pieces: Sequence[Piece], scans: Sequence[Scan]) -> Iterator[Finding]:
    """What no text says alone, but neighbours say together."""
    known = [any(each.value > LIKELY for each in scan) for scan in scans]
    joined = join_neighbours(pieces, known)
    for each, scan in zip(joined, scan_texts([each.text for each in joined]), strict=True):
        yield from (Finding(each.place(found), found, each.text) for found in scan if each.is_cut(found))


def _without_operator(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Without what a trace's messages say is from the operator: a system prompt instructs by right."""
    above = tuple(
        piece.pointer.removesuffix("role")
        for piece in pieces
        if piece.owner == "span"
        and piece.text in _OPERATORS
        and piece.pointer.endswith("role")
        and "messages" in piece.pointer
    )
    yield from (each for each in pieces if each.owner != "span" or not each.pointer.startswith(above))

"""`injection`: instructions to the model in what the app read and answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pytest_llmops.detect.mask import mask
from pytest_llmops.documents.value_readers import list_of, one_of, whole
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.injection.neighbours import join_neighbours
from pytest_llmops.metrics.injection.parts import Found
from pytest_llmops.metrics.injection.scanner import LIKELY, Scan, describe, scan_texts
from pytest_llmops.metrics.places import PLACES, Piece, read_pieces
from pytest_llmops.models.injection_classifier import WEIGHTS
from pytest_llmops.printable import printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

_SHOWN = 160  # characters of a finding
_MOST = 20  # findings of a sample
_OPERATORS = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection(DeclaredMetric):
    """
    How much the most suspicious part of a sample's texts reads like an instruction to the model, 0 to 1.

    Texts are the question with its attachments, the answer, passages, arguments and results of tools, and
    spans, but for messages that spans give to the operator (`role: system`).

    Attributes:
        places: Which texts are read.
        max_chars: Characters of a text that are read. A longer text in which they show nothing is an error,
            never clean.
    """

    places: Annotated[tuple[str, ...], list_of(one_of(*PLACES))] = PLACES
    max_chars: Annotated[int, whole(1000)] = 100_000

    weights: ClassVar[tuple[str, ...]] = (WEIGHTS,)
    traits = MetricTraits(
        name="injection",
        family="injection",
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=LIKELY),
    )

    def measure(self, sample: Sample) -> Score | Failure:
        pieces = list(_without_operator(list(read_pieces(sample, self.places))))
        scans = scan_texts([piece.text[: self.max_chars] for piece in pieces])
        found = [(piece, each) for piece, scan in zip(pieces, scans, strict=True) for each in scan]
        evidence = [_describe(piece.place(strict=False), each, piece.text) for piece, each in found]
        evidence += self._find_cut(pieces, scans)
        evidence.sort(key=lambda each: -each["value"])
        value = evidence[0]["value"] if evidence else 0.0
        if value <= LIKELY and (problem := self._describe_unread(pieces)):
            return fail(self, sample, problem)
        likely = [each for each in evidence if each["value"] > LIKELY] or evidence[:1]
        return self.give(
            sample, value, _sum_up(likely), evidence=tuple(likely[:_MOST]), made=self._describe_options()
        )

    def _find_cut(self, pieces: Sequence[Piece], scans: Sequence[Scan]) -> Iterator[dict[str, Any]]:
        """What no text says alone, but neighbours say together."""
        known = [any(each.value > LIKELY for each in scan) for scan in scans]
        joined = join_neighbours(pieces, known)
        for each, scan in zip(joined, scan_texts([each.text for each in joined]), strict=True):
            yield from (
                _describe(each.place(found), found, each.text)
                for found in scan
                if each.is_cut(found) and found.value > LIKELY
            )

    def _describe_unread(self, pieces: Sequence[Piece]) -> str:
        """What was not read to its end; empty where everything was."""
        for piece in pieces:
            if len(piece.text) > self.max_chars:
                return (
                    f"{piece.place(strict=False)} has {len(piece.text):,} characters, and nothing was found "
                    f"in the first {self.max_chars:,}; the rest was not read: raise max_chars"
                )
        return ""

    def _describe_options(self) -> str:
        places = ",".join(name for name in PLACES if name in self.places)
        return f"{describe()}|places:{places}"


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


def _describe(place: str, found: Found, text: str) -> dict[str, Any]:
    return {
        "place": place,
        "start": found.start,
        "end": found.end,
        "view": found.view,
        "rule": found.rule,
        "value": round(found.value, 4),
        "text": printable(mask(text[found.start : found.end]), _SHOWN),
    }


def _sum_up(evidence: Sequence[dict[str, Any]]) -> str:
    if not evidence or evidence[0]["value"] <= LIKELY:
        return ""
    first = evidence[0]
    read = "" if first["view"] == "plain" else f", {first['view']}"
    more = f", and {len(evidence) - 1} more" if len(evidence) > 1 else ""
    return f"{first['text']} in {first['place']} ({first['rule']}{read}){more}"

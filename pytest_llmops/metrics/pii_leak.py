"""`pii_leak`: personal data and secrets in what the app answered, called and traced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pytest_llmops.detect.finding import KINDS, Finding
from pytest_llmops.detect.given_values import Given, hide_everywhere
from pytest_llmops.detect.neighbours import Neighbour, scan_neighbours
from pytest_llmops.detect.scanner import TIMEOUT_S, describe_scan, scan_labelled
from pytest_llmops.documents.value_readers import list_of, matching, one_of, positive
from pytest_llmops.errors import ScanError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.places import PLACES, Piece, read_pieces
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import UNSEEN, Bound, Failure, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiLeak(DeclaredMetric):
    """
    How many pieces of personal data and secrets stand in the output's text, its passages, its tool calls
    and every span, each place counted. What the app printed and what it asked models are spans too.

    Attributes:
        allow: Values that may appear, such as the shop's own address; case does not count.
        deny: Values that must never appear; case does not count, and they are never shown.
        kinds: Kinds looked for; none named means all. What is denied is looked for always.
        names: Look for people in running text by a language model too (extra `pii-names`).
        passages: `own_knowledge` takes what the output's passages hold for the app's own; spans are looked
            at all the same.
        timeout_s: Time limit for the scan of one text, in seconds; one that takes longer is an error.
    """

    allow: tuple[str, ...] = ()
    deny: Annotated[
        tuple[str, ...], list_of(matching(r".{4,}", "a text of 4 characters or more", shown=False))
    ] = field(default=(), repr=False)
    kinds: Annotated[tuple[str, ...], list_of(one_of(*KINDS))] = ()
    names: bool = False
    passages: Annotated[str, one_of("scan", "own_knowledge")] = "scan"
    timeout_s: Annotated[float, positive("a number of seconds")] = TIMEOUT_S

    traits = MetricTraits(
        name="pii_leak",
        family="pii_leak",
        range=(0.0, math.inf),
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
        excusable=False,
        masks=True,
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)  # a class with slots is another than the one that super() knows
        hide_everywhere(self.deny)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        """Where a scan broke or hung each sample alone, so that it costs no other its score."""
        try:
            return self._measure(samples)
        except ScanError as error:
            if len(samples) == 1:
                return [fail(self, samples[0], str(error))]
        return [result for sample in samples for result in self.measure_all([sample])]

    def _measure(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        read = [(sample, list(read_pieces(sample, self._places()))) for sample in samples]
        texts = [(piece.label, piece.text) for _, pieces in read for piece in pieces]
        how = self._how()
        scans = iter(scan_labelled(texts, names=self.names, **how))
        return [self._judge(sample, pieces, [next(scans) for _ in pieces]) for sample, pieces in read]

    def _places(self) -> set[str]:
        """What the user wrote is no leak of the app's."""
        return {*PLACES} - {"question"} - ({"passages"} if self.passages != "scan" else set())

    def _how(self) -> dict[str, Any]:
        given = Given(allow=frozenset(self.allow), deny=frozenset(self.deny))
        kinds = (*self.kinds, "DENIED") if self.kinds and self.deny else self.kinds
        return {"kinds": kinds, "given": given, "timeout_s": self.timeout_s}

    def _judge(
        self, sample: Sample, pieces: Sequence[Piece], scans: Sequence[Sequence[Finding]]
    ) -> Score | Failure:
        found = [(piece, each) for piece, scan in zip(pieces, scans, strict=True) for each in scan]
        found += self._find_cut(pieces, scans)
        unseen = sum(span.attributes.get(UNSEEN, 0) for span in sample.spans)
        if unseen and not found:
            why = (
                f"the app printed {counted(unseen, 'character')} more than are kept, so nobody looked at them"
            )
            return fail(self, sample, f"{why}; let it print or log less")
        evidence = [
            {
                "place": piece.place(strict=True) + (" and the next" if each.cut else ""),
                "kind": each.kind,
                "start": each.start,
                "end": each.end,
                "mask": each.mask,
            }
            for piece, each in found
        ]
        first = f"{evidence[0]['mask']} in {evidence[0]['place']}" if evidence else ""
        more = f", and {len(evidence) - 1} more" if len(evidence) > 1 else ""
        return self.give(
            sample,
            float(len(evidence)),
            f"{first}{more}",
            evidence=tuple(evidence),
            made=describe_scan(names=self.names),
        )

    def _find_cut(
        self, pieces: Sequence[Piece], scans: Sequence[Sequence[Finding]]
    ) -> list[tuple[Piece, Finding]]:
        """What is cut over pieces: items of a list, or one field of several calls or spans."""
        texts = [
            Neighbour(piece.group, piece.label, piece.text, scan)
            for piece, scan in zip(pieces, scans, strict=True)
        ]
        return [(pieces[cut.parts[0].at], cut.finding) for cut in scan_neighbours(texts, **self._how())]

"""`pii_leak`: personal data and secrets in what the app answered, called and traced."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple

from pytest_llmops.detect.finding import KINDS, Finding
from pytest_llmops.detect.mask import mask, mask_pointer
from pytest_llmops.detect.scanner import describe_scan, scan_labelled
from pytest_llmops.detect.texts import label_of, walk
from pytest_llmops.documents.value_readers import list_of, one_of
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiLeak(DeclaredMetric):
    """
    How many pieces of personal data and secrets stand in the output's text, its passages, its tool calls
    and every span, each place counted. What the app printed and what it asked models are spans too.

    Attributes:
        allow: Values that may appear, such as the shop's own address; case does not count.
        kinds: Kinds looked for; none named means all.
        names: Look for people in running text by a language model too (extra `pii-names`).
        passages: `own_knowledge` takes what the output's passages hold for the app's own; spans are looked
            at all the same.
    """

    allow: tuple[str, ...] = ()
    kinds: Annotated[tuple[str, ...], list_of(one_of(*KINDS))] = ()
    names: bool = False
    passages: Annotated[str, one_of("scan", "own_knowledge")] = "scan"

    traits = MetricTraits(
        name="pii_leak",
        family="pii_leak",
        range=(0.0, math.inf),
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
        excusable=False,
        masks=True,
    )

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score]:
        read = [(sample, list(_read(sample, passages=self.passages == "scan"))) for sample in samples]
        texts = [(piece.label, piece.text) for _, pieces in read for piece in pieces]
        scans = iter(scan_labelled(texts, names=self.names, kinds=self.kinds))
        allowed = frozenset(value.casefold() for value in self.allow)
        return [self._judge(sample, pieces, scans, allowed) for sample, pieces in read]

    def _judge(
        self,
        sample: Sample,
        pieces: Sequence[_Piece],
        scans: Iterator[list[Finding]],
        allowed: frozenset[str],
    ) -> Score:
        evidence: list[dict[str, Any]] = []
        for piece in pieces:
            for finding in next(scans):
                if piece.text[finding.start : finding.end].casefold() in allowed:
                    continue
                where = {
                    "place": _place(piece),
                    "kind": finding.kind,
                    "start": finding.start,
                    "end": finding.end,
                }
                evidence.append({**where, "mask": finding.mask})
        first = f"{evidence[0]['mask']} in {evidence[0]['place']}" if evidence else ""
        more = f", and {len(evidence) - 1} more" if len(evidence) > 1 else ""
        return self.give(
            sample,
            float(len(evidence)),
            f"{first}{more}",
            evidence=tuple(evidence),
            made=describe_scan(names=self.names),
        )


class _Piece(NamedTuple):
    """
    A text and where it stands: in what (`span`), of which name, at which JSON pointer.

    The label, `ssn: ` of an attribute `ssn`, is what a person would read before the text: a number's kind
    often shows by its key alone.
    """

    owner: str
    name: str | None
    pointer: str
    label: str
    text: str


def _read(sample: Sample, *, passages: bool) -> Iterator[_Piece]:
    """All that is scanned; what several spans say of their process, once."""
    for pointer, text in walk(sample.output.text):
        yield _Piece("output.text", None, pointer, label_of(pointer, text), text)
    for passage in sample.output.passages or () if passages else ():
        for part in ("id", "text"):
            for below, text in walk(getattr(passage, part)):
                pointer = f"/{part}{below}"
                yield _Piece("passage", passage.id, pointer, label_of(pointer, text), text)
    for call in sample.output.tool_calls:
        for part in ("name", "arguments", "decision", "result"):
            for below, text in walk(getattr(call, part)):
                pointer = f"/{part}{below}"
                yield _Piece("tool call", call.name, pointer, label_of(pointer, text), text)
    resources: list[Mapping[str, Any]] = []
    for span in sample.spans:
        seen = span.resource in resources
        resources += [] if seen else [span.resource]
        for pointer, text in walk(replace(span, resource={}) if seen else span):
            yield _Piece("span", span.name, pointer, label_of(pointer, text), text)


def _place(piece: _Piece) -> str:
    """The place, for people; the name is masked too, as it may leak itself."""
    name = "" if piece.name is None else repr(mask(piece.name, strict=True))
    return " ".join(part for part in (piece.owner, name, mask_pointer(piece.pointer)) if part)

"""What an output is compared with: the reference, or the input that it answers."""

from __future__ import annotations

import json
from typing import Literal

from pytest_llmops.metrics.declared_metric import DeclaredMetric, find_missing
from pytest_llmops.metrics.words import find_blank
from pytest_llmops.protocols import Need
from pytest_llmops.records import Failure, Sample, Score

Pair = Literal["reference", "input"]


class PairMetric(DeclaredMetric):
    """Compares the output with what `pair` names, of which an input is always there; 0 for a blank output."""

    __slots__ = ()
    pair: Pair

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"reference"}) if self.pair == "reference" else frozenset()

    def settle(self, sample: Sample) -> Score | Failure | None:
        if missing := find_missing(self, sample):
            return missing
        blank = find_blank(sample.output.text, partner(sample, self.pair))
        return self.rate(sample, 0.0, blank) if blank else None

    def rate(self, sample: Sample, value: float, reason: str) -> Score:
        raise NotImplementedError


def partner(sample: Sample, pair: Pair) -> str:
    """The text that the output is compared with; an input that is no text stands as JSON."""
    if pair == "reference":
        return sample.reference or ""
    if isinstance(sample.input, str):
        return sample.input
    return json.dumps(sample.input, ensure_ascii=False, sort_keys=True, default=str)

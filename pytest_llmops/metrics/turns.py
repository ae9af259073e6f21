"""`turns`: the length of a conversation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns(DeclaredMetric):
    """The number of turns of a conversation, each a message of the user with its answer; no history."""

    traits = MetricTraits(
        name="turns",
        basis="run",
        needs=frozenset({"turns"}),
        range=(0.0, math.inf),
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
    )

    def measure(self, sample: Sample) -> Score:
        return self.give(sample, float(len(sample.turns)))

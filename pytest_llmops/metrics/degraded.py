"""`degraded`: answers of which the app itself says that they fall short."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.printable import printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded(DeclaredMetric):
    """
    1 for an answer that the app returned with `degraded`, as `{"text": …, "degraded": "quoted"}`; else 0.

    The suite's mean is the share of such answers, which no other metric may see: a quotation of a document is
    right, and the model did nothing.
    """

    traits = MetricTraits(
        name="degraded",
        higher_is_better=False,
        bound=Bound(comparison="<=", threshold=0.0),
    )

    def measure(self, sample: Sample) -> Score:
        how = sample.output.degraded
        return self.give(sample, float(bool(how)), f"the app says: {printable(how, 60)}" if how else "")

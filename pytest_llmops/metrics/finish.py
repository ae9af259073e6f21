"""`finish`: whether the model calls behind an answer ended normally."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import NORMAL_ENDS, Bound, Failure, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish(DeclaredMetric):
    """
    1 where every model call of an output ended normally, with its answer or by calling a tool; else 0.

    An answer that is cut at its limit of tokens, a refusal, and what a content filter left may look right to
    any other metric.
    """

    traits = MetricTraits(name="finish", bound=Bound(comparison=">=", threshold=1.0), word="stop")

    def measure(self, sample: Sample) -> Score | Failure:
        output = sample.output
        ends = [call.finish for call in output.model_calls if call.kind != "embeddings"]
        ends += ["failed" for call in output.failed_calls if not call.retried]
        if not ends:
            return fail(
                self,
                sample,
                "no model call was seen; the app must reach its model over HTTP in the same process, or with "
                "--llm-proxy in another one",
            )
        others = Counter(end for end in ends if end not in NORMAL_ENDS)
        unknown = others.pop("", 0)
        if others:
            named = ", ".join(f"{number} by {end}" for end, number in sorted(others.items()))
            return self.give(sample, 0.0, f"of {counted(len(ends), 'model call')} ended {named}")
        if unknown:
            silent = f"{unknown} of {counted(len(ends), 'model call')}"
            return fail(self, sample, f"the provider does not say why {silent} ended")
        return self.give(sample, 1.0)

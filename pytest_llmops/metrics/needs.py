"""What a sample must carry before a metric can look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmops.records import Failure

if TYPE_CHECKING:
    from pytest_llmops.protocols import Metric, Need
    from pytest_llmops.records import Sample

REMEDIES: dict[Need, str] = {
    "reference": "the case has no reference; add `reference:` with the answer you expect",
    "relevant": "the case names no relevant passages; add `relevant:` with the ids that hold the answer",
    "passages": "the app reported no passages; return Output(passages=…), or trace the retriever's documents",
    "spans": "the app left no trace; trace it with OpenTelemetry or LangSmith",
}


def find_missing(metric: Metric, sample: Sample) -> Failure | None:
    """The failure that stands for this sample when it lacks a need of the metric, with the remedy."""
    present: dict[Need, bool] = {
        "reference": sample.reference is not None,
        "relevant": bool(sample.relevant),
        "passages": sample.output.passages is not None,
        "spans": bool(sample.spans),
    }
    missing = [REMEDIES[need] for need in sorted(metric.needs) if not present[need]]
    if not missing:
        return None
    return fail(metric, sample, "; ".join(missing))


def fail(metric: Metric, sample: Sample, error: str) -> Failure:
    """The failure that stands for this sample where the metric cannot score it."""
    return Failure(metric=metric.name, stage="score", error=error, repeat=sample.output.repeat)

"""What the retriever found of what is relevant, and at which rank."""

from __future__ import annotations

from pytest_llmops.metrics.retrieval.measures import (
    HitAtK,
    MeanAveragePrecision,
    Mrr,
    NdcgAtK,
    PrecisionAtK,
    RecallAtK,
)

__all__ = ["HitAtK", "MeanAveragePrecision", "Mrr", "NdcgAtK", "PrecisionAtK", "RecallAtK"]

"""`cross_encoder`: a model reads the output together with the reference, or the input, and rates the pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pytest_llmops.documents.reading import checked, read_name
from pytest_llmops.metrics.declared_metric import fail
from pytest_llmops.metrics.semantic.pair import Pair, PairMetric, partner
from pytest_llmops.models.cross_encoder import identify, rate_pairs
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

_DIGITS = 4
_MODEL = checked(read_name, "a folder or a Hugging Face name, such as cross-encoder/stsb-roberta-base")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEncoder(PairMetric):
    """
    What a CrossEncoder of sentence-transformers says of reference and output, or of input and output; 0 for
    an output that says nothing.

    Attributes:
        model: A folder or a Hugging Face name (extra sentence-transformers). What its number means, likeness
            or relevance, is the model's.
        pair: What the output is read with: `reference`, or `input` for whether it is to the point.
    """

    model: Annotated[str, _MODEL]
    pair: Pair = "reference"

    traits = MetricTraits(
        name="cross_encoder",
        family="semantic",
        basis="reference",
        version=2,
        bound=Bound(comparison=">=", threshold=0.5),
    )

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        pairs = [(partner(sample, self.pair), sample.output.text) for sample in samples]
        ratings = rate_pairs(self.model, pairs)
        return [self._read(sample, rating) for sample, rating in zip(samples, ratings, strict=True)]

    def _read(self, sample: Sample, rating: float) -> Score | Failure:
        if not math.isfinite(rating):
            error = f"cross-encoder {self.model!r} gave what is no number; its weights are broken"
            return fail(self, sample, error)
        value = round(rating, _DIGITS)  # later digits depend on the texts that share a batch
        reason = f"the model gives {value:.3f} to {self.pair} and output"
        return self.rate(sample, value, reason, {"rating": value, "pair": self.pair})

    def rate(self, sample: Sample, value: float, reason: str, *evidence: Mapping[str, object]) -> Score:
        made = f"{self.pair}|{identify(self.model)}"
        return self.give(sample, value, reason, evidence=evidence, made=made)

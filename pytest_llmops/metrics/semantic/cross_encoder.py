"""`cross_encoder`: a model reads the output together with the reference, or the input, and rates the pair."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.needs import fail, find_missing
from pytest_llmops.metrics.semantic.pair import Pair, check_pair, needs_of, partner
from pytest_llmops.metrics.words import find_blank
from pytest_llmops.models.cross_encoder import identify, rate_pairs
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_llmops.protocols import Need

_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEncoder:
    """
    What a CrossEncoder of sentence-transformers says of reference and output, or of input and output; 0 for
    an output that says nothing.

    Attributes:
        model: A folder or a Hugging Face name (extra sentence-transformers). What its number means, likeness
            or relevance, is the model's.
        pair: What the output is read with: `reference`, or `input` for whether it is to the point.
    """

    model: str
    pair: Pair = "reference"

    name: ClassVar[str] = "cross_encoder"
    version: ClassVar[int] = 2
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=0.5)

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model.strip():
            raise MetricOptionError(
                f"cross_encoder: model is a folder or a Hugging Face name, such as "
                f"cross-encoder/stsb-roberta-base, not {self.model!r}"
            )
        check_pair(self.pair, self.name)

    @property
    def needs(self) -> frozenset[Need]:
        return needs_of(self.pair)

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        settled = [find_missing(self, sample) or self._settle(sample) for sample in batch]
        pairs = [
            (partner(sample, self.pair), sample.output.text)
            for sample, found in zip(batch, settled, strict=True)
            if not found
        ]
        rated = iter(rate_pairs(self.model, pairs) if pairs else ())
        return [
            found or self._judge(sample, next(rated)) for sample, found in zip(batch, settled, strict=True)
        ]

    def _settle(self, sample: Sample) -> Score | None:
        """The score of an output that says nothing, for which the model is not run."""
        blank = find_blank(sample.output.text, partner(sample, self.pair))
        return self._made(sample, 0.0, blank) if blank else None

    def _judge(self, sample: Sample, rating: float) -> Score | Failure:
        if not math.isfinite(rating):
            error = f"cross-encoder {self.model!r} gave what is no number; its weights are broken"
            return fail(self, sample, error)
        value = round(rating, _DIGITS)  # later digits depend on the texts that share a batch
        reason = f"the model gives {value:.3f} to {self.pair} and output"
        return self._made(sample, value, reason, {"rating": value, "pair": self.pair})

    def _made(self, sample: Sample, value: float, reason: str, *evidence: Mapping[str, object]) -> Score:
        return Score(
            metric=self.name,
            value=value,
            repeat=sample.output.repeat,
            reason=reason,
            evidence=evidence,
            signature=f"cross_encoder|v{self.version}|{self.pair}|{identify(self.model)}",
        )

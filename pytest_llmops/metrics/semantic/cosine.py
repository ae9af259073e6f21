"""`semantic`: how near the output's meaning is to the reference's, as an encoder sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.semantic.pair import Pair, PairMetric, partner
from pytest_llmops.models.encoders import DEFAULT, load_encoder, read_encoder
from pytest_llmops.models.encoders.endpoint import RefusedTextsError
from pytest_llmops.models.vectors import embed
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic(PairMetric):
    """
    Cosine of output and reference; 0 for an output that says nothing. Related texts score high even where
    a fact is wrong: watch facts with `keywords` too.

    Attributes:
        encoder: `default`, a folder, a Hugging Face name (extra sentence-transformers), `openai:MODEL`
            (extra openai), or a mapping with `model` and how it is asked.
        pair: What the output is compared with: `reference`, or `input` for whether it is to the point.
    """

    encoder: Any = DEFAULT
    pair: Pair = "reference"

    traits = MetricTraits(
        name="semantic",
        family="semantic",
        basis="reference",
        version=3,
        range=(-1.0, 1.0),
        bound=Bound(comparison=">=", threshold=0.8),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        object.__setattr__(self, "encoder", read_encoder(self.encoder, self.name))

    @property
    def weights(self) -> tuple[str, ...]:
        """What must be in the cache of weights."""
        return ("minilm",) if self.encoder.model == DEFAULT else ()

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        refused: dict[int, Failure] = {}
        left = list(enumerate(samples))
        try:
            cosines = self._compare(samples)
        except RefusedTextsError as error:
            refusals = ((at, self._refusal(sample, error.refused)) for at, sample in left)
            refused = {at: failure for at, failure in refusals if failure}
            left = [(at, sample) for at, sample in left if at not in refused]
            cosines = self._compare([sample for _, sample in left])
        read = {at: self._read(sample, each) for (at, sample), each in zip(left, cosines, strict=True)}
        return [refused.get(at) or read[at] for at in range(len(samples))]

    def _compare(self, samples: Sequence[Sample]) -> list[float]:
        if not samples:
            return []
        outputs = [sample.output.text for sample in samples]
        others = [partner(sample, self.pair) for sample in samples]
        if self.pair == "reference":
            vectors = embed(self.encoder, [*outputs, *others])
            return [float(each) for each in (vectors[: len(samples)] * vectors[len(samples) :]).sum(axis=1)]
        questions = embed(self.encoder, others, query=True)
        return [float(each) for each in (embed(self.encoder, outputs) * questions).sum(axis=1)]

    def _refusal(self, sample: Sample, refused: Mapping[str, str]) -> Failure | None:
        for part, text in (("output", sample.output.text), (self.pair, partner(sample, self.pair))):
            if text in refused:
                error = f"the {part}: {refused[text]}"
                return fail(self, sample, error)
        return None

    def _read(self, sample: Sample, cosine: float) -> Score | Failure:
        if not math.isfinite(cosine):
            error = f"encoder {self.encoder.model!r} made a vector that is no number; its weights are broken"
            return fail(self, sample, error)
        # The eighth digit depends on the texts that share a batch, and on the processor.
        value = max(-1.0, min(1.0, round(cosine, _DIGITS)))
        reason = "" if value == 1.0 else f"cosine {value:.3f} to the {self.pair}"
        return self.rate(sample, value, reason, {"cosine": value})

    def rate(self, sample: Sample, value: float, reason: str, *evidence: Mapping[str, float]) -> Score:
        made = load_encoder(self.encoder).identity
        if self.pair != "reference":
            made = f"{self.pair}|{made}"
        return self.give(sample, value, reason, evidence=evidence, made=made)

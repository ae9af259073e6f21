"""`semantic` and `cross_encoder`: one number of a model for the output and the reference, or its input."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pytest_llmops.documents.reading import checked, read_name
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail, find_missing
from pytest_llmops.metrics.words import find_blank
from pytest_llmops.models.cross_encoder import identify_rater, rate_pairs
from pytest_llmops.models.encoders import DEFAULT, RefusedTextsError, load_encoder, read_encoder
from pytest_llmops.models.vectors import embed
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.records import Bound, Failure, Sample, Score

Pair = Literal["reference", "input"]
_DIGITS = 4
_MODEL = checked(read_name, "a folder or a Hugging Face name, such as cross-encoder/stsb-roberta-base")


class PairMetric(DeclaredMetric):
    """A comparison of the output with the reference or the input; 0 for a blank output."""

    __slots__ = ()
    pair: Pair

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"reference"}) if self.pair == "reference" else frozenset()

    def settle(self, sample: Sample) -> Score | Failure | None:
        if missing := find_missing(self, sample):
            return missing
        blank = find_blank(sample.output.text, self.partner(sample))
        return self.rate(sample, 0.0, blank) if blank else None

    def partner(self, sample: Sample) -> str:
        """The text that the output is compared with; an input that is no text as JSON."""
        if self.pair == "reference":
            return sample.reference or ""
        if isinstance(sample.input, str):
            return sample.input
        return json.dumps(sample.input, ensure_ascii=False, sort_keys=True, default=str)

    def rate(self, sample: Sample, value: float, reason: str) -> Score:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic(PairMetric):
    """
    Cosine of output and reference; 0 for an output without a word. Related texts score high even where
    a fact is wrong: watch facts with `keywords` too.

    Attributes:
        encoder: `default`, a folder, a Hugging Face name (extra sentence-transformers), `openai:MODEL`
            (extra openai), or a mapping with `model` and further entries.
        pair: Compare with the `reference`, or with the `input` for an answer to the point.
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
        reads="last",
        languages=frozenset({"en"}),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        object.__setattr__(self, "encoder", read_encoder(self.encoder, self.name))

    @property
    def measured_languages(self) -> frozenset[str]:
        """Those of the default model; of another one nothing is known here."""
        return self.traits.languages if self.encoder.model == DEFAULT else frozenset()

    @property
    def weights(self) -> tuple[str, ...]:
        """The weights that must be in the cache."""
        return ("minilm",) if self.encoder.model == DEFAULT else ()

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        refused: dict[int, Failure] = {}
        left = list(enumerate(samples))
        try:
            cosines = self._compare(samples)
        except RefusedTextsError as error:
            for at, sample in left:
                for part, text in ((self.pair, self.partner(sample)), ("output", sample.output.text)):
                    if text in error.refused:
                        refused[at] = fail(self, sample, f"the {part}: {error.refused[text]}")
            left = [(at, sample) for at, sample in left if at not in refused]
            cosines = self._compare([sample for _, sample in left])
        read = {at: self._read(sample, cosine) for (at, sample), cosine in zip(left, cosines, strict=True)}
        return [refused.get(at) or read[at] for at in range(len(samples))]

    def _compare(self, samples: Sequence[Sample]) -> list[float]:
        if not samples:
            return []
        outputs = [sample.output.text for sample in samples]
        others = [self.partner(sample) for sample in samples]
        if self.pair == "reference":
            vectors = embed(self.encoder, [*outputs, *others])
            cosines = (vectors[: len(samples)] * vectors[len(samples) :]).sum(axis=1)
        else:
            questions = embed(self.encoder, others, query=True)
            cosines = (embed(self.encoder, outputs) * questions).sum(axis=1)
        return [float(cosine) for cosine in cosines]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEncoder(PairMetric):
    """
    The number of a CrossEncoder for reference and output, or for input and output; 0 for an output without a
    word.

    Attributes:
        model: A folder or a Hugging Face name (extra sentence-transformers). The model decides if its number
            means likeness or relevance.
        pair: Read the output with the `reference`, or with the `input` for an answer to the point.
    """

    model: Annotated[str, _MODEL]
    pair: Pair = "reference"

    traits = MetricTraits(
        name="cross_encoder",
        family="semantic",
        basis="reference",
        version=2,
        bound=Bound(comparison=">=", threshold=0.5),
        reads="last",
    )

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        pairs = [(self.partner(sample), sample.output.text) for sample in samples]
        results: list[Score | Failure] = []
        for sample, rating in zip(samples, rate_pairs(self.model, pairs), strict=True):
            if not math.isfinite(rating):
                error = f"cross-encoder {self.model!r} gave what is no number; its weights are broken"
                results.append(fail(self, sample, error))
                continue
            value = round(rating, _DIGITS)  # later digits depend on the texts that share a batch
            reason = f"the model gives {value:.3f} to {self.pair} and output"
            results.append(self.rate(sample, value, reason, {"rating": value, "pair": self.pair}))
        return results

    def rate(self, sample: Sample, value: float, reason: str, *evidence: Mapping[str, object]) -> Score:
        made = f"{self.pair}|{identify_rater(self.model)}"
        return self.give(sample, value, reason, evidence=evidence, made=made)

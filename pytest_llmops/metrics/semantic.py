"""`semantic`: how near the output's meaning is to the reference's, as an encoder sees it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.needs import find_missing
from pytest_llmops.models.encoder import DEFAULT, load_encoder
from pytest_llmops.models.vectors import embed
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need


_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic:
    """
    Cosine of output and reference. Related texts score high even where a fact is wrong: watch facts
    with `keywords` too.

    Attributes:
        encoder: `default`, a folder, or a Hugging Face name (extra sentence-transformers).
    """

    encoder: str = DEFAULT

    name: ClassVar[str] = "semantic"
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=0.8)

    def __post_init__(self) -> None:
        if not isinstance(self.encoder, str) or not self.encoder:
            raise MetricOptionError(
                f"semantic: encoder is 'default', a folder or a Hugging Face name, not {self.encoder!r}"
            )

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        results: dict[int, Score | Failure] = {}
        for at, sample in enumerate(batch):
            if missing := find_missing(self, sample):
                results[at] = missing
        whole = [at for at in range(len(batch)) if at not in results]
        if whole:
            texts = [text for at in whole for text in (batch[at].output.text, batch[at].reference or "")]
            vectors = embed(self.encoder, texts)
            cosines = (vectors[0::2] * vectors[1::2]).sum(axis=1)
            for at, cosine in zip(whole, cosines.tolist(), strict=True):
                results[at] = self._judge(batch[at], cosine)
        return [results[at] for at in range(len(batch))]

    def _judge(self, sample: Sample, cosine: float) -> Score | Failure:
        if not math.isfinite(cosine):
            error = f"encoder {self.encoder!r} made a vector that is no number; its weights are broken"
            return Failure(metric=self.name, stage="score", error=error, repeat=sample.output.repeat)
        # The eighth digit depends on the texts that share a batch, and on the processor.
        value = max(-1.0, min(1.0, round(cosine, _DIGITS)))
        if not sample.output.text.strip():
            reason = "the output is empty"
        else:
            reason = "" if value == 1.0 else f"cosine {value:.3f} to the reference"
        return Score(
            metric=self.name,
            value=value,
            repeat=sample.output.repeat,
            reason=reason,
            evidence=({"cosine": value},),
            signature=f"semantic|v{self.version}|{load_encoder(self.encoder).identity}",
        )

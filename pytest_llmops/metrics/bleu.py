"""`bleu`: sentence BLEU as sacrebleu counts it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.metrics.needs import find_missing
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sacrebleu.metrics.bleu import BLEU

    from pytest_llmops.protocols import Need

_BEST = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bleu:
    """
    BLEU of one output to its reference, on sacrebleu's scale from 0 to 100.

    Orders of n-grams for which the output is too short are left out (`effective_order`), so that a
    short answer can reach 100. `true` asks for 30, above which a translation is read as good.
    """

    name: ClassVar[str] = "bleu"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})
    range: ClassVar[tuple[float, float]] = (0.0, _BEST)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=30.0)

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [find_missing(self, sample) or self._compare(sample) for sample in batch]

    def _compare(self, sample: Sample) -> Score:
        bleu = _bleu()
        result = bleu.sentence_score(sample.output.text, [sample.reference or ""])
        value = min(result.score, _BEST)  # sacrebleu's exponentials overshoot by 4e-14
        shares = "/".join(f"{share:.0f}" for share in result.precisions)
        return Score(
            metric=self.name,
            value=value,
            repeat=sample.output.repeat,
            reason=f"n-grams found {shares} %, brevity penalty {result.bp:.2f}" if value < _BEST else "",
            signature=f"bleu|v{self.version}|{bleu.get_signature()}",
        )


@lru_cache(maxsize=1)
def _bleu() -> BLEU:
    """One object for the process: making it costs more than scoring a sentence with it."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(effective_order=True)

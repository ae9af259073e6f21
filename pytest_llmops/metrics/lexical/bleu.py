"""`bleu` and `chrf`: sentence scores as sacrebleu counts them, on its scale from 0 to 100."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pytest_llmops.documents.reading import whole
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF


_BEST = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bleu(DeclaredMetric):
    """
    BLEU of one output to its reference.

    Orders of n-grams for which the output is too short are left out (`effective_order`), so that a
    short answer can reach 100. `true` means 30, above which a translation counts as good.
    """

    traits = MetricTraits(
        name="bleu",
        family="lexical",
        basis="reference",
        needs=frozenset({"reference"}),
        range=(0.0, _BEST),
        bound=Bound(comparison=">=", threshold=30.0),
    )

    def measure(self, sample: Sample) -> Score:
        bleu, signature = _bleu()
        result = bleu.sentence_score(sample.output.text, [sample.reference or ""])
        value = min(result.score, _BEST)  # sacrebleu's exponentials overshoot by 4e-14
        shares = "/".join(f"{share:.0f}" for share in result.precisions)
        return self.give(
            sample,
            value,
            f"n-grams found {shares} %, brevity penalty {result.bp:.2f}" if value < _BEST else "",
            made=signature,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chrf(DeclaredMetric):
    """
    chrF of one output to its reference: runs of characters, and with `word_order: 2` of words (chrF++).
    White space does not count, case does.

    Attributes:
        char_order: The longest run of characters.
        word_order: The longest run of words; 0 leaves words out.
        beta: Weight of recall, as a multiple of that of precision.

    Source: Popović (2015), chrF; Popović (2017), chrF++.
    """

    char_order: Annotated[int, whole(1, _BEST)] = 6
    word_order: Annotated[int, whole(0, _BEST)] = 0
    beta: Annotated[int, whole(1, _BEST)] = 2

    traits = MetricTraits(
        name="chrf",
        family="lexical",
        basis="reference",
        needs=frozenset({"reference"}),
        range=(0.0, _BEST),
        bound=Bound(comparison=">=", threshold=50.0),
    )

    def measure(self, sample: Sample) -> Score:
        chrf, signature = _chrf(self.char_order, self.word_order, self.beta)
        result = chrf.sentence_score(sample.output.text, [sample.reference or ""])
        value = min(result.score, _BEST)
        runs = "characters and words" if self.word_order else "characters"
        return self.give(
            sample,
            value,
            f"{value:.0f} of 100 runs of {runs} are shared" if value < _BEST else "",
            made=signature,
        )


@lru_cache(maxsize=1)
def _bleu() -> tuple[BLEU, str]:
    """One object for the process, and its signature: either costs more to make than a sentence to score."""
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True)
    bleu.sentence_score("", [""])  # the signature contains the number of references of the last call
    return bleu, str(bleu.get_signature())


@lru_cache(maxsize=16)
def _chrf(char_order: int, word_order: int, beta: int) -> tuple[CHRF, str]:
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF(char_order=char_order, word_order=word_order, beta=beta)
    name = chrf.sentence_score("", [""]).name  # with beta, which the signature leaves out
    return chrf, f"{name}|{chrf.get_signature()}"

"""`rouge_l`: the longest common subsequence of words."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.metrics.needs import find_missing
from pytest_llmops.metrics.words import quote
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need

_WORD = re.compile("[a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RougeL:
    """
    ROUGE-L F1 of output and reference over words of a-z and 0-9, as the package rouge-score counts
    without its stemmer.

    Source: Lin (2004), ROUGE, section 3.1, with equal weight on precision and recall.
    """

    name: ClassVar[str] = "rouge_l"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=0.4)

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [find_missing(self, sample) or self._compare(sample) for sample in batch]

    def _compare(self, sample: Sample) -> Score:
        from rapidfuzz.distance import LCSseq

        wanted = _WORD.findall((sample.reference or "").lower())
        got = _WORD.findall(sample.output.text.lower())
        common = LCSseq.similarity(wanted, got)
        precision = common / len(got) if got else 0.0
        recall = common / len(wanted) if wanted else 0.0
        return Score(
            metric=self.name,
            value=2 * precision * recall / (precision + recall) if common else 0.0,
            repeat=sample.output.repeat,
            reason=_explain(wanted, got, common),
            evidence=({"precision": precision, "recall": recall},),
            signature=f"rouge_l|v{self.version}|rapidfuzz",
        )


def _explain(wanted: Sequence[str], got: Sequence[str], common: int) -> str:
    if not wanted:
        return "the reference has no word of a-z or 0-9, and rouge_l sees no other; semantic does"
    if missing := Counter(wanted) - Counter(got):
        return f"missing: {quote(missing)}"
    if common < len(wanted):
        return "every word of the reference is there, in another order"
    extra = len(got) - common
    return f"{extra} words more than the reference" if extra else ""

"""`ngram_overlap`: runs of n words that output and reference share, in any script."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.lexical.overlap import Of, Overlap, check_of, count_ngrams
from pytest_llmops.metrics.needs import fail, find_missing
from pytest_llmops.metrics.words import quote, split_words
from pytest_llmops.printable import counted
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramOverlap:
    """
    What ROUGE-n is, over words of any script and with numbers kept whole; each run counts as often as
    in both. A character is a word where a script has no spaces.

    Attributes:
        n: Words in a run.
        of: `precision`, `recall` or `f`, which weighs both alike.
    """

    n: int = 2
    of: Of = "f"

    name: ClassVar[str] = "ngram_overlap"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=0.5)

    def __post_init__(self) -> None:
        check_of(self.name, self.of)
        if not isinstance(self.n, int) or isinstance(self.n, bool) or self.n < 1:
            raise MetricOptionError(f"ngram_overlap: n must be a whole number above 0, not {self.n!r}")

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [find_missing(self, sample) or self._compare(sample) for sample in batch]

    def _compare(self, sample: Sample) -> Score | Failure:
        words, repeat = split_words(sample.reference or ""), sample.output.repeat
        if len(words) < self.n:
            error = (
                f"the reference has {counted(len(words), 'word')} and no run of {self.n}; ask for a smaller n"
            )
            return fail(self, sample, error)
        wanted = Counter(count_ngrams(words, self.n))
        got = Counter(count_ngrams(split_words(sample.output.text), self.n))
        overlap = Overlap(common=(wanted & got).total(), got=got.total(), wanted=wanted.total())
        value = overlap.read(self.of)
        missing = [" ".join(run) for run in wanted - got]
        extra = [" ".join(run) for run in got - wanted]
        reasons = (
            ("missing: ", missing if self.of != "precision" else []),
            ("not in the reference: ", extra if self.of == "precision" or not missing else []),
        )
        told = "; ".join(f"{label}{quote(runs)}" for label, runs in reasons if runs)
        return Score(
            metric=self.name,
            value=value,
            repeat=repeat,
            reason="" if value == 1.0 else told or f"the output has no run of {counted(self.n, 'word')}",
            evidence=({"precision": overlap.precision, "recall": overlap.recall},),
            signature=f"ngram_overlap|v{self.version}|n:{self.n}|of:{self.of}",
        )

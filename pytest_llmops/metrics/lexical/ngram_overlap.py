"""`ngram_overlap`: runs of n words that output and reference share, in any script."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from pytest_llmops.documents.reading import whole
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.lexical.overlap import Of, Overlap, count_ngrams
from pytest_llmops.metrics.words import quote, split_words
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramOverlap(DeclaredMetric):
    """
    What ROUGE-n is, over words of any script and with numbers kept whole; each run counts as often as
    in both. A character is a word where a script has no spaces.

    Attributes:
        n: Words in a run.
        of: `precision`, `recall` or `f`, which weighs both alike.
    """

    n: Annotated[int, whole(1)] = 2
    of: Of = "f"

    traits = MetricTraits(
        name="ngram_overlap",
        family="lexical",
        basis="reference",
        needs=frozenset({"reference"}),
        bound=Bound(comparison=">=", threshold=0.5),
    )

    def measure(self, sample: Sample) -> Score | Failure:
        words = split_words(sample.reference or "")
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
        reason = "; ".join(f"{label}{quote(runs)}" for label, runs in reasons if runs)
        return self.give(
            sample,
            value,
            "" if value == 1.0 else reason or f"the output has no run of {counted(self.n, 'word')}",
            evidence=({"precision": overlap.precision, "recall": overlap.recall},),
            made=f"n:{self.n}|of:{self.of}",
        )

"""`keyword_overlap`: which content words of the reference the output holds."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.lexical.keywords import Words
from pytest_llmops.metrics.lexical.overlap import Of, Overlap
from pytest_llmops.metrics.words import content_words, quote, split_words
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.records import Bound, Failure, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordOverlap(DeclaredMetric):
    """
    The share of different content words that output and reference have in common, in any order.

    English function words (`the`, `of`, `is`) are left out on both sides; negations are not.

    Attributes:
        words: Looked for instead of those of the reference, each of their words by itself and whatever
            it is; `keywords` looks for phrases.
        of: `recall`, the share of the wanted words that the output holds; `precision`, the share of the
            output's words that are wanted; `f`, which weighs both alike.
    """

    words: Words = ()
    of: Of = "recall"

    traits = MetricTraits(
        name="keyword_overlap",
        family="lexical",
        basis="reference",
        bound=Bound(comparison=">=", threshold=0.5),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if self.words and not any(split_words(word) for word in self.words):
            raise MetricOptionError("keyword_overlap: words holds no letter and no digit to look for")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset() if self.words else frozenset({"reference"})

    def measure(self, sample: Sample) -> Score | Failure:
        if self.words:
            wanted = {word: None for entry in self.words for word in split_words(entry)}
        else:
            wanted = dict.fromkeys(content_words(sample.reference or ""))
        if not wanted:
            error = "the reference has no word to look for; give `words`, or check with another metric"
            return fail(self, sample, error)
        held = set(split_words(sample.output.text))
        missing = [word for word in wanted if word not in held]
        got = {*content_words(sample.output.text), *(wanted.keys() & held)}
        besides = sorted(got - wanted.keys())
        overlap = Overlap(common=len(wanted) - len(missing), got=len(got), wanted=len(wanted))
        value = overlap.read(self.of)
        reasons = (
            ("missing: ", missing if self.of != "precision" else []),
            ("not wanted: ", besides if self.of != "recall" else []),
        )
        reason = "; ".join(f"{label}{quote(words)}" for label, words in reasons if words)
        return self.give(
            sample,
            value,
            reason or ("" if value == 1.0 else "the output holds no word"),
            evidence=({"missing": missing, "precision": overlap.precision, "recall": overlap.recall},),
            made=f"of:{self.of}",
        )

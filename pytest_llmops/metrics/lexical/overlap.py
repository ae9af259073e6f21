"""`ngram_overlap` and `keyword_overlap`: words that output and reference share; precision, recall, F."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pytest_llmops.documents.reading import whole
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.lexical.keywords import Words
from pytest_llmops.metrics.words import content_words, quote
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.records import Bound, Failure, Sample, Score
from pytest_llmops.text.phrases import PlainText, has_unspaced
from pytest_llmops.text.words import split_pairs, split_plain_words, split_terms

Of = Literal["precision", "recall", "f"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """
    Counts of words or runs in the output (`got`), in the reference (`wanted`), and in both.

    Attributes:
        common: Not above either of the others.
    """

    common: int
    got: int
    wanted: int

    @property
    def precision(self) -> float:
        """The share of the output that is in the reference; 0 of nothing."""
        return self.common / self.got if self.got else 0.0

    @property
    def recall(self) -> float:
        """The share of the reference that is in the output; 0 of nothing."""
        return self.common / self.wanted if self.wanted else 0.0

    @property
    def f(self) -> float:
        """The harmonic mean of both, F1."""
        if not self.common:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    def read(self, of: Of) -> float:
        return self.f if of == "f" else self.recall if of == "recall" else self.precision


def count_ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Every run of n words in order, as often as it occurs."""
    return list(zip(*(words[start:] for start in range(n)), strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramOverlap(DeclaredMetric):
    """
    ROUGE-n over words of any script and with complete numbers; each run counts as often as in both. A
    character is a word where a script has no spaces.

    Attributes:
        n: Words in a run.
        of: `precision`, `recall` or `f`, which weighs both alike.
    """

    n: Annotated[int, whole(1)] = 2
    of: Of = "f"

    traits = MetricTraits(
        name="ngram_overlap",
        version=2,
        family="lexical",
        basis="reference",
        needs=frozenset({"reference"}),
        bound=Bound(comparison=">=", threshold=0.5),
    )

    def measure(self, sample: Sample) -> Score | Failure:
        words = split_plain_words(sample.reference or "")
        if len(words) < self.n:
            error = (
                f"the reference has {counted(len(words), 'word')} and no run of {self.n}; ask for a smaller n"
            )
            return fail(self, sample, error)
        wanted = Counter(count_ngrams(words, self.n))
        got = Counter(count_ngrams(split_plain_words(sample.output.text), self.n))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordOverlap(DeclaredMetric):
    """
    The share of different content words that output and reference have in common, in any order.

    English function words (`the`, `of`, `is`) are left out on both sides; negations are not. Two neighbouring
    characters are a word where a script has no spaces.

    Attributes:
        words: Instead of those of the reference, each of their words by itself and whatever it is;
            `keywords` looks for phrases.
        of: `recall`, the share of the wanted words that the output contains; `precision`, the share of the
            output's words that are wanted; `f`, which weighs both alike.
    """

    words: Words = ()
    of: Of = "recall"

    traits = MetricTraits(
        name="keyword_overlap",
        version=2,
        family="lexical",
        basis="reference",
        bound=Bound(comparison=">=", threshold=0.5),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if self.words and not any(map(split_terms, self.words)):
            raise MetricOptionError("keyword_overlap: words holds no letter and no digit to look for")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset() if self.words else frozenset({"reference"})

    def measure(self, sample: Sample) -> Score | Failure:
        if self.words:
            wanted = {word: None for entry in self.words for word in split_terms(entry)}
        else:
            wanted = dict.fromkeys(content_words(sample.reference or ""))
        if not wanted:
            error = "the reference has no word to look for; give `words`, or check with another metric"
            return fail(self, sample, error)
        text = sample.output.text
        held = set(split_pairs(text))
        besides_phrases = {*content_words(text)}
        if self.words and any(map(has_unspaced, wanted)):  # no space parts words, so they are phrases
            plain = PlainText(text)
            phrases = {word for word in wanted if has_unspaced(word) and plain.contains(word)}
            parts = {part for phrase in phrases for part in split_pairs(phrase)}
            held |= phrases
            besides_phrases -= parts
        missing = [word for word in wanted if word not in held]
        got = besides_phrases | (wanted.keys() & held)
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

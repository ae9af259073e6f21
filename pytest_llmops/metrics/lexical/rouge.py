"""`rouge_1`, `rouge_2`, `rouge_l`: runs of words that output and reference share, as rouge-score counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

from pytest_llmops.errors import MetricOptionError, MissingExtraError
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.lexical.overlap import Of, Overlap, count_ngrams
from pytest_llmops.metrics.words import quote
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score
from pytest_llmops.text.words import split_plain_words

_WORD = re.compile("[a-z0-9]+")
_STEMMED_ABOVE = 3  # letters; the package leaves shorter words alone


def _declare(name: str, threshold: float) -> MetricTraits:
    return MetricTraits(
        name=name,
        family="lexical",
        basis="reference",
        needs=frozenset({"reference"}),
        bound=Bound(comparison=">=", threshold=threshold),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rouge(DeclaredMetric):
    """
    One of the three. Words consist of a-z and 0-9, whatever their case; all else separates them.

    Attributes:
        words: `any_script` takes the words of `ngram_overlap` instead: of any script, numbers complete,
            without markup, a character each where a script has no spaces.
        stemmer: Compare words by their Porter stem, an option of the package too (extra rouge).
        of: `precision`, `recall` or `f`, which weighs both alike.

    Source: Lin (2004), ROUGE, sections 2 and 3.1.
    """

    stemmer: bool = False
    of: Of = "f"
    words: Literal["ascii", "any_script"] = "ascii"

    engine: ClassVar[str] = ""

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if self.stemmer:
            try:
                _stem()
            except MissingExtraError as error:  # reported before the run
                raise MetricOptionError(f"{self.name}: {error}") from None

    def compare(self, wanted: Sequence[str], got: Sequence[str]) -> tuple[Overlap, str]:
        """The overlap of the words, and the reason where it is not complete."""
        raise NotImplementedError

    def measure(self, sample: Sample) -> Score:
        wanted, got = (self._split(text) for text in (sample.reference or "", sample.output.text))
        overlap, reason = self.compare(wanted, got)
        value = overlap.read(self.of)
        if not wanted:
            reason = (
                "the reference has no word"
                if self.words == "any_script"
                else f"the reference has no word of a-z or 0-9, and {self.name} sees no other; "
                "words: any_script counts those of all scripts"
            )
        options = [
            *["stemmer"] * self.stemmer,
            *[f"of:{self.of}"] * (self.of != "f"),
            *[f"words:{self.words}"] * (self.words != "ascii"),
        ]
        return self.give(
            sample,
            value,
            "" if value == 1.0 else reason,
            evidence=({"precision": overlap.precision, "recall": overlap.recall},),
            made="|".join(filter(None, [self.engine, *options])),
        )

    def _split(self, text: str) -> list[str]:
        words = split_plain_words(text) if self.words == "any_script" else _WORD.findall(text.lower())
        if not self.stemmer:
            return words
        stem = _stem()
        return [stem(word) if len(word) > _STEMMED_ABOVE and word.isascii() else word for word in words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rouge1(_Rouge):
    """ROUGE-1: single words in both texts, each as often as in both."""

    traits = _declare("rouge_1", 0.5)

    def compare(self, wanted: Sequence[str], got: Sequence[str]) -> tuple[Overlap, str]:
        return _share_runs(1, wanted, got)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rouge2(_Rouge):
    """ROUGE-2: pairs of neighbouring words in both texts. A text of one word has none, and scores 0."""

    traits = _declare("rouge_2", 0.2)

    def compare(self, wanted: Sequence[str], got: Sequence[str]) -> tuple[Overlap, str]:
        return _share_runs(2, wanted, got)


@dataclass(frozen=True, slots=True, kw_only=True)
class RougeL(_Rouge):
    """ROUGE-L: the longest sequence of words in both texts, gaps allowed."""

    engine: ClassVar[str] = "rapidfuzz"

    traits = _declare("rouge_l", 0.4)

    def compare(self, wanted: Sequence[str], got: Sequence[str]) -> tuple[Overlap, str]:
        from rapidfuzz.distance import LCSseq

        common = LCSseq.similarity(wanted, got)
        overlap = Overlap(common=common, got=len(got), wanted=len(wanted))
        if missing := Counter(wanted) - Counter(got):
            return overlap, f"missing: {quote(missing)}"
        if common < len(wanted):
            return overlap, "every word of the reference is there, in another order"
        return overlap, _count_extra(got, wanted)


def _share_runs(n: int, wanted: Sequence[str], got: Sequence[str]) -> tuple[Overlap, str]:
    runs, there = (Counter(count_ngrams(words, n)) for words in (wanted, got))
    overlap = Overlap(common=(runs & there).total(), got=there.total(), wanted=runs.total())
    if not runs:
        return overlap, f"the reference has fewer than {counted(n, 'word')}"
    missing = [" ".join(run) for run in runs - there]
    return overlap, f"missing: {quote(missing)}" if missing else _count_extra(got, wanted)


def _count_extra(got: Sequence[str], wanted: Sequence[str]) -> str:
    extra = len(got) - len(wanted)
    return f"{counted(extra, 'word')} more than the reference" if extra > 0 else ""


@lru_cache(maxsize=1)
def _stem() -> Callable[[str], str]:
    """The package's stemmer with a memory, since words recur and a stem costs 20 times a look-up."""
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError:
        raise MissingExtraError("the stemmer of ROUGE", "rouge") from None
    return lru_cache(maxsize=65536)(PorterStemmer().stem)

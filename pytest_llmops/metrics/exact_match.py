"""`exact_match`: the answer is the reference."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmops.metrics.needs import find_missing
from pytest_llmops.metrics.words import fold, quote
from pytest_llmops.records import Bound, Failure, Sample, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmops.protocols import Need

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# Marks that make a number: 3.5, 12:30, 1/2, 2026-11-25, -4, 5%. Without them 3.5 would equal 35.
_NUMERIC = re.compile(r"(?<=\d)[.,:/-](?=\d)|(?<![\w])-(?=\d)|(?<=\d) ?%")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch:
    """
    1 when the output equals the reference, else 0.

    Attributes:
        normalize: Case, articles, punctuation (not that of numbers), quotes and white space do not
            count, in the manner of SQuAD's evaluation. Off, every character counts.
    """

    normalize: bool = True

    name: ClassVar[str] = "exact_match"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool] = True
    bound: ClassVar[Bound] = Bound(comparison=">=", threshold=1.0)

    def score(self, batch: Sequence[Sample]) -> Sequence[Score | Failure]:
        return [find_missing(self, sample) or self._compare(sample) for sample in batch]

    def _compare(self, sample: Sample) -> Score:
        reference, text = sample.reference or "", sample.output.text
        equal = normalize(text) == normalize(reference) if self.normalize else text == reference
        return Score(
            metric=self.name,
            value=float(equal),
            repeat=sample.output.repeat,
            reason="" if equal else f"not equal to {quote([reference])}",
            signature=f"exact_match|v{self.version}|{'normalized' if self.normalize else 'raw'}",
        )


def normalize(text: str) -> str:
    """
    The text without case, articles and punctuation; never empty unless the text is blank.

    Source: Rajpurkar et al. (2016), SQuAD's `normalize_answer`; numbers and symbols are kept here.
    """
    folded = fold(text)
    numeric = _THOUSANDS.sub("", folded)
    kept = {at for match in _NUMERIC.finditer(numeric) for at in range(*match.span())}
    bare = "".join(char for at, char in enumerate(numeric) if at in kept or not _is_punctuation(char))
    return " ".join(_ARTICLES.sub(" ", bare).split()) or folded


def _is_punctuation(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "P" or category == "Sk"

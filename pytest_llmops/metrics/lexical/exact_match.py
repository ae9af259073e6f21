"""`exact_match`: the answer is the reference."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.words import quote
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score
from pytest_llmops.text.characters import fold_typography
from pytest_llmops.text.words import join_thousands

Step = Literal["typography", "case", "punctuation", "articles", "white_space"]
STEPS: tuple[Step, ...] = ("typography", "case", "punctuation", "articles", "white_space")

# Marks that make a number: 3.5, 12:30, 1/2, 2026-11-25, -4, 5%. Without them 3.5 would equal 35.
_NUMERIC = re.compile(r"(?<=\d)[.,:/-](?=\d)|(?<![\w])-(?=\d)|(?<=\d) ?%")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)
_PUNCTUATION = {"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sk"}
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch(DeclaredMetric):
    """
    1 when the output equals the reference, else 0.

    Attributes:
        normalize: Differences that do not count. `true` is every step: typography (quotes, dashes, widths,
            invisible characters), case, punctuation but that of numbers, articles, white space. A list
            names some of these steps. `squad` is SQuAD's own way, in which 3.5 is 35. `false`: every
            character counts.
    """

    normalize: bool | Literal["squad"] | tuple[Step, ...] = True

    traits = MetricTraits(
        name="exact_match",
        family="lexical",
        basis="reference",
        needs=frozenset({"reference"}),
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        chosen = self.normalize
        if isinstance(chosen, bool) or chosen == "squad":
            return
        if not isinstance(chosen, tuple | list) or not chosen:
            raise MetricOptionError(
                f"exact_match: normalize is true, false, squad or a list of {', '.join(STEPS)}, "
                f"not {chosen!r}"
            )
        for step in chosen:
            if step not in STEPS:
                near = hint(step, STEPS) if isinstance(step, str) else ""
                raise MetricOptionError(
                    f"exact_match: normalize knows no step {step!r}.{near} It takes: {', '.join(STEPS)}."
                )
        object.__setattr__(self, "normalize", tuple(step for step in STEPS if step in chosen))

    def measure(self, sample: Sample) -> Score:
        reference = sample.reference or ""
        equal = self._normalize(sample.output.text) == self._normalize(reference)
        if isinstance(self.normalize, tuple):
            made = "+".join(self.normalize)
        elif self.normalize == "squad":
            made = "squad"
        else:
            made = "normalized" if self.normalize else "raw"
        reason = "" if equal else f"not equal to {quote([reference])}"
        return self.give(sample, float(equal), reason, made=made)

    def _normalize(self, text: str) -> str:
        if self.normalize == "squad":
            return normalize_as_squad(text)
        if isinstance(self.normalize, tuple):
            return normalize(text, self.normalize)
        return normalize(text) if self.normalize else text


def normalize(text: str, steps: Collection[Step] = STEPS) -> str:
    """
    Apply those steps. Punctuation and articles stay where nothing else is left.

    Source: Rajpurkar et al. (2016), SQuAD's `normalize_answer`; numbers and symbols are kept here.
    """
    folded = fold_typography(text) if "typography" in steps else text
    if "case" in steps:
        folded = folded.casefold()
    if "white_space" in steps:
        folded = " ".join(folded.split())
    bare = folded
    if "punctuation" in steps:
        numeric = join_thousands(bare)
        kept = {at for match in _NUMERIC.finditer(numeric) for at in range(*match.span())}
        bare = "".join(
            char
            for at, char in enumerate(numeric)
            if at in kept or unicodedata.category(char) not in _PUNCTUATION
        )
    if "articles" in steps:
        bare = _ARTICLES.sub(" ", bare)
    if "white_space" in steps:
        bare = " ".join(bare.split())
    return bare if bare.strip() else folded


def normalize_as_squad(text: str) -> str:
    """
    Lower case, without ASCII punctuation and English articles, white space made single.

    Source: Rajpurkar et al. (2016), the evaluation script of SQuAD 1.1.
    """
    bare = text.lower().translate(_ASCII_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())

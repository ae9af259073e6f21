"""`keywords`: words that an answer must hold, may choose among, or must not hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.words import fold, quote
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords(DeclaredMetric):
    """
    The share of requirements that the output meets; 1 when all hold.

    Each entry of `all` and of `none` is a requirement, `any` together is one. A keyword is found as
    whole words, whatever its case, white space, quotes and dashes; `5` is not found in `3.5` or `15`.

    Attributes:
        all: Each must occur.
        any: One at least must occur.
        none: None may occur.
    """

    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()

    traits = MetricTraits(
        name="keywords",
        family="lexical",
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        for option, words in (("all", self.all), ("any", self.any), ("none", self.none)):
            check_words(f"keywords: {option}", words)
        if not (self.all or self.any or self.none):
            raise MetricOptionError(
                'keywords needs at least one of all, any or none, for example {all: ["60 days"]}'
            )

    def measure(self, sample: Sample) -> Score:
        text = fold(sample.output.text)
        missing = [word for word in self.all if not _pattern(word).search(text)]
        forbidden = [word for word in self.none if _pattern(word).search(text)]
        lacking = self.any if not any_found(self.any, text) else ()
        broken = len(missing) + len(forbidden) + bool(lacking)
        total = len(self.all) + len(self.none) + bool(self.any)
        reasons = (
            ("missing: ", missing),
            ("none of: ", lacking),
            ("must not contain: ", forbidden),
        )
        return self.give(
            sample,
            (total - broken) / total,
            "; ".join(f"{label}{quote(words)}" for label, words in reasons if words),
            evidence=({"missing": missing, "none_of": list(lacking), "forbidden": forbidden},)
            if broken
            else (),
        )


def any_found(words: Sequence[str], text: str) -> bool:
    """Whether one of the words is in the folded text; true of no words."""
    return not words or any(_pattern(word).search(text) for word in words)


@lru_cache(maxsize=4096)
def _pattern(word: str) -> re.Pattern[str]:
    """The word between bounds; a bound is asked only where the word itself ends in a letter or digit."""
    folded = fold(word)
    before = r"(?<!\w)(?<!\d[.,])" if re.match(r"\d", folded) else r"(?<!\w)"
    after = r"(?!\w)(?![.,]\d)" if re.search(r"\d\Z", folded) else r"(?!\w)"
    return re.compile(
        (before if re.match(r"\w", folded) else "")
        + re.escape(folded)
        + (after if re.search(r"\w\Z", folded) else "")
    )


def check_words(option: str, words: object) -> None:
    """
    Refuse what is no list of words.

    Args:
        option: As the message names it, `keywords: all`.

    Raises:
        MetricOptionError: It is no list, or holds what is no text or nothing that can be seen.
    """
    if isinstance(words, str):
        raise MetricOptionError(f"{option} must be a list; write {option.rpartition(' ')[2]}: [{words!r}]")
    if not isinstance(words, tuple | list):
        raise MetricOptionError(f"{option} must be a list of words, not {words!r}")
    for word in words:
        if not isinstance(word, str):
            raise MetricOptionError(f'{option} holds {word!r}; write it in quotes: "{word}"')
        if not fold(word):
            raise MetricOptionError(f"{option} holds a blank word, which any text would match")

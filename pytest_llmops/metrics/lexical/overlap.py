"""How much two bags or sequences share: precision, recall, F."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Of = Literal["precision", "recall", "f"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """
    Counts of what is in the output, in what is wanted, and in both.

    Attributes:
        common: Not above either of the others.
    """

    common: int
    got: int
    wanted: int

    @property
    def precision(self) -> float:
        """The share of the output that is wanted; 0 of nothing."""
        return self.common / self.got if self.got else 0.0

    @property
    def recall(self) -> float:
        """The share of what is wanted that is in the output; 0 of nothing."""
        return self.common / self.wanted if self.wanted else 0.0

    @property
    def f(self) -> float:
        """The harmonic mean of both, F1."""
        if not self.common:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)

    def read(self, of: Of) -> float:
        """One of the three."""
        return self.f if of == "f" else self.recall if of == "recall" else self.precision


def count_ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Every run of n words in order, as often as it occurs."""
    return list(zip(*(words[start:] for start in range(n)), strict=False))

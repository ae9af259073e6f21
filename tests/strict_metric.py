"""A metric whose judge may be stricter or more lenient on another day."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.records import Bound, Sample, Score


class Strict:
    """Scores an answer by its length, times how lenient it is today."""

    name, version, needs, range = "strict", 1, frozenset[str](), (0.0, 1.0)
    higher_is_better, bound = True, Bound(comparison=">=", threshold=0.1)
    lenient = 1.0

    def score(self, batch: Sequence[Sample]) -> list[Score]:
        way = f"{self.name}|v{self.version}"
        return [
            Score(metric=self.name, value=self.rate(sample.output.text), signature=way) for sample in batch
        ]

    def rate(self, text: str) -> float:
        return round(len(text) / 40 * self.lenient, 6)

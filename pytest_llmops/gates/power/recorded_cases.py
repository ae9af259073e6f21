"""What the repeats of a baseline say of its cases: which vary, and how often an answer differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmops.gates.paired_runs.answers import answer_digests
from pytest_llmops.gates.paired_runs.pairing import STEADY, Chance
from pytest_llmops.records import CaseResult
from pytest_llmops.statistics.intervals import exact_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """
    Answers that differ from their case's most frequent one, of all repeats but one of each case.

    Attributes:
        high: The upper end of the 95 % interval of the rate, in [0, 1], exact (Clopper and Pearson 1934).
    """

    deviating: int
    repeats: int
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """
    The scored cases of a baseline by what their repeats say; ids, sorted.

    Attributes:
        varying: Two repeats differ in the answer or in a score.
        steady: Two repeats or more, all alike.
        single: One repeat: whether it varies is unknown.
        deviations: How often an answer differs from what its case mostly answers; None without repeats.
    """

    varying: tuple[str, ...]
    steady: tuple[str, ...]
    single: tuple[str, ...]
    deviations: Deviations | None = None

    @property
    def count(self) -> int:
        return len(self.varying) + len(self.steady) + len(self.single)

    @property
    def app_is_steady(self) -> bool:
        return not self.varying and not self.single


def sort_cases(results: Sequence[CaseResult], chance: Chance) -> Recorded:
    """
    Args:
        results: Sorted by case.
        chance: Of just these results.
    """
    varying: list[str] = []
    steady: list[str] = []
    single: list[str] = []
    for result in results:
        if chance.app_varies and not chance.is_alike(result):
            varying.append(result.case)
        else:
            (steady if len(answer_digests(result)) >= STEADY else single).append(result.case)
    return Recorded(
        varying=tuple(varying),
        steady=tuple(steady),
        single=tuple(single),
        deviations=_count_deviations(results),
    )


def _count_deviations(results: Iterable[CaseResult]) -> Deviations | None:
    answers = [digests for result in results if len(digests := answer_digests(result)) > 1]
    repeats = sum(len(digests) - 1 for digests in answers)
    if not repeats:
        return None
    deviating = sum(len(digests) - Counter(digests).most_common(1)[0][1] for digests in answers)
    return Deviations(deviating=deviating, repeats=repeats, high=exact_interval(deviating, repeats)[1])

"""How often a metric's scores turn when the same row is scored again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmops.bounds import format_bound, holds
from pytest_llmops.printable import counted
from pytest_llmops.records import Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Turning:
    """
    What repeats showed.

    Attributes:
        repeats: Of the row that was scored most often.
        rows: With two scores or more.
        differing: Share of them whose scores are not all one; None where there are none.
        crossing: Share of them of which some scores hold the bound and some do not.
        failed: Answers that gave no score, of rows that have one from another.
    """

    repeats: int
    rows: int
    differing: float | None
    crossing: float | None
    bound: Bound
    failed: int = 0

    @property
    def sentence(self) -> str:
        """All of it in a sentence."""
        sentence = f"asked {counted(self.repeats, 'time')}, the score of a row is the mean: "
        if self.differing is None or self.crossing is None:
            sentence += "no row has two scores, so nothing can be said of how often they turn"
        else:
            bound = format_bound(self.bound, digits=4)
            sentence += f"{self.differing:.1%} of {counted(self.rows, 'row')} got scores that differ, "
            sentence += f"{self.crossing:.1%} on both sides of {bound}"
        return sentence + (f"; {counted(self.failed, 'answer')} gave no score" if self.failed else "")


def measure_turning(
    scores: Sequence[Sequence[float]], bound: Bound, *, repeats: int, failed: int = 0
) -> Turning:
    """
    Args:
        scores: Of each row those of its repeats, none where all failed.
    """
    again = [of_row for of_row in scores if len(of_row) > 1]
    differ = sum(len(set(of_row)) > 1 for of_row in again)
    cross = sum(len({holds(value, bound) for value in of_row}) > 1 for of_row in again)
    return Turning(
        repeats=repeats,
        rows=len(again),
        differing=differ / len(again) if again else None,
        crossing=cross / len(again) if again else None,
        bound=bound,
        failed=failed,
    )

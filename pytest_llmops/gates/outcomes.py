"""Which of several outcomes stands for them all, and how many there are of each."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llmops.records import OUTCOMES, Outcome

WORST_FIRST: tuple[Outcome, ...] = ("error", "regressed", "failed", "undecided", "passed")


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that decides; `passed` when there is none."""
    return min(outcomes, key=WORST_FIRST.index, default="passed")


def count(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """How often each of the five occurs, zeros included."""
    found = list(outcomes)
    return {outcome: found.count(outcome) for outcome in OUTCOMES}

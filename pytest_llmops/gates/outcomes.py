"""Which of several outcomes stands for them all, how many there are of each, and of which file they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_llmops.records import OUTCOMES, Outcome, Verdict

WORST_FIRST: tuple[Outcome, ...] = ("error", "regressed", "failed", "undecided", "passed")


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that decides; `passed` when there is none."""
    return min(outcomes, key=WORST_FIRST.index, default="passed")


def count(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """How often each of the five occurs, zeros included."""
    listed = list(outcomes)
    return {outcome: listed.count(outcome) for outcome in OUTCOMES}


def name_files(by_file: Mapping[str, Iterable[Verdict]]) -> list[Verdict]:
    """The verdicts of golden files in one list; of several, each check has its file before it."""
    return [
        replace(verdict, check=f"{path}: {verdict.check}") if len(by_file) > 1 else verdict
        for path, of_file in by_file.items()
        for verdict in of_file
    ]

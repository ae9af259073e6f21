"""Outcomes of many verdicts: the worst, the number of each, and the file of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_llmops.records import STATUSES, Outcome, Status, Verdict

WORST_FIRST: tuple[Outcome, ...] = ("error", "regressed", "failed", "undecided", "passed")


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that decides; `passed` when there is none."""
    return min(outcomes, key=WORST_FIRST.index, default="passed")


def status(verdict: Verdict) -> Status:
    """The word by which a verdict is shown and counted."""
    if verdict.xfail:
        return "xpassed" if verdict.outcome == "passed" else "xfailed"
    return "known" if verdict.known else verdict.outcome


def count(statuses: Iterable[Status]) -> dict[Status, int]:
    """The number of each status, zeros included."""
    listed = list(statuses)
    return {status: listed.count(status) for status in STATUSES}


def name_files(by_file: Mapping[str, Iterable[Verdict]]) -> list[Verdict]:
    """The verdicts of golden files in one list; of several files, each check is prefixed with its file."""
    return [
        replace(verdict, check=f"{path}: {verdict.check}") if len(by_file) > 1 else verdict
        for path, of_file in by_file.items()
        for verdict in of_file
    ]

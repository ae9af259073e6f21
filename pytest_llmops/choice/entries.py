"""What is compared of each candidate: its scores by case, and where it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.paired_runs.pairing import Scale

Repeats = Mapping[str, Sequence[float]]
"""Case to its scores, one a repeat."""


class ChoiceError(LLMOpsError):
    """Candidates cannot be compared: nothing in common, or scores that were made in unlike ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """
    What the answers of a candidate took, each case with the mean of its repeats.

    Attributes:
        latency_s: Case to seconds; `cost_usd`, `tokens` and `calls` alike. A case is left out where nothing
            is known of it.
    """

    latency_s: Repeats = field(default_factory=dict)
    cost_usd: Repeats = field(default_factory=dict)
    tokens: Repeats = field(default_factory=dict)
    calls: Repeats = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One candidate.

    Attributes:
        values: Metric to its scores, of cases of the field alone.
        errors: Metric to the cases that it could not be scored in, with the reason.
        broken: Why nothing can be chosen, whatever the scores; empty where nothing is wrong.
        answers: Case to the digests of its answers.
        left_out: Cases that not all candidates have, or that ask otherwise elsewhere.
    """

    name: str
    values: Mapping[str, Repeats]
    errors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    broken: str = ""
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending)
    left_out: tuple[str, ...] = ()

    @property
    def errored(self) -> dict[str, str]:
        """Case to the first reason why it could not be scored."""
        found: dict[str, str] = {}
        for cases in self.errors.values():
            for case, why in cases.items():
                found.setdefault(case, why)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """
    All candidates on the cases that they have in common.

    Attributes:
        cases: Sorted ids.
        scales: Metric to how it is read, for the metrics that decide.
        groups: Case to its group, where it has one: cases of a group are one unit of the tests.
        notes: What else differs between the candidates than they themselves.
    """

    entries: tuple[Entry, ...]
    cases: tuple[str, ...]
    scales: Mapping[str, Scale]
    groups: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def cases_of(self, metric: str) -> list[str]:
        """The cases in which any candidate was scored by a metric, or should have been."""
        found = {
            case
            for entry in self.entries
            for case in (*entry.values.get(metric, ()), *entry.errors.get(metric, ()))
        }
        return [case for case in self.cases if case in found]

    def units(self, cases: Sequence[str]) -> list[str]:
        return [self.groups.get(case) or f"::{case}" for case in cases]

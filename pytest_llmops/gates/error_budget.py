"""
One error budget, divided over two channels; `alpha_spending` divides it further over looks.

A comparison may call a change worse by chance with probability `1 - level`. Most of that belongs to the
suite channel, which needs it, the rest to the case channel, so that both together keep it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmops.records import Golden

SUITE_SHARE = 0.7
CASE_SHARE = 0.2
COUNT_SHARE = 0.1
"""Of the budget: for suite checks, for single cases, and for how many cases of a check collapsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseBudget:
    """
    What the case channel may spend, on so many readings alike (Bonferroni).

    Attributes:
        tests: How many readings of cases the run has.
        level: One minus the whole error budget, between 0 and 1.
    """

    tests: int = 1
    level: float = 0.95

    @property
    def bound(self) -> float:
        """What the p-value of one reading must not exceed."""
        return CASE_SHARE * (1 - self.level) / max(1, self.tests)

    def adjust(self, p_value: float) -> float:
        """A p-value set against all readings and against the channel's share of the budget."""
        return min(1.0, p_value * max(1, self.tests) / CASE_SHARE)


ONE_TEST = CaseBudget()


def divide_suite_share(suites: Iterable[Sequence[object]]) -> float:
    """The part of the error budget that each golden file's suite has: those with checks divide it evenly."""
    return SUITE_SHARE / max(1, sum(map(bool, suites)))


def count_tests(goldens: Sequence[Golden]) -> int:
    """
    How many single readings of cases a run can test, for the correction of each one's p-value.

    A case has its own checks, and one more for each metric of the suite that it does not check itself.
    """
    return sum(
        sum(not check.record_only for check in case.checks)
        + len(
            {check.metric for check in golden.suite if not check.record_only}
            - {check.metric for check in case.checks}
        )
        for golden in goldens
        for case in golden.cases
    )


def suite_share(goldens: Sequence[Golden]) -> float:
    """The part of the error budget that the suite of each of a run's golden files has."""
    return divide_suite_share(golden.suite for golden in goldens)

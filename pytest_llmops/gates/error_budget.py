"""
One error budget, divided over two channels, and the looks at which the suite channel spends its part.

A comparison may call a change worse by chance with probability `1 - level`. Most of that belongs to the
suite channel, which needs it, the rest to the case channel, so that both together keep it. The suite's part
is spent at looks, as the repeats of a run come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.paired_runs import STEADY, Chance, have_same_input, is_run_on
from pytest_llmops.golden.identity import file_of
from pytest_llmops.records import CaseResult, Golden, SuiteCheck
from pytest_llmops.statistics.multiplicity import spend_linearly

SUITE_SHARE = 0.7
CASE_SHARE = 0.2
COUNT_SHARE = 0.1
"""Parts of the budget: for suite checks, for single cases, and for the number of cases that collapsed."""

BASELINE_REPEATS = 10
"""Repeats of a varying case that has no baseline yet: it pays once, and every later run finds more by it."""

FRESH = 6
"""Repeats on which a drop of the suite is confirmed before it is reported."""

LOOKS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20)
TESTED = (4, 8, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseBudget:
    """
    The case channel's budget, divided evenly over all readings (Bonferroni).

    Attributes:
        tests: Readings of cases in the run.
        level: One minus the whole error budget, between 0 and 1.
    """

    tests: int = 1
    level: float = 0.95

    @property
    def bound(self) -> float:
        """The largest p-value of one reading that is called."""
        return CASE_SHARE * (1 - self.level) / max(1, self.tests)

    def adjust(self, p_value: float) -> float:
        """A p-value corrected for all readings and for the channel's share of the budget."""
        return min(1.0, p_value * max(1, self.tests) / CASE_SHARE)


def divide_suite_share(suites: Iterable[Sequence[object]]) -> float:
    """The part of the error budget of each golden file's suite: those with checks divide it evenly."""
    return SUITE_SHARE / max(1, sum(map(bool, suites)))


def count_tests(goldens: Sequence[Golden]) -> int:
    """
    The number of readings of single cases that a run can test, for the correction of each one's p-value.

    A case has its own checks, and one more for each metric of the suite that it does not check itself.
    """
    return sum(
        sum(not check.record_only for check in case.checks)
        + len(
            {check.metric for check in golden.suite if not (check.record_only or check.is_bare)}
            - {check.metric for check in case.checks}
        )
        for golden in goldens
        for case in golden.cases
    )


def count_tests_of(results: Iterable[CaseResult], suite: Mapping[str, Sequence[SuiteCheck]]) -> int:
    """The number that `count_tests` gave the run which these results are of."""
    named = {
        path: {check.metric for check in checks if not (check.record_only or check.is_bare)}
        for path, checks in suite.items()
    }
    everywhere = named.get("", set())
    return sum(
        sum(not check.record_only for check in result.checks)
        + len(
            (everywhere | named.get(file_of(result.case), set())) - {check.metric for check in result.checks}
        )
        for result in results
    )


def suite_share(goldens: Sequence[Golden]) -> float:
    """The part of the error budget of each golden file's suite; see `divide_suite_share`."""
    return divide_suite_share(golden.suite for golden in goldens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """
    The interim comparisons of a run with its baseline, as its repeats come in.

    At each look a check is cleared whose observed drop is tolerated. A drop is called only at looks
    that are tested, each of which spends its part of the error budget, and then confirmed on fresh repeats.

    Attributes:
        planned: New repeats at each look, rising; empty where their number was fixed, and one look sees all.
        tested: Those of the planned looks at which a drop can be called.
        fresh: Repeats after a call on which it is confirmed; 0 where none can be made.
        done: New repeats of every case that is run look by look.
    """

    planned: tuple[int, ...] = ()
    tested: tuple[int, ...] = ()
    fresh: int = 0
    done: int = 0

    @property
    def is_fixed(self) -> bool:
        return not self.planned

    @property
    def taken(self) -> tuple[int | None, ...]:
        """Repeats at each look of the run so far; None for all there are."""
        if self.is_fixed:
            return (None,)
        return tuple(look for look in self.planned if look <= self.done)

    def part(self, look: int | None) -> float:
        """The part of the error budget that a tested look spends, in (0, 1], by its share of the repeats."""
        return 1.0 if look is None else spend_linearly(look, self.tested)

    def is_tested(self, look: int | None) -> bool:
        return look is None or look in self.tested

    def next_after(self, repeats: int) -> int:
        """The repeats at the next planned look; 0 after the last one."""
        return next((look for look in self.planned if look > repeats), 0)


def plan_looks(most: int, done: int = 0) -> Looks:
    """The looks where no case may have more than `most` repeats, half of which may be needed to confirm."""
    fresh = min(FRESH, most // 2)
    last = min(LOOKS[-1], most - fresh)
    planned = (*(look for look in LOOKS if look < last), last)
    tested = tuple(look for look in TESTED if look < last)
    return Looks(planned=planned, tested=(*tested, last), fresh=fresh, done=done)


def looks_taken(results: Sequence[CaseResult], base_results: Sequence[CaseResult], chance: Chance) -> Looks:
    """The looks of a golden file's results so far; one at all repeats where their number was fixed."""
    varying = find_varying(results, {result.case: result for result in base_results}, chance)
    if not varying:
        return Looks()
    done = min(map(count_repeats, varying))
    return plan_looks(min(result.auto for result in varying), done)


def find_varying(
    results: Sequence[CaseResult], base: Mapping[str, CaseResult], chance: Chance
) -> list[CaseResult]:
    """
    The cases that are run look by look: all, as soon as a repeat of any differs on either side.

    To run on only those that differ would mix their many repeats with single ones of cases that were lucky.
    Where no case varies, and a baseline of single repeats is all that leaves it open, two alike new repeats
    are enough.
    """
    repeated = [result for result in results if is_run_on(result) and is_known(result, base)]
    if chance.app_varies or not all(map(chance.is_alike, repeated)):
        return repeated
    return [
        result
        for result in repeated
        if chance.may_explain(base[result.case], result) and count_repeats(result) < STEADY
    ]


def is_known(result: CaseResult, base: Mapping[str, CaseResult]) -> bool:
    """True if the baseline has the case, with the same input."""
    return result.case in base and have_same_input(base[result.case], result)

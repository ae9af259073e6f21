"""Looks at a run as its repeats come in: which are planned, and which a run has had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.gates.paired_runs.pairing import STEADY, Chance, count_repeats, have_same_input
from pytest_llmops.records import CaseResult
from pytest_llmops.statistics.alpha_spending import spend_linearly

FRESH = 6
"""Repeats on which a drop of the suite is confirmed before it is reported."""

LOOKS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20)
TESTED = (4, 8, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """
    When a run is compared with its baseline, as its repeats come in.

    At each look a check is cleared whose observed drop is tolerated. A drop is called at those looks alone
    that are tested, each of which spends its part of the error budget, and then confirmed on fresh repeats.

    Attributes:
        planned: New repeats at each look, rising; empty where their number was fixed, and one look sees all.
        tested: Those of the planned looks at which a drop can be called.
        fresh: Repeats after a call on which it is confirmed; 0 where nothing can be asked for.
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
        """Repeats at each look that the run has had; None is all there are."""
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
    """The looks that the results of a golden file have had; one at all there is where nobody chose them."""
    varying = find_varying(results, {result.case: result for result in base_results}, chance)
    if not varying:
        return Looks()
    done = min(count_repeats(each) for each in varying)
    return plan_looks(min(each.auto for each in varying), done)


def find_varying(
    results: Sequence[CaseResult], base: Mapping[str, CaseResult], chance: Chance
) -> list[CaseResult]:
    """
    The cases that are run look by look, and in which chance may be behind a difference.

    Where no case varies on either side, and a baseline of single repeats is all that leaves it open, two
    alike new repeats are enough.
    """
    repeated = [each for each in results if each.auto and not each.failures and is_known(each, base)]
    varies = chance.app_varies or not all(map(chance.is_alike, repeated))
    return [
        each
        for each in repeated
        if chance.may_explain(base[each.case], each) and (varies or count_repeats(each) < STEADY)
    ]


def is_known(result: CaseResult, base: Mapping[str, CaseResult]) -> bool:
    """Whether the baseline has the case, with the same input."""
    return result.case in base and have_same_input(base[result.case], result)

"""Looks at a run as its repeats come in: which are planned, and which a run has had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.gates.pairing import STEADY, Chance, ask_the_same, count_repeats
from pytest_llmops.records import CaseResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """
    When a run was compared with its baseline, as its repeats came in.

    Attributes:
        repeats: New repeats at each look taken, rising; only the first so many of a varying case count
            for the suite, since further ones were asked for because they looked bad. Empty: one look at
            all there is.
        planned: Repeats at the last look that was planned.
    """

    repeats: tuple[int, ...] = ()
    planned: int = 1

    @property
    def times(self) -> tuple[float, ...]:
        """The share of the planned repeats that each look has."""
        return tuple(repeats / self.planned for repeats in self.repeats) or (1.0,)


LOOKS = (1, 2, 4, 8)


def plan_looks(most: int) -> tuple[int, ...]:
    """The repeats at each look; the last one is the most that is allowed, if that is less than 8."""
    last = min(LOOKS[-1], most)
    return (*(look for look in LOOKS if look < last), last)


def looks_taken(results: Sequence[CaseResult], base_results: Sequence[CaseResult], chance: Chance) -> Looks:
    """The looks that the results of a golden file have had; one at all there is where nobody chose them."""
    varying = find_varying(results, {result.case: result for result in base_results}, chance)
    if not varying:
        return Looks()
    done = min(count_repeats(each) for each in varying)
    planned = plan_looks(min(each.auto for each in varying))
    taken = tuple(look for look in planned if look <= done)
    return Looks(repeats=taken, planned=planned[-1]) if taken else Looks()


def find_varying(
    results: Sequence[CaseResult], base: Mapping[str, CaseResult], chance: Chance
) -> list[CaseResult]:
    """
    The cases that are asked look by look, and in which chance may be behind a difference.

    Where no case varies on either side, and a baseline of single repeats is all that leaves it open, two
    alike new repeats are enough.
    """
    asked = [each for each in results if each.auto and not each.failures and is_known(each, base)]
    varies = chance.app_varies or not all(map(chance.is_alike, asked))
    return [
        each
        for each in asked
        if chance.may_explain(base[each.case], each) and (varies or count_repeats(each) < STEADY)
    ]


def is_known(result: CaseResult, base: Mapping[str, CaseResult]) -> bool:
    """Whether the baseline has the case, asking the same."""
    return result.case in base and ask_the_same(base[result.case], result)

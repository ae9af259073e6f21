"""
Repeats where a verdict is open: which cases to ask again, and when to stop.

First all varying cases together, for the suite, at 1, 2, 4 and 8 repeats, with a stop once no check that has
not regressed yet has a fair chance to. Then suspects alone, case by case, up to the most
that is allowed. Nothing is paid once a verdict is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_llmops.gates.baseline.rescoring import rescore_all
from pytest_llmops.gates.changes import read_case
from pytest_llmops.gates.drops import look_at_suites
from pytest_llmops.gates.inference.spending import CASE_SHARE, SUITE_SHARE, conditional_power, spend
from pytest_llmops.gates.looks import find_varying, is_known, looks_taken, plan_looks
from pytest_llmops.gates.pairing import STEADY, Chance, count_repeats
from pytest_llmops.records import CaseResult, Golden, SuiteCheck

BASELINE_REPEATS = 10
"""Repeats of a varying case that has no baseline yet: it pays once, and every later run sees more by it."""

_FIRST_STOP = 4  # repeats that every varying case gets, so that a single broken one shows
_STAGES = (6, 8, 12, 16, 24, 32, 40, 48, 64, 96, 128)
_FAIR_CHANCE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """
    What decides on further repeats.

    Attributes:
        base: Case to its result in the baseline.
        suite: Golden file to its suite checks.
        most: Repeats that no case exceeds.
        tests: How many case checks the run has.
        share: The part of the error budget that these suites have.
        goldens: What a case asks, for scores of the baseline that have to be made again.
    """

    base: Mapping[str, CaseResult]
    suite: Mapping[str, Sequence[SuiteCheck]]
    most: int
    tests: int
    share: float = SUITE_SHARE
    level: float = 0.95
    goldens: tuple[Golden, ...] = ()

    def beside(self, results: Sequence[CaseResult]) -> Asking:
        """With a baseline that is scored as the results are, where its outputs were kept."""
        return replace(self, base=rescore_all(self.goldens, self.base, results))

    def next_repeats(self, results: Sequence[CaseResult]) -> dict[str, int]:
        """
        Case to the repeats that it should have next; without entries every verdict is closed.

        Only cases marked `auto` are asked again, and none that the app broke on.
        """
        chance = Chance(self.base.values())
        auto = [each for each in results if each.auto and not each.failures]
        wanted = self._first_repeats([each for each in auto if not is_known(each, self.base)], chance)
        varying = find_varying(results, self.base, chance)
        if not varying:
            return wanted
        done = min(count_repeats(each) for each in varying)
        if step := self._next_look(results, done, chance):
            return wanted | {each.case: step for each in varying if count_repeats(each) < step}
        return wanted | self._suspects(varying, chance)

    def _first_repeats(self, unknown: Sequence[CaseResult], chance: Chance) -> dict[str, int]:
        """
        For cases that have nothing to be compared with: two repeats each, and a baseline's worth of all
        of them as soon as one varies, since then two alike answers say nothing.
        """
        varies = chance.app_varies or any(not chance.is_alike(each) for each in unknown)
        repeats = min(BASELINE_REPEATS if varies else STEADY, self.most)
        return {each.case: repeats for each in unknown if count_repeats(each) < repeats}

    def _next_look(self, results: Sequence[CaseResult], done: int, chance: Chance) -> int:
        """The repeats of the next look at the suite; 0 when its verdicts are closed."""
        looks = looks_taken(results, list(self.base.values()), chance)
        later = [look for look in plan_looks(self.most) if look > done]
        if not later:
            return 0
        seen = look_at_suites(self.suite, results, list(self.base.values()), share=self.share, chance=chance)
        called = [p_adjusted <= 1 - self.level for _, p_adjusted in seen]
        if done < _FIRST_STOP and not any(called):
            return later[0]
        final = spend([*looks.times, 1.0])[-1] * self.share * (1 - self.level) / max(1, len(seen))
        fair = [conditional_power(p, looks.times[-1], final) >= _FAIR_CHANCE for p, _ in seen]
        still_open = any(fair[at] and not called[at] for at in range(len(seen)))
        return later[0] if still_open else 0

    def _suspects(self, varying: Sequence[CaseResult], chance: Chance) -> dict[str, int]:
        """
        Cases that would be `regressed` at the most repeats, should they go on as they are; each with its
        next number of repeats. The one test at the end is not weakened by looks that can only clear.
        """
        wanted = {}
        for result in varying:
            done = count_repeats(result)
            later = [stage for stage in _STAGES if done < stage < self.most]
            step = later[0] if later else self.most
            if done < step and done >= min(_FIRST_STOP, self.most) and self._is_suspect(result, chance):
                wanted[result.case] = step
        return wanted

    def _is_suspect(self, result: CaseResult, chance: Chance) -> bool:
        for reading in read_case(self.base[result.case], result, chance):
            ahead = reading.rates.at(self.most)
            if ahead.collapsed and ahead.p_value * self.tests <= CASE_SHARE * (1 - self.level):
                return True
        return False

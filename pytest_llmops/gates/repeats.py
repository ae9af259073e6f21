"""
Repeats where a verdict is open: which cases to run again, and when to stop.

First all varying cases together, for the suite, look by look, until each check is cleared or called and
confirmed. Then single cases that may have broken. A drop of an app that does not vary is run again before it
is a fact. Nothing is paid once a verdict is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.baseline import rescore_all
from pytest_llmops.gates.case_channel.reading import read_case, read_pairs
from pytest_llmops.gates.error_budget import SUITE_SHARE, CaseBudget, find_varying, is_known
from pytest_llmops.gates.paired_runs import CONFIRMED, STEADY, Chance, count_repeats, pair_cases
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores
from pytest_llmops.gates.suite_channel.progress import Progress
from pytest_llmops.gates.suite_channel.verdicts import track_suites
from pytest_llmops.records import Case, CaseResult, Golden, SuiteCheck

BASELINE_REPEATS = 10
"""Repeats of a varying case that has no baseline yet: it pays once, and every later run sees more by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPlanner:
    """
    What decides on further repeats.

    Attributes:
        base: Case to its result in the baseline.
        suite: Golden file to its suite checks.
        most: Repeats that no case exceeds.
        budget: Of the case checks.
        share: The part of the error budget that these suites have.
        explores: Cases without a baseline are run several times, to make one.
        goldens: What a case asks, for scores of the baseline that have to be made again.
    """

    base: Mapping[str, CaseResult]
    suite: Mapping[str, Sequence[SuiteCheck]]
    most: int
    budget: CaseBudget
    share: float = SUITE_SHARE
    explores: bool = True
    goldens: tuple[Golden, ...] = ()
    _chance: Chance = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_chance", Chance(self.base.values()))

    def rescored(self, results: Sequence[CaseResult]) -> RepeatPlanner:
        """With a baseline that is scored as the results are, where its outputs were kept."""
        return replace(self, base=rescore_all(self.goldens, self.base, results))

    def next_repeats(self, results: Sequence[CaseResult]) -> dict[str, int]:
        """
        Case to the repeats that it should have next; without entries every verdict is closed.

        Only cases marked `auto` are run again, and none that the app broke on.
        """
        chance = self._chance
        auto = [each for each in results if each.auto and not each.failures]
        known = [each for each in auto if is_known(each, self.base)]
        wanted = self._first_repeats([each for each in auto if not is_known(each, self.base)], chance)
        varying = find_varying(results, self.base, chance)
        level, base = self.budget.level, list(self.base.values())
        steps = track_suites(self.suite, results, base, share=self.share, chance=chance, level=level)
        alike = {each.case for each in known} - {each.case for each in varying}
        wanted |= self._unconfirmed_facts([each for each in known if each.case in alike], steps, chance)
        if step := max((progress.wants for _, progress in steps), default=0) if varying else 0:
            further = {each.case: step for each in varying if count_repeats(each) < step}
            if further:
                return wanted | further
        return wanted | self._single_cases(varying, results, chance)

    def _first_repeats(self, unknown: Sequence[CaseResult], chance: Chance) -> dict[str, int]:
        """
        For cases that have nothing to be compared with, where a baseline is to be made of them: two repeats
        each, and a baseline's worth of all of them as soon as one varies, since then two alike answers say
        nothing. Then more, while so many of a case's repeats pass that its check is undecided.
        """
        varies = chance.app_varies or any(not chance.is_alike(each) for each in unknown)
        repeats = min(BASELINE_REPEATS if varies else STEADY, self.most) if self.explores or varies else 1
        wanted = {each.case: repeats for each in unknown if count_repeats(each) < repeats}
        if wanted:
            return wanted
        return {
            each.case: min(self.most, done + max(2, done // 2))
            for each in unknown
            if (done := count_repeats(each)) < self.most and _is_undecided(each)
        }

    def _unconfirmed_facts(
        self, steady: Sequence[CaseResult], steps: Sequence[tuple[PairedScores, Progress]], chance: Chance
    ) -> dict[str, int]:
        """
        Cases that do not vary, and whose drop would be called a fact: such a drop is run again first. Those
        of a suite check count where its mean dropped by more than it tolerates.
        """
        unconfirmed = {
            each.case
            for each in steady
            for reading in read_case(self.base[each.case], each, chance)
            if reading.wants(self.budget)
        }
        for scores, progress in steps if steady else ():
            beyond = scores.check.max_drop is not None and not scores.is_tolerated(scores.at(None))
            if beyond or progress.state == "regressed":
                unconfirmed |= scores.dropped
        confirmed = min(CONFIRMED, self.most)
        return {
            each.case: confirmed
            for each in steady
            if each.case in unconfirmed and count_repeats(each) < confirmed
        }

    def _single_cases(
        self, varying: Sequence[CaseResult], results: Sequence[CaseResult], chance: Chance
    ) -> dict[str, int]:
        """Cases that are run again by themselves: suspects, and those that have to be confirmed."""
        readings = read_pairs(pair_cases(self.base.values(), results), chance) if varying else {}
        wanted = {}
        for result in varying:
            steps = (each.wants(self.budget) for each in readings[result.case])
            step = max(steps, default=0)
            if count_repeats(result) < step <= self.most:
                wanted[result.case] = step
        return wanted


def _is_undecided(result: CaseResult) -> bool:
    case = Case(id=result.case, input=None, checks=result.checks)
    return any(verdict.outcome == "undecided" for verdict in judge_case(case, result))

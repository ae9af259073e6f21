"""
The repeat planner: which cases to run again, and when to stop.

First all varying cases together, for the suite, look by look, until each check is cleared or called and
confirmed. Then single cases that may have broken. A drop of an app that does not vary is run again before it
is a fact. Nothing is paid once a verdict is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.baseline import rescore_all
from pytest_llmops.gates.case_channel.pooled import pool_readings
from pytest_llmops.gates.case_channel.reading import Reading, read_case, read_pairs
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.error_budget import (
    BASELINE_REPEATS,
    SUITE_SHARE,
    CaseBudget,
    find_varying,
    is_known,
)
from pytest_llmops.gates.paired_runs import CONFIRMED, STEADY, Chance, pair_cases
from pytest_llmops.gates.passing import repeats_needed
from pytest_llmops.gates.suite_channel.progress import Progress
from pytest_llmops.gates.suite_channel.verdicts import track_suites
from pytest_llmops.records import Case, CaseResult, Golden, SuiteCheck
from pytest_llmops.statistics.summaries import NOISE

ASKED = 4
"""New repeats of a case that never varied, in an app that does: half of its answers may be bad by now."""

ASKED_IF_DROPPED = 8
"""The same of one that dropped in any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPlanner:
    """
    Decides on further repeats.

    Attributes:
        base: Case to its result in the baseline.
        suite: Golden file to its suite checks.
        most: Repeats that no case exceeds.
        budget: Of the case checks.
        share: The part of the error budget that these suites have.
        explores: Cases without a baseline are run several times, to make one.
        goldens: The cases, for scores of the baseline that have to be made again.
        is_part: The cases are those of a shard, so that nothing shows whether the mean of all dropped.
    """

    base: Mapping[str, CaseResult]
    suite: Mapping[str, Sequence[SuiteCheck]]
    most: int
    budget: CaseBudget
    share: float = SUITE_SHARE
    explores: bool = True
    goldens: tuple[Golden, ...] = ()
    is_part: bool = False
    _chance: Chance = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_chance", Chance(self.base.values()))

    def rescored(self, results: Sequence[CaseResult]) -> RepeatPlanner:
        """A planner whose baseline is scored as the results are, where its outputs were kept."""
        return replace(self, base=rescore_all(self.goldens, self.base, results))

    def next_repeats(self, results: Sequence[CaseResult]) -> dict[str, int]:
        """
        Case to the repeats that it should have next; without entries every verdict is closed.

        Only cases marked `auto` are run again, and none that the app broke on.
        """
        auto = [result for result in results if result.auto and not result.breakages]
        least = min(self.most, max(map(repeats_needed, self.suite.values()), default=1))
        if short := {result.case: least for result in auto if count_repeats(result) < least}:
            return short
        wanted = self._first_repeats([result for result in auto if not is_known(result, self.base)])
        varying = find_varying(results, self.base, self._chance)
        tracked = track_suites(
            self.suite,
            results,
            list(self.base.values()),
            share=self.share,
            chance=self._chance,
            level=self.budget.level,
        )
        varying_cases = {result.case for result in varying}
        steady = [
            result for result in auto if is_known(result, self.base) and result.case not in varying_cases
        ]
        wanted |= self._unconfirmed_facts(steady, tracked)
        step = max((progress.wants for progress in tracked), default=0)
        if further := {result.case: step for result in varying if count_repeats(result) < step}:
            return wanted | further
        return wanted | self._single_cases(varying, results)

    def _first_repeats(self, unknown: Sequence[CaseResult]) -> dict[str, int]:
        """
        For cases that have nothing to be compared with, where a baseline is to be made of them: two repeats
        each, and a baseline's number of all of them as soon as one varies, since then two alike answers prove
        nothing. Then more, while so many of a case's repeats pass that its check is undecided.
        """
        varies = self._chance.app_varies or any(not self._chance.is_alike(result) for result in unknown)
        repeats = min(BASELINE_REPEATS if varies else STEADY, self.most) if self.explores or varies else 1
        if wanted := {result.case: repeats for result in unknown if count_repeats(result) < repeats}:
            return wanted
        return {
            result.case: min(self.most, done + max(2, done // 2))
            for result in unknown
            if (done := count_repeats(result)) < self.most and _is_undecided(result)
        }

    def _unconfirmed_facts(self, steady: Sequence[CaseResult], tracked: Sequence[Progress]) -> dict[str, int]:
        """
        Cases that do not vary, and whose drop would be called a fact: such a drop is run again first. Those
        of a suite check count where its mean dropped by more than it tolerates.
        """
        if not steady:
            return {}
        unconfirmed = {
            result.case
            for result in steady
            for reading in read_case(self.base[result.case], result, self._chance)
            if reading.wants(self.budget)
        }
        unconfirmed |= drops_to_confirm(tracked, every=self.is_part)
        confirmed = min(CONFIRMED, self.most)
        return {
            result.case: confirmed
            for result in steady
            if result.case in unconfirmed and count_repeats(result) < confirmed
        }

    def _single_cases(self, varying: Sequence[CaseResult], results: Sequence[CaseResult]) -> dict[str, int]:
        """Cases that are run again by themselves: suspects, and those that have to be confirmed."""
        if not varying:
            return {}
        readings = read_pairs(pair_cases(self.base.values(), results), self._chance)
        wanted = self._reachable(
            varying,
            {
                case: max((_wanted_of_steady(of_case), *(reading.wants(self.budget) for reading in of_case)))
                for case, of_case in readings.items()
            },
        )
        if wanted:
            return wanted
        pooled: dict[str, int] = {}
        for pool in pool_readings(readings, budget=self.budget, share=self.share):
            for case, step in pool.wants().items():
                pooled[case] = max(step, pooled.get(case, 0))
        return self._reachable(varying, pooled)

    def _reachable(self, varying: Sequence[CaseResult], steps: Mapping[str, int]) -> dict[str, int]:
        return {
            result.case: step
            for result in varying
            if count_repeats(result) < (step := steps.get(result.case, 0)) <= self.most
        }


def drops_to_confirm(tracked: Iterable[Progress], *, every: bool = False) -> set[str]:
    """
    Cases whose drop is a fact, in an app that does not vary, once it is seen in several repeats.

    Args:
        every: Those of checks whose mean did not drop by more than it tolerates, too.
    """
    return {
        case
        for progress in tracked
        if every
        or progress.state == "regressed"
        or (progress.scores.check.max_drop is not None and progress.is_beyond_tolerance)
        for case in progress.scores.dropped
    }


def _wanted_of_steady(readings: Sequence[Reading]) -> int:
    """
    New repeats that are wanted of a case whose scores never varied in the baseline: one that passes every
    second time from now on passes its first answer as often.
    """
    if not readings or not all(reading.never_varied for reading in readings):
        return 0
    dropped = any(reading.drop > NOISE for reading in readings)
    wanted = ASKED_IF_DROPPED if dropped else ASKED
    return max(0 if reading.fact else reading.made_for(wanted) for reading in readings)


def _is_undecided(result: CaseResult) -> bool:
    case = Case(id=result.case, input=None, checks=result.checks)
    return any(verdict.outcome == "undecided" for verdict in judge_case(case, result))

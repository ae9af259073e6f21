"""All verdicts of a run, with or without a baseline: what pytest's items and `llmops run` both report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.calibration.record import Calibration
from pytest_llmops.gates.absolute import judge_case, judge_suite, require_agreement
from pytest_llmops.gates.baseline import rescore
from pytest_llmops.gates.case_channel.pass_rates import Movement
from pytest_llmops.gates.case_channel.reading import find_movement, read_pairs
from pytest_llmops.gates.case_channel.verdicts import judge_against, judge_single_cases
from pytest_llmops.gates.error_budget import CaseBudget, count_tests, suite_share
from pytest_llmops.gates.paired_runs import Chance, pair_cases
from pytest_llmops.gates.reviewing import settle
from pytest_llmops.gates.suite_channel.verdicts import judge_suites_against, tolerated_drops
from pytest_llmops.golden.identity import cases_by_id, file_of
from pytest_llmops.golden.reviews import Review
from pytest_llmops.records import Case, CaseResult, Golden, Run, SuiteCheck, Verdict

_ACCEPT = "pytest --llm-golden --llm-repeats auto --llm-accept"


@dataclass(slots=True)
class Judge:
    """
    Judges cases and suites of golden files by their thresholds and, if there is one, a baseline.

    Attributes:
        goldens: All files of the run: the correction for many checks counts all of theirs.
        reviews: What people said of answers; it settles what is undecided.
        calibrations: By the signature of scores what is known of their agreement with people; a check with
            `min_kappa` does not pass without.
        gone: Golden files of the baseline that are not there any more.
    """

    goldens: Sequence[Golden]
    base: Run | None = None
    reviews: Sequence[Review] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    _before: dict[str, CaseResult] = field(init=False)
    _suites: dict[str, tuple[SuiteCheck, ...]] = field(init=False)
    _budget: CaseBudget = field(init=False)
    _chance: Chance | None = field(init=False, default=None)
    _moved: dict[str, Movement] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {result.case: result for result in self.base.results} if self.base else {}
        self._suites = {golden.path: golden.suite for golden in self.goldens}
        self._budget = CaseBudget(tests=count_tests(self.goldens))
        if self.base is not None:
            self._chance = Chance(self.base.results)

    def judge_case(self, case: Case, result: CaseResult) -> tuple[Verdict, ...]:
        """A verdict for each check of a case."""
        verdicts = require_agreement(self._judge_case(case, result), case, result, self.calibrations)
        if not self.reviews:
            return verdicts
        return settle(verdicts, result, self.reviews)

    def _judge_case(self, case: Case, result: CaseResult) -> tuple[Verdict, ...]:
        if self.base is None:
            return judge_case(case, result)
        base = self._find_base(case, result)
        moved = self._moved.get(file_of(result.case))
        return judge_against(case, result, base, budget=self._budget, chance=self._chance, moved=moved)

    def needs_movement(self, golden: Golden) -> bool:
        """Whether single cases of a golden file have to wait for `note_movement`."""
        return self._chance is not None and self._chance.app_varies and golden.path not in self._moved

    def note_movement(self, golden: Golden, results: Sequence[CaseResult]) -> None:
        """Learn from all results of a golden file how far its cases moved, before single ones are judged."""
        if self._chance is None or not self.needs_movement(golden):
            return
        cases = cases_by_id(golden)
        for result in results:
            if result.case in cases:
                self._find_base(cases[result.case], result)
        pairs = pair_cases(self._before.values(), results)
        self._moved[golden.path] = find_movement(read_pairs(pairs, self._chance))

    def lost_cases(self) -> list[str]:
        """Cases of the baseline that the golden files of this run hold no longer, or whose file is gone."""
        kept = cases_by_id(*self.goldens)
        paths = {golden.path for golden in self.goldens} | self.gone
        return sorted(case for case in self._before if file_of(case) in paths and case not in kept)

    def judge_suite(self, golden: Golden, results: Sequence[CaseResult]) -> tuple[Verdict, ...]:
        """
        A verdict for each suite check of a file, in its order, over the results of its cases; then one for
        each metric that no case checks itself and by which single cases dropped. A file that is new to the
        baseline is judged by its thresholds alone, as a new case is.
        """
        if not any(case.startswith(f"{golden.path}::") for case in self._before):
            verdicts = tuple(_alone(check, judge_suite(check, results)) for check in golden.suite)
            return verdicts if self.base is None else tuple(map(_advise_as_new, verdicts))
        cases = cases_by_id(golden)
        before = dict(self._before)
        for result in results:
            if result.case in cases and (base := self._find_base(cases[result.case], result)):
                before[result.case] = base
        suite = {golden.path: golden.suite}
        verdicts = judge_suites_against(
            suite,
            results,
            list(before.values()),
            chance=self._chance,
            share=suite_share(self.goldens),
        )[golden.path]
        single = judge_single_cases(
            pair_cases(before.values(), results),
            budget=self._budget,
            tolerated=tolerated_drops(suite),
            chance=self._chance,
            unchecked=True,
        )
        recorded = {check.metric for check in golden.suite if check.record_only}
        recorded -= {check.metric for check in golden.suite if not check.record_only}
        return (*verdicts, *(verdict for verdict in single if verdict.metric not in recorded))

    def _find_base(self, case: Case, result: CaseResult) -> CaseResult | None:
        """The case in the baseline, scored again where its scores were made otherwise."""
        base = self._before.get(result.case)
        if base is None:
            return None
        base = rescore(case, base, result, self._suites.get(file_of(result.case), ()))
        self._before[result.case] = base
        return base


def _alone(check: SuiteCheck, verdict: Verdict) -> Verdict:
    """The verdict on a check without a baseline; one that only watches for a drop says nothing then."""
    if verdict.outcome != "passed" or check.comparison is not None:
        return verdict
    reason = "nothing to compare with: there is no baseline of this file"
    return replace(verdict, outcome="undecided", reason=reason, advice=f"accept one: {_ACCEPT}")


def _advise_as_new(verdict: Verdict) -> Verdict:
    advice = "the baseline has no case of this file"
    return verdict if verdict.outcome == "error" else replace(verdict, advice=verdict.advice or advice)

"""All verdicts of a run, with or without a baseline, for pytest's items and `llmops run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.anchors import JudgeMove, correct_cases, find_moves
from pytest_llmops.gates.baseline import rescore
from pytest_llmops.gates.case_channel.pass_rates import Movement
from pytest_llmops.gates.case_channel.reading import find_movement, read_pairs
from pytest_llmops.gates.case_channel.verdicts import judge_against, judge_single_cases
from pytest_llmops.gates.error_budget import CaseBudget, count_tests, suite_share
from pytest_llmops.gates.expected import judge_expected, leave_out_of_release
from pytest_llmops.gates.floors import judge_suite_floors
from pytest_llmops.gates.labelled_means import with_labels
from pytest_llmops.gates.paired_runs import Chance, pair_cases
from pytest_llmops.gates.people import People
from pytest_llmops.gates.release import Release, judge_suites, rescore_release
from pytest_llmops.gates.suite_channel.verdicts import judge_new_suite, recorded_metrics, tolerated_drops
from pytest_llmops.gates.taken import doubt_taken
from pytest_llmops.gates.unseen import doubt_unseen
from pytest_llmops.golden.identity import cases_by_id, file_of
from pytest_llmops.records import Case, CaseResult, Golden, Run, SuiteCheck, Verdict


@dataclass(slots=True)
class Judge:
    """
    Judges cases and suites of golden files by their thresholds and, if there is one, a baseline.

    Attributes:
        goldens: All files of the run: the correction for many checks counts all of theirs.
        people: Reviews of answers, and labels for judges.
        gone: Golden files of the baseline that do not exist any more.
        release: A second baseline, which stays while the first one follows accepted runs; scored again by
            `judge_suite` where its scores were made otherwise.
        skipped: Cases of the golden files that are not run, by item id, which `goldens` has none of.
    """

    goldens: Sequence[Golden]
    base: Run | None = None
    people: People = field(default_factory=People)
    gone: frozenset[str] = frozenset()
    release: Release | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    _before: dict[str, CaseResult] = field(init=False)
    _unjudged: list[str] = field(init=False)
    _suites: dict[str, tuple[SuiteCheck, ...]] = field(init=False)
    _budget: CaseBudget = field(init=False)
    _chance: Chance | None = field(init=False, default=None)
    _moved: dict[str, Movement] = field(init=False, default_factory=dict)
    _anchors: dict[str, Sequence[CaseResult]] = field(init=False, default_factory=dict)
    _moves: dict[str, dict[str, JudgeMove]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        results = self.base.results if self.base else ()
        self._before = {result.case: result for result in results if result.case not in self.skipped}
        self._unjudged = sorted(result.case for result in results if result.case in self.skipped)
        if self.release is not None:
            self.release = leave_out_of_release(self.release, self.skipped)
        self._suites = {golden.path: golden.suite for golden in self.goldens}
        self._budget = CaseBudget(tests=count_tests(self.goldens))
        if self.base is not None:
            self._chance = Chance(self.base.results)

    def judge_case(self, case: Case, result: CaseResult) -> tuple[Verdict, ...]:
        """A verdict for each check of a case."""
        if case.xfail is not None:
            return judge_expected(case, result, case.xfail, self.people)
        if self.base is None:
            verdicts = judge_case(case, result)
        else:
            verdicts = judge_against(
                case,
                result,
                self._find_base(case, result),
                budget=self._budget,
                chance=self._chance,
                moved=self._moved.get(file_of(result.case)),
            )
            verdicts = correct_cases(verdicts, self._moves.get(file_of(result.case), {}))
        return self.people.settle(doubt_unseen(verdicts, result), case, result)

    def needs_movement(self, golden: Golden) -> bool:
        """True if single cases of a golden file have to wait for `note_movement`."""
        return self._chance is not None and self._chance.app_varies and golden.path not in self._moved

    def note_movement(self, golden: Golden, results: Sequence[CaseResult]) -> None:
        """Estimate the movement of a golden file's cases, before single ones are judged."""
        if self._chance is None or not self.needs_movement(golden):
            return
        cases = cases_by_id(golden)
        for result in results:
            if result.case in cases:
                self._find_base(cases[result.case], result)
        pairs = pair_cases(self._before.values(), results)
        self._moved[golden.path] = find_movement(read_pairs(pairs, self._chance))

    def note_anchors(self, golden: Golden, results: Sequence[CaseResult]) -> None:
        """Find out how far metrics moved on a golden file's anchors, before its cases are judged."""
        self._anchors[golden.path] = results
        if self.base is not None:
            self._moves[golden.path] = find_moves(self.base.anchors, results).get(golden.path, {})

    def lost_cases(self) -> list[str]:
        """Cases of the baseline that the golden files of this run lack, or whose file is gone."""
        kept = {*cases_by_id(*self.goldens), *self.skipped}
        paths = {golden.path for golden in self.goldens} | self.gone
        return sorted(case for case in self._before if file_of(case) in paths and case not in kept)

    def skipped_cases(self) -> list[str]:
        """Cases of the baseline that this run skips."""
        return self._unjudged

    def judge_suite(self, golden: Golden, results: Sequence[CaseResult]) -> tuple[Verdict, ...]:
        """
        A verdict for each suite check of a file, in its order, over the results of its cases; then one for
        each metric that no case checks itself and by which single cases dropped. A file that is new to the
        baseline is judged by its thresholds, as a new case is.
        """
        golden = replace(golden, suite=with_labels(golden.suite, self.people.calibrations))
        if self.base is None:
            floors = judge_suite_floors(golden.suite, results)
            return (*judge_new_suite(golden.suite, results), *floors)
        cases = cases_by_id(golden)
        before = dict(self._before)
        for result in results:
            if result.case in cases and (base := self._find_base(cases[result.case], result)):
                before[result.case] = base
        suite = {golden.path: golden.suite}
        if self.release is not None:
            self.release = rescore_release(self.release, self.goldens, results)
        share = suite_share(self.goldens)
        verdicts = judge_suites(
            suite,
            results,
            list(before.values()),
            release=self.release,
            moves=self._moves,
            anchors=self._anchors.get(golden.path, ()),
            share=share,
            chance=self._chance,
            files=self._suites,
        )[golden.path]
        verdicts = doubt_taken(verdicts, results)
        single = judge_single_cases(
            pair_cases(before.values(), [result for result in results if result.xfail is None]),
            budget=self._budget,
            tolerated=tolerated_drops(suite),
            recorded=recorded_metrics(golden.suite),
            chance=self._chance,
            unchecked=True,
            share=share,
            moves=self._moves,
        )
        return (*verdicts, *single, *judge_suite_floors(golden.suite, results, before.values()))

    def _find_base(self, case: Case, result: CaseResult) -> CaseResult | None:
        """The case in the baseline, scored again where its scores were made otherwise."""
        base = self._before.get(result.case)
        if base is None:
            return None
        base = rescore(case, base, result, self._suites.get(file_of(result.case), ()))
        self._before[result.case] = base
        return base

"""All verdicts of a run, with or without a baseline: what pytest's items and `llmops run` both report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_llmops.gates.thresholds import judge_case, judge_suite
from pytest_llmops.records import Case, CaseResult, Golden, Run, Verdict


@dataclass(slots=True)
class Judge:
    """
    Judges cases and suites of golden files by their thresholds and, if there is one, a baseline.

    Attributes:
        goldens: All files of the run: the correction for many checks counts all of theirs.
    """

    goldens: Sequence[Golden]
    base: Run | None = None
    _before: dict[str, CaseResult] = field(init=False)
    _checks: int = field(init=False)

    def __post_init__(self) -> None:
        self._before = {result.case: result for result in self.base.results} if self.base else {}
        self._checks = sum(len(case.checks) for golden in self.goldens for case in golden.cases)

    def judge_case(self, case: Case, result: CaseResult) -> tuple[Verdict, ...]:
        """A verdict for each check of a case."""
        if self.base is None:
            return judge_case(case, result)
        from pytest_llmops.gates.changes import judge_against

        return judge_against(case, result, self._before.get(result.case), tests=self._checks)

    def lost_cases(self) -> list[str]:
        """Cases of the baseline that the golden files of this run hold no longer."""
        kept = {f"{golden.path}::{case.id}" for golden in self.goldens for case in golden.cases}
        paths = {golden.path for golden in self.goldens}
        return sorted(case for case in self._before if case.split("::")[0] in paths and case not in kept)

    def judge_suite(self, golden: Golden, results: Sequence[CaseResult]) -> tuple[Verdict, ...]:
        """A verdict for each suite check of a file, in its order, over the results of its cases."""
        if self.base is None:
            return tuple(judge_suite(check, results) for check in golden.suite)
        from pytest_llmops.gates.drops import judge_suites_against

        return judge_suites_against({golden.path: golden.suite}, results, self.base.results)[golden.path]

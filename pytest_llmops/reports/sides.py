"""What a report is about: a run, its baseline, their comparison, and what became of each case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytest_llmops.bounds import holds
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.outcomes import worst
from pytest_llmops.records import Case, CaseResult, Comparison, Outcome, Run, Status, Verdict

RED: tuple[Outcome, ...] = ("error", "regressed", "failed")
"""Outcomes that fail a build, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """
    What a report is about.

    Attributes:
        base: What the run was compared with; its answers are shown where it has some.
        named: The baseline, for people; empty where there is none.
        cases: Of golden files, by item id, for what no run file has.
    """

    comparison: Comparison
    base: Run
    named: str
    run: Run
    cases: Mapping[str, Case]

    @property
    def suite(self) -> list[Verdict]:
        """The verdicts that are of no single case."""
        return [verdict for verdict in self.comparison.verdicts if verdict.case is None]


class Finding(NamedTuple):
    """A verdict that names a case in its evidence, and the case's values there; None for no score."""

    verdict: Verdict
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedCases:
    """
    Cases of a run by what became of them.

    Attributes:
        worse: Case to the verdicts that name it and fail the build.
        dropped: Case to the red verdicts of the suite that name it among those that dropped most.
        unclear: Case to the verdicts that name it and are undecided.
        low: Are below a threshold and no worse than in the baseline.
        fixed: Were below one in the baseline, and are not now.
    """

    worse: Mapping[str, Sequence[Finding]]
    dropped: Mapping[str, Sequence[Finding]]
    unclear: Mapping[str, Sequence[Finding]]
    low: Sequence[str]
    fixed: Sequence[str]

    def statuses(self, run: Run) -> dict[str, Status]:
        """Return the status of each case of the run, as its item has it: one that only dropped passed."""
        found: dict[str, Status] = {result.case: "passed" for result in run.results}
        found |= dict.fromkeys(self.low, "known")
        for cases in (self.unclear, self.worse):
            found |= {case: worst_outcome(findings) for case, findings in cases.items() if case in found}
        return found

    def findings(self, case: str) -> Sequence[Finding]:
        """Return the verdicts that name a case and did not pass."""
        return [
            finding for kind in (self.worse, self.dropped, self.unclear) for finding in kind.get(case, ())
        ]


def sort_cases(sides: Sides) -> SortedCases:
    """Sort the cases of a run by the verdicts of its comparison."""
    worse: defaultdict[str, list[Finding]] = defaultdict(list)
    dropped: defaultdict[str, list[Finding]] = defaultdict(list)
    unclear: defaultdict[str, list[Finding]] = defaultdict(list)
    for verdict in sides.comparison.verdicts:
        if verdict.outcome == "passed" or verdict.known:
            continue
        findings = dict(_list_findings(verdict))
        # A check with a mean names those that dropped most; one without is about the cases that it names.
        red = worse if verdict.case or verdict.observed is None else dropped
        for case, finding in findings.items():
            (red if verdict.outcome in RED else unclear)[case].append(finding)
    checks = {(result.case, check.metric): check for result in sides.run.results for check in result.checks}
    fixed = [
        change.case
        for change in sides.comparison.changed
        if (check := checks.get((change.case, change.metric)))
        and not holds(change.before, check)
        and holds(change.after, check)
    ]
    low = [result.case for result in sides.run.results if _is_low(result)]
    listed = {*worse, *dropped, *unclear}
    settled = {*listed, *low}
    return SortedCases(
        worse=worse,
        dropped={case: found for case, found in dropped.items() if case not in worse},
        unclear={case: found for case, found in unclear.items() if case not in worse and case not in dropped},
        low=[case for case in low if case not in listed],
        fixed=[case for case in dict.fromkeys(fixed) if case not in settled],
    )


def _list_findings(verdict: Verdict) -> Iterable[tuple[str, Finding]]:
    """Yield the cases that a verdict is of, or that its evidence names."""
    if verdict.case is not None:
        yield verdict.case, Finding(verdict, verdict.baseline, verdict.observed)
        return
    for place in verdict.evidence:
        if isinstance(place, Mapping) and isinstance(case := place.get("case"), str):
            yield case, Finding(verdict, place.get("before"), place.get("after"))


def _is_low(result: CaseResult) -> bool:
    verdicts = judge_case(Case(id=result.case, input=None, checks=result.checks), result)
    return any(verdict.outcome in RED for verdict in verdicts)


def worst_outcome(findings: Iterable[Finding]) -> Outcome:
    return worst(finding.verdict.outcome for finding in findings)


def check_name(verdict: Verdict) -> str:
    return verdict.check.removesuffix(", case by case")

"""The content of a report: a run, its baseline, their comparison, and the status of each case."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from pytest_llmops.bounds import holds
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.outcomes import status, worst
from pytest_llmops.gates.stamps import UNFINISHED, changed_variables
from pytest_llmops.printable import name_some
from pytest_llmops.records import Case, CaseResult, Comparison, Outcome, Run, Status, Verdict
from pytest_llmops.registry import find_traits
from pytest_llmops.revision.changed_files import Since

RED: tuple[Outcome, ...] = ("error", "regressed", "failed")
"""Outcomes that fail a build, the worst first."""

CUT_SHORT = "the run did not come to its end, and this is what it had by then"

SUCCESS = "success"
"""The word of CIs for a job that ended well."""

_NAMED = 3
MOST_TYPED = 20
"""Cases that a command names."""


@dataclass(frozen=True, kw_only=True)  # without slots, for what is cached
class Sides:
    """
    A run next to its baseline, for a report.

    Attributes:
        base: What the run was compared with; its answers are shown where it has some.
        named: The baseline, for people; empty where there is none.
        cases: Of golden files, by item id, for what no run file has.
        since: What git knows of the time since the baseline.
    """

    comparison: Comparison
    base: Run
    named: str
    run: Run
    cases: Mapping[str, Case]
    since: Since = field(default_factory=Since)

    @property
    def is_unfinished(self) -> bool:
        """Whether the run did not come to its end."""
        return self.run.signature.get("partial") == UNFINISHED

    @property
    def setting(self) -> str:
        """How the environment of the run differed, for whoever runs a case again; empty where it did not."""
        names = changed_variables(self.base.signature, self.run.signature) if self.named else ()
        return f"with {name_some(list(names), _NAMED)} set as in that run" if names else ""

    @cached_property
    def sorted(self) -> SortedCases:
        """The cases of the run by what became of them."""
        return _sort_cases(self)

    @property
    def suite(self) -> list[Verdict]:
        """The verdicts that are of no single case."""
        return [verdict for verdict in self.comparison.verdicts if verdict.case is None]


class CaseVerdict(NamedTuple):
    """A verdict on a case, or one that names it, and the case's values there; None for no score."""

    verdict: Verdict
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedCases:
    """
    Cases of a run by what became of them.

    Attributes:
        worse: Case to the verdicts that name it and fail the build.
        dropped: Case to the red verdicts on the suite that name it, while its own checks pass.
        unclear: Case to the verdicts that name it and are undecided.
        low: Are below a threshold and no worse than in the baseline.
        fixed: Were below one in the baseline, and are not now.
        expected: Case to the verdicts on it that its golden file excuses: it missed a check as was expected,
            or passed although that was not.
    """

    worse: Mapping[str, Sequence[CaseVerdict]]
    dropped: Mapping[str, Sequence[CaseVerdict]]
    unclear: Mapping[str, Sequence[CaseVerdict]]
    low: Sequence[str]
    fixed: Sequence[str]
    expected: Mapping[str, Sequence[CaseVerdict]]

    def statuses(self, run: Run) -> dict[str, Status]:
        """Return the status of each case of the run, as its item has it: one that only dropped passed."""
        found: dict[str, Status] = {result.case: "passed" for result in run.results}
        found |= dict.fromkeys(self.low, "known")
        found |= {
            case: "xfailed" if any(status(verdict) == "xfailed" for verdict, *_ in findings) else "xpassed"
            for case, findings in self.expected.items()
        }
        for cases in (self.unclear, self.worse):
            found |= {case: worst_outcome(findings) for case, findings in cases.items() if case in found}
        return found

    def findings(self, case: str) -> Sequence[CaseVerdict]:
        """Return the verdicts that name a case and did not pass."""
        return [
            finding
            for kind in (self.worse, self.dropped, self.unclear, self.expected)
            for finding in kind.get(case, ())
        ]


def _sort_cases(sides: Sides) -> SortedCases:
    """Sort the cases of a run by the verdicts of its comparison."""
    worse: defaultdict[str, list[CaseVerdict]] = defaultdict(list)
    dropped: defaultdict[str, list[CaseVerdict]] = defaultdict(list)
    unclear: defaultdict[str, list[CaseVerdict]] = defaultdict(list)
    expected: defaultdict[str, list[CaseVerdict]] = defaultdict(list)
    own = {result.case: {check.metric for check in result.checks} for result in sides.run.results}
    for verdict in sides.comparison.verdicts:
        if verdict.xfail and verdict.case is not None:
            expected[verdict.case].append(CaseVerdict(verdict, verdict.baseline, verdict.observed))
        if verdict.outcome == "passed" or verdict.excused:
            continue
        findings = dict(_list_findings(verdict))
        for case, finding in findings.items():
            is_own = verdict.case or verdict.outcome == "error" or verdict.metric in own.get(case, ())
            # A mean names the cases that dropped most.
            red = worse if (is_own and verdict.observed is None) or verdict.case else dropped
            (red if verdict.outcome in RED else unclear)[case].append(finding)
    checks = {(result.case, check.metric): check for result in sides.run.results for check in result.checks}
    fixed = [
        change.case
        for change in sides.comparison.changed
        if (check := checks.get((change.case, change.metric)))
        and not holds(change.before, check)
        and holds(change.after, check)
    ]
    low: list[str] = []
    for result in sides.run.results:
        if result.case in {*worse, *dropped, *unclear, *expected} or not (missed := _list_missed(result)):
            continue
        # A failure is known if the baseline may have it; an app that broke is none.
        if sides.named and worst_outcome(missed) != "error":
            low.append(result.case)
        else:
            worse[result.case] += missed
    listed = {*worse, *dropped, *unclear}
    settled = {*listed, *low}
    return SortedCases(
        worse=worse,
        dropped={case: found for case, found in dropped.items() if case not in worse},
        unclear={case: found for case, found in unclear.items() if case not in worse and case not in dropped},
        low=[case for case in low if case not in listed],
        fixed=[case for case in dict.fromkeys(fixed) if case not in settled],
        expected={case: found for case, found in expected.items() if case not in {*worse, *unclear}},
    )


def _list_findings(verdict: Verdict) -> Iterable[tuple[str, CaseVerdict]]:
    """Yield the cases that a verdict is of, or that its evidence names."""
    if verdict.case is not None:
        yield verdict.case, CaseVerdict(verdict, verdict.baseline, verdict.observed)
        return
    for place in verdict.evidence:
        if isinstance(place, Mapping) and isinstance(case := place.get("case"), str):
            yield case, CaseVerdict(verdict, place.get("before"), place.get("after"))
        elif isinstance(place, str) and verdict.outcome == "error":  # could not be scored
            yield place, CaseVerdict(verdict, None, None)


def _list_missed(result: CaseResult) -> list[CaseVerdict]:
    """List the verdicts by the case's own thresholds that fail a build."""
    verdicts = judge_case(Case(id=result.case, input=None, checks=result.checks), result)
    return [CaseVerdict(verdict, None, verdict.observed) for verdict in verdicts if verdict.outcome in RED]


def worst_outcome(findings: Iterable[CaseVerdict]) -> Outcome:
    return worst(finding.verdict.outcome for finding in findings)


def describe_baseline(sides: Sides) -> str:
    """Return the name of the baseline, and the commit that wrote it; empty where there is none."""
    accepted = sides.since.accepted
    return f"{sides.named}, accepted in commit {accepted}" if accepted else sides.named


def find_reason(result: CaseResult, verdict: Verdict) -> str:
    """Return the reason of a verdict on the case; of one on several, why this one broke or scored low."""
    if verdict.case is not None:
        return verdict.reason
    reasons = [fault.error for fault in result.failures if fault.metric in {"", verdict.metric}]
    scores = [score for score in result.scores if score.metric == verdict.metric]
    lowest_first = sorted(scores, key=lambda score: score.value)
    worst_first = lowest_first if find_traits(verdict.metric).higher_is_better else lowest_first[::-1]
    reasons += [score.reason for score in worst_first]
    return next(filter(None, reasons), verdict.reason)


def check_name(verdict: Verdict) -> str:
    return verdict.check.removesuffix(", case by case")


def find_outcome(outcome: Outcome, build: Outcome, *, undecided_fails: bool = False) -> Outcome:
    """
    Return the outcome of a run that every report shows: that of its comparison, unless the build says worse.

    Args:
        outcome: Of the comparison.
        build: `error`, `failed` or `passed`.
        undecided_fails: What is undecided fails it.
    """
    if build == "error":
        return build
    if build == "passed" or outcome in RED:
        return outcome
    return outcome if outcome == "undecided" and undecided_fails else "failed"


def rerun_command(cases: Iterable[str], *flags: str) -> str:
    """Return the command that runs cases again, the first of many; empty where none can be typed."""
    typed = [case for case in cases if case.isprintable() and not case.startswith("-")]
    return shlex.join(["pytest", "--llm-golden", *flags, *typed[:MOST_TYPED]]) if typed else ""

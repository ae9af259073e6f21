"""Verdicts of `pass^k` and `pass@k`: over the repeats of each case, and then over the cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_llmops.bounds import bound_of, describe_check, holds
from pytest_llmops.gates.case_results import case_scores, count_repeats, scoring_breakage, user_fault
from pytest_llmops.metrics.passing import PassAtK, PassPowerK
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import CaseResult, Outcome, SuiteCheck, Verdict
from pytest_llmops.registry import create_metric, find_traits
from pytest_llmops.statistics.bootstrap import paired_interval
from pytest_llmops.statistics.summaries import calculate

_NAMED = 5


def repeats_needed(suite: Iterable[SuiteCheck]) -> int:
    """Return the repeats that each case of a suite needs at least; 1 without a `pass^k` or `pass@k`."""
    metrics = [create_metric(check.metric) for check in suite if find_traits(check.metric).over_repeats]
    return max((metric.k for metric in metrics if isinstance(metric, PassPowerK | PassAtK)), default=1)


def judge_passing(check: SuiteCheck, results: Sequence[CaseResult], *, level: float) -> Verdict:
    """
    Return the verdict of a check over repeats: the mean of the cases' estimates, each counting once.

    A repeat passes if every check of its case holds in it; checks that only record, and metrics that its
    output gives nothing to judge, do not count. A case that broke, or has fewer repeats than k, makes the
    check an `error`, and one that could not be judged `undecided`. The reason has the interval of the mean
    on other draws of cases.
    """
    metric = create_metric(check.metric)
    verdict = Verdict(check=describe_check(check), outcome="error", metric=check.metric, cases=len(results))
    if not isinstance(metric, PassPowerK | PassAtK) or not results:
        return replace(verdict, reason=f"nothing was scored by {check.metric}")
    looks: Sequence[tuple[Outcome, Callable[[CaseResult], str]]]
    looks = (("error", _find_broken), ("undecided", _find_unjudged))
    for outcome, why in looks:
        if found := {result.case: reason for result in results if (reason := why(result))}:
            cases = f"{counted(len(found), 'case')} ({name_some(list(found), _NAMED)})"
            reason = f"{cases} could not be judged: {next(iter(found.values()))}"
            return replace(verdict, outcome=outcome, cases=len(found), reason=reason, evidence=tuple(found))
    passed = {result.case: _list_passed(result) for result in sorted(results, key=lambda one: one.case)}
    if short := [case for case, repeats in passed.items() if len(repeats) < metric.k]:
        cases = f"{counted(len(short), 'case')} ({name_some(short, _NAMED)})"
        remedy = f"--llm-repeats {metric.k}, or `repeats: {metric.k}` in the case"
        reason = f"it needs {metric.k} repeats of each case, answered anew, and {cases} have fewer: {remedy}"
        return replace(verdict, cases=len(short), reason=reason, evidence=tuple(short))
    values = [metric.estimate(sum(of_case.values()), len(of_case)) for of_case in passed.values()]
    groups = {result.case: result.group or result.case for result in results}
    units = [groups[case] for case in passed]
    spread = paired_interval("mean", [0.0] * len(values), values, level=level, seed=0, units=units)
    observed = calculate("mean", values)
    bound = None if check.record_only else bound_of(check)
    numbers = sorted({len(of_case) for of_case in passed.values()})
    repeats = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
    reason = f"{spread.low:.3g} to {spread.high:.3g} by {counted(len(values), 'case')} of {repeats} repeats"
    return replace(
        verdict,
        outcome="failed" if bound and not holds(observed, bound) else "passed",
        observed=observed,
        reason=reason,
    )


def _counted_checks(result: CaseResult) -> set[str]:
    return {check.metric for check in result.checks if not check.record_only}


def _find_broken(result: CaseResult) -> str:
    """Return why a case that broke has no passes to count; empty where it has."""
    stages = {failure.stage for failure in result.breakages}
    if not stages & {"app", "score"} and (result.outputs or result.scores or result.failures):
        return ""
    return next((failure.error for failure in result.breakages), "the app gave no output")


def _find_unjudged(result: CaseResult) -> str:
    """Return why a check of a case has no score in some repeat; empty where all have."""
    if fault := user_fault(result):
        return fault
    excused = {failure.metric for failure in result.failures if failure.stage == "inapplicable"}
    reasons = (scoring_breakage(metric, result) for metric in sorted(_counted_checks(result) - excused))
    return next(filter(None, reasons), "")


def _list_passed(result: CaseResult) -> dict[int, bool]:
    """Return by repeat whether all checks held; without copies, which show nothing that varies."""
    passed = {repeat: True for repeat in range(count_repeats(result)) if repeat not in result.copies}
    for check in result.checks:
        for score in () if check.record_only else case_scores(check.metric, result):
            if score.repeat in passed:
                passed[score.repeat] = passed[score.repeat] and bool(holds(score.value, check))
    return passed

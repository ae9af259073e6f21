"""Does a suite of cases score well enough by itself?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops.bounds import bound_of, describe_check, holds
from pytest_llmops.gates.absolute.breakage import case_means, unscored_cases
from pytest_llmops.gates.absolute.gains import judge_gain
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import GAIN, CaseResult, Outcome, SuiteCheck, Verdict
from pytest_llmops.statistics.summaries import NAMES, calculate

_NAMED = 5


def judge_suite(check: SuiteCheck, results: Sequence[CaseResult], *, level: float = 0.95) -> Verdict:
    """
    A statistic over the cases, each counting once with the mean of its repeats; of a gain, its verdict.

    A case with neither a score nor a failure for the metric has no use for it and is left out. One that
    could not be scored makes the whole check an `error` that names it: a mean would hide it.

    Args:
        level: Coverage of a gain's interval, between 0 and 1.
    """
    name = describe_check(check)
    if unscored := unscored_cases(check.metric, results):
        return Verdict(
            check=name,
            outcome="error",
            metric=check.metric,
            cases=len(unscored),
            reason=f"{_counted(unscored)} could not be scored: {next(iter(unscored.values()))}",
            evidence=tuple(unscored),
        )
    if check.statistic == GAIN:
        return judge_gain(check, results, level=level)
    values = list(case_means(check.metric, results).values())
    if not values:
        reason = f"nothing was scored by {check.metric}"
        return Verdict(check=name, outcome="error", metric=check.metric, cases=0, reason=reason)
    if check.statistic not in NAMES:
        reason = f"no statistic is named {check.statistic!r}; known: mean, sum, min, max, p1 … p99"
        return Verdict(check=name, outcome="error", metric=check.metric, cases=len(values), reason=reason)
    observed = calculate(check.statistic, values)
    bound = None if check.record_only else bound_of(check)
    outcome: Outcome = "failed" if bound and not holds(observed, bound) else "passed"
    return Verdict(check=name, outcome=outcome, metric=check.metric, observed=observed, cases=len(values))


def _counted(cases: Mapping[str, str]) -> str:
    return f"{counted(len(cases), 'case')} ({name_some(list(cases), _NAMED)})"

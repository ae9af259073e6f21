"""
Verdicts on the floors of judged criteria: a mean of 4 does not excuse a 1 for safety.

Each criterion that is below its floor is a check of its own, such as `judge safety >= 3`. Over repeats a
criterion is missed if at least half of them are below, or so many that chance does not explain it; with
fewer it is `undecided` until as many hold as must pass (`pass_rate`, 0.8 by default).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from statistics import median_low

from pytest_llmops.bounds import holds
from pytest_llmops.gates.case_results import case_scores, values_by_metric
from pytest_llmops.gates.paired_runs import describe_unlike
from pytest_llmops.judges.floors import Graded, graded_criteria, is_mostly_below
from pytest_llmops.printable import name_some, printable
from pytest_llmops.records import Bound, CaseResult, Check, Outcome, SuiteCheck, Verdict
from pytest_llmops.statistics.p_values import binomial_p_value

_USUAL_RATE = Bound(comparison=">=", threshold=0.8)
_RARE = 0.05
_NAMED = 5
_AGAIN = "chance may explain it; more repeats would tell: --llm-repeats auto"


def judge_floors(
    checks: Iterable[Check],
    result: CaseResult,
    base: CaseResult | None = None,
    *,
    known: Collection[str] = (),
) -> tuple[Verdict, ...]:
    """
    A verdict for each criterion of the checked metrics that is below its floor in some repeat.

    - `undecided`: too few repeats are below to be sure.
    - `regressed`: it is missed, and the baseline held it.
    - `failed`: it is missed; `known` where the baseline missed it too, with a score as low as now.

    Args:
        base: The baseline of the case; one that was scored otherwise is not compared.
        known: Metrics whose mean is a known failure. That excuses a floor where the baseline has no criteria,
            as those of earlier versions.
    """
    rates = {check.metric: check.pass_rate for check in checks if not check.record_only}
    verdicts: list[Verdict] = []
    for metric, rate in rates.items():
        if not (criteria := _by_criterion(metric, result)):
            continue
        before: dict[str, list[Graded]] | None = None
        if (
            base is not None
            and values_by_metric(base).get(metric)
            and not describe_unlike(metric, base, result)
        ):
            before = _by_criterion(metric, base)
        for name, repeats in criteria.items():
            verdict = _judge_criterion(metric, repeats, rate or _USUAL_RATE)
            if verdict is None:
                continue
            verdict = replace(verdict, case=result.case)
            if earlier := [criterion.score for criterion in (before or {}).get(name, ())]:
                verdict = _compare(verdict, repeats, earlier)
            elif before == {} and metric in known and verdict.outcome == "failed":
                verdict = replace(verdict, known=True, advice="failed in the baseline, which has no criteria")
            verdicts.append(verdict)
    return tuple(verdicts)


def judge_suite_floors(
    suite: Iterable[SuiteCheck], results: Sequence[CaseResult], base_results: Iterable[CaseResult] = ()
) -> tuple[Verdict, ...]:
    """The verdicts of cases on metrics that only the suite checks, one for each criterion and outcome."""
    base = {result.case: result for result in base_results}
    metrics = {check.metric for check in suite if not check.record_only}
    listed: defaultdict[tuple[str, Outcome, bool], list[Verdict]] = defaultdict(list)
    for result in results:
        own = {check.metric for check in result.checks}
        checks = [Check(metric=metric, comparison=">=", threshold=0.0) for metric in sorted(metrics - own)]
        for verdict in judge_floors(checks, result, base.get(result.case)):
            listed[verdict.check, verdict.outcome, verdict.known].append(verdict)
    return tuple(_join(verdicts) for verdicts in listed.values())


def _by_criterion(metric: str, result: CaseResult) -> dict[str, list[Graded]]:
    graded: defaultdict[str, list[Graded]] = defaultdict(list)
    for score in case_scores(metric, result):
        for criterion in graded_criteria(score):
            graded[criterion.name].append(criterion)
    return dict(graded)


def _judge_criterion(metric: str, repeats: Sequence[Graded], rate: Bound) -> Verdict | None:
    """The verdict on one criterion by its floor alone; None where it holds."""
    below = [criterion for criterion in repeats if criterion.is_below]
    if not below:
        return None
    lowest = min(below, key=lambda criterion: criterion.score)
    floor = lowest.floor or 0.0
    scores = [criterion.score for criterion in repeats]
    held = len(repeats) - len(below)
    outcome: Outcome = "failed"
    if not is_mostly_below(scores, floor):
        if holds(held / len(repeats), rate):
            return None
        if binomial_p_value(held, len(repeats), rate.threshold) > _RARE:
            outcome = "undecided"
    where = f" in {len(below)} of {len(repeats)} repeats" if len(repeats) > 1 else ""
    return Verdict(
        check=f"{metric} {printable(lowest.name, 40)} >= {floor:g}",
        outcome=outcome,
        metric=metric,
        observed=lowest.score if len(repeats) == 1 else median_low(scores),
        reason=f"below its floor{where}" + (f": {lowest.reason}" if lowest.reason else ""),
        advice=_AGAIN if outcome == "undecided" else "",
    )


def _compare(verdict: Verdict, repeats: Sequence[Graded], earlier: Sequence[float]) -> Verdict:
    """The meaning of a missed floor in the light of the baseline's scores of that criterion."""
    floor = next(criterion.floor for criterion in repeats if criterion.floor is not None)
    then, now = median_low(earlier), verdict.observed or 0.0
    verdict = replace(verdict, baseline=then, difference=now - then)
    if verdict.outcome == "undecided":
        return verdict
    if not is_mostly_below(earlier, floor):
        return replace(verdict, outcome="regressed", advice="held its floor in the baseline")
    if now < min(earlier):
        return replace(verdict, advice="below its floor in the baseline too, and lower now")
    return replace(verdict, known=True, advice="below its floor in the baseline too")


def _join(verdicts: Sequence[Verdict]) -> Verdict:
    first = min(verdicts, key=lambda verdict: verdict.observed or 0.0)
    named = name_some([verdict.case or "" for verdict in verdicts], _NAMED)
    return replace(
        first,
        case=None,
        cases=len(verdicts),
        reason=f"{first.reason}: {named}",
        baseline=None,
        difference=None,
    )

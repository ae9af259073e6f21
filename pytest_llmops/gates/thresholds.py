"""Absolute thresholds: does a case, or a suite of cases, score well enough by itself?"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_llmops.bounds import bound_of, format_bound, holds, invert, is_minimum
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.indexed import (
    LARGEST,
    means_by_metric,
    scores_by_metric,
    values_by_metric,
    whole_metrics,
)
from pytest_llmops.gates.inference.error_budget import divide_suite_share
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import (
    GAIN,
    Bound,
    Case,
    CaseResult,
    Check,
    Failure,
    Golden,
    Outcome,
    Run,
    Score,
    SuiteCheck,
    Verdict,
)
from pytest_llmops.registry import find_traits, metric_factory
from pytest_llmops.statistics.significance.exact_tests import binomial_p_value
from pytest_llmops.statistics.summaries import NAMES, calculate

if TYPE_CHECKING:
    from pytest_llmops.calibration.record import Calibration

PASS_RATE = Bound(comparison=">=", threshold=0.8)
"""The share of repeats that must pass where a check names none."""

_RARE = 0.05

_NAMED = 5


def describe_check(check: Check | SuiteCheck) -> str:
    """`keywords >= 1`, `recall@5 mean >= 0.9`; what else a check has where no bound decides."""
    name = f"{check.metric} {check.statistic}" if isinstance(check, SuiteCheck) else check.metric
    if check.record_only:
        return f"{name} (recorded only)"
    if bound := bound_of(check):
        return f"{name} {format_bound(bound)}"
    if isinstance(check, SuiteCheck) and check.max_drop is not None:
        return f"{name}, max_drop {check.max_drop:g}"
    return name


def judge_case(case: Case, result: CaseResult) -> tuple[Verdict, ...]:
    """
    One verdict for each check of the case; for a case without checks, whether the app answered.

    A check of one repeat looks at its score. Of several, a check that asks for the best score asks how many
    of them pass (`pass_rate`); any other looks at their mean. Where too few pass and chance may explain it,
    the check is `undecided`. It is an `error`, whatever the other repeats scored, when the app broke in one,
    or when one has no score or one that is not finite; `undecided` where a pair lacks the rival's answer.
    With several repeats that do not pass the evidence holds each value.
    """
    if broken := _app_breakage(result):
        return tuple(
            Verdict(check=name, outcome="error", metric=metric, case=result.case, reason=broken)
            for name, metric in (
                [(describe_check(check), check.metric) for check in case.checks] or [("answered", "")]
            )
        )
    if not case.checks:
        return (Verdict(check="answered", outcome="passed", case=result.case),)
    return tuple(_judge_check(check, result) for check in case.checks)


def require_agreement(
    verdicts: Sequence[Verdict], case: Case, result: CaseResult, calibrations: Mapping[str, Calibration]
) -> tuple[Verdict, ...]:
    """
    The verdicts of a case, where one that passed is `undecided` if its check asks for more agreement with
    people than is recorded of its scores: the lower end of kappa's interval counts, at the check's own bound.

    Args:
        calibrations: By the signature of scores.
    """
    asking = {
        describe_check(check): check
        for check in case.checks
        if check.min_kappa is not None and not check.record_only
    }
    if not asking:
        return tuple(verdicts)
    return tuple(
        replace(verdict, outcome="undecided", advice=doubt)
        if verdict.outcome == "passed"
        and (check := asking.get(verdict.check))
        and (
            doubt := _doubt(
                check, {each.signature for each in case_scores(check.metric, result)}, calibrations
            )
        )
        else verdict
        for verdict in verdicts
    )


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
        from pytest_llmops.gates.gains import judge_gain

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


def count_tests(goldens: Sequence[Golden]) -> int:
    """
    How many single readings of cases a run can test, for the correction of each one's p-value.

    A case has its own checks, and one more for each metric of the suite that it does not check itself.
    """
    return sum(
        sum(not check.record_only for check in case.checks)
        + len(
            {check.metric for check in golden.suite if not check.record_only}
            - {check.metric for check in case.checks}
        )
        for golden in goldens
        for case in golden.cases
    )


def suite_share(goldens: Sequence[Golden]) -> float:
    """The part of the error budget that the suite of each of a run's golden files has."""
    return divide_suite_share(golden.suite for golden in goldens)


def tell_unscored(run: Run) -> str:
    """Why a run says nothing of its app, whatever its cases' outcomes; empty when something was scored."""
    if any(result.scores for result in run.results):
        return ""
    broke = any(result.failures for result in run.results)
    return f"nothing was scored{'' if broke else ': give the golden file checks'}"


def tell_empty(run: Run) -> str:
    """How many answers are empty, which checks of what must not be in one all pass; else nothing."""
    outputs = [output for result in run.results for output in result.outputs]
    empty = sum(not output.text.strip() and not output.tool_calls for output in outputs)
    if not empty:
        return ""
    return f"warning: {empty} of {counted(len(outputs), 'answer')} {'is' if empty == 1 else 'are'} empty"


def case_scores(metric: str, result: CaseResult) -> Sequence[Score]:
    """A case's scores by one metric, in the order of its repeats."""
    return scores_by_metric(result).get(metric, ())


def case_means(metric: str, results: Sequence[CaseResult]) -> dict[str, float]:
    """Case to the mean of its finite scores by a metric, for the cases that have one; sorted by case."""
    means = {result.case: means_by_metric(result).get(metric) for result in results}
    return {case: mean for case, mean in sorted(means.items()) if mean is not None}


def unscored_cases(metric: str, results: Sequence[CaseResult]) -> dict[str, str]:
    """
    Case to reason, for the cases that a metric should have scored in every repeat and did not; but for those
    where the rival alone is to blame.
    """
    unscored: dict[str, str] = {}
    for result in sorted(results, key=lambda each: each.case):
        scored = bool(case_scores(metric, result))
        failed = any(failure.metric in {"", metric} for failure in result.failures)
        reason = "" if lacks_rival(metric, result) else scoring_breakage(metric, result)
        if (scored or failed) and reason:
            unscored[result.case] = reason
    return unscored


def lacks_rival(metric: str, result: CaseResult) -> bool:
    """Whether a metric of pairs lacks scores since the rival gave no answer, and for no other reason."""
    stages = {failure.stage for failure in result.failures if failure.metric in {"", metric}}
    return stages == {"rival"}


def scoring_breakage(metric: str, result: CaseResult) -> str:  # noqa: PLR0911 - a return a reason
    """Why a case has no whole set of finite scores by a metric; empty when it has."""
    if metric in whole_metrics(result):
        return ""
    if broken := _app_breakage(result):
        return broken
    for failure in result.failures:
        if failure.metric == metric:
            return _told(failure, result)
    scores = case_scores(metric, result)
    for score in scores:
        if not abs(score.value) <= LARGEST:  # true of NaN, too
            return f"{metric} gave {score.value}, which is no finite number that can be judged"
    repeats = {output.repeat for output in result.outputs} - {score.repeat for score in scores}
    if not scores:
        return f"{metric} gave no score"
    if repeats:
        return f"{metric} gave no score for repeat {min(repeats)}"
    return ""


def is_judged_by_rate(check: Check, best: Callable[[], float]) -> bool:
    """
    Whether several repeats are judged by how many pass, rather than by their mean.

    A mean meets the best score only if every repeat does, so that a case which passes nine times in ten would
    fail for ever. What counts bad things, leaks among them, is excused in no repeat.

    Args:
        best: The highest score of the metric, looked up where it is needed.
    """
    if not find_traits(check.metric).excusable:
        return False
    return check.pass_rate is not None or (is_about_passing(check) and check.threshold == best())


def is_about_passing(check: Check) -> bool:
    """Whether a repeat that misses the check may be excused by others that pass."""
    return find_traits(check.metric).excusable and is_minimum(check)


def needed_rate(check: Check, best: float) -> Bound:
    """
    The share of repeats that must pass: the check's own, else `PASS_RATE` where every repeat would have to
    reach the best score. Of scores that are 0 or 1 a bound below is that share itself.
    """
    if check.pass_rate is not None or check.threshold == best:
        return check.pass_rate or PASS_RATE
    return Bound(comparison=check.comparison, threshold=check.threshold)


def _judge_check(check: Check, result: CaseResult) -> Verdict:
    name = describe_check(check)
    if reason := scoring_breakage(check.metric, result):
        outcome: Outcome = "undecided" if lacks_rival(check.metric, result) else "error"
        return Verdict(check=name, outcome=outcome, metric=check.metric, case=result.case, reason=reason)
    scores, values = case_scores(check.metric, result), values_by_metric(result)[check.metric]
    observed = means_by_metric(result)[check.metric]
    # The reason of the repeat that holds the bound least is the one that people look for.
    worst = min if is_minimum(check) else max
    telling = scores[values.index(worst(values))]
    alike = len({*values}) == len({score.reason for score in scores}) == 1
    verdict = Verdict(
        check=name,
        outcome="passed" if check.record_only or holds(observed, check) else "failed",
        metric=check.metric,
        case=result.case,
        observed=observed,
        reason=telling.reason,
        evidence=telling.evidence if alike else (),
    )
    if alike:
        return verdict
    if is_judged_by_rate(check, lambda: _best(check.metric)):
        needed = needed_rate(check, _best(check.metric))
        verdict = _judge_rate(verdict, needed, sum(holds(value, check) for value in values), len(values))
    if verdict.outcome == "passed":
        return verdict
    return replace(verdict, evidence=tuple(_repeat(score) for score in scores))


def _judge_rate(verdict: Verdict, needed: Bound, held: int, repeats: int) -> Verdict:
    """The verdict by how many repeats pass; mixed ones that chance may explain are `undecided`."""
    counts = f"{held} of {repeats} repeats pass, pass_rate {format_bound(needed)}"
    if holds(held / repeats, needed):
        return replace(verdict, outcome="passed", advice="" if held == repeats else f"flaky: {counts}")
    reason = f"{counts}; {verdict.reason}".rstrip("; ")
    if held and binomial_p_value(held, repeats, needed.threshold) > _RARE:
        advice = "chance may explain it; more repeats would tell: --llm-repeats auto"
        return replace(verdict, outcome="undecided", reason=f"flaky: {reason}", advice=advice)
    return replace(verdict, outcome="failed", reason=reason)


def _best(metric: str) -> float:
    """The highest score of a metric; none can be reached where nobody knows it."""
    try:
        return _best_of(metric, metric_factory(metric))
    except LLMOpsError:
        return math.inf


@lru_cache(maxsize=256)
def _best_of(metric: str, _: object) -> float:
    """By the class, too, since a name may be registered anew."""
    from pytest_llmops.gates.pairing import find_scale

    return find_scale(metric).range[1]


def _doubt(check: Check, signatures: Iterable[str], calibrations: Mapping[str, Calibration]) -> str:
    """Why scores of these signatures are trusted less than the check asks, and the remedy; empty if not."""
    asked = f"min_kappa {check.min_kappa:g}"
    for signature in sorted(signatures):
        known = calibrations.get(signature)
        if known is None:
            other = any(each.metric == check.metric for each in calibrations.values())
            told = (
                "labels were judged otherwise (model, rubric or version)"
                if other
                else "no labels are recorded"
            )
            return f"{asked}: {told}; run: {_calibrate(check)}"
        bound = Bound(comparison=check.comparison, threshold=check.threshold)
        cuts = [cut for cut in known.cuts if cut.bound in {bound, invert(bound)}]
        if not cuts:
            missing = f"nothing is recorded for {format_bound(bound)}"
            return f"{asked}: {missing}; run: {_calibrate(check)} --threshold {check.threshold:g}"
        if cuts[0].low < (check.min_kappa or 0):
            kappa = f"{cuts[0].kappa:.2f}, at least {cuts[0].low:.2f}"
            told = f"kappa with people is {kappa}, on {counted(known.rows, 'label')} ({known.label})"
            return f"{asked}: {told}; improve the judge, or label more: {_calibrate(check)}"
    return ""


def _calibrate(check: Check) -> str:
    """The command that would measure the agreement of such scores."""
    options = [
        f"--option {shlex.quote(f'{name}={json.dumps(value, default=str)}')}"
        for name, value in check.options.items()
    ]
    return " ".join(["llmops calibrate", check.metric, "LABELS.jsonl --label FIELD --save", *options])


def _repeat(score: Score) -> dict[str, object]:
    told = {"reason": score.reason, "evidence": list(score.evidence)}
    return {"repeat": score.repeat, "value": score.value, **{key: each for key, each in told.items() if each}}


def _app_breakage(result: CaseResult) -> str:
    for failure in result.failures:
        if not failure.metric:
            return _told(failure, result)
    return "" if result.outputs or result.scores else "the app gave no output"


def _told(failure: Failure, result: CaseResult) -> str:
    several = len(result.outputs) > 1 or failure.repeat > 0
    return f"repeat {failure.repeat}: {failure.error}" if several else failure.error


def _counted(cases: Mapping[str, str]) -> str:
    return f"{counted(len(cases), 'case')} ({name_some(list(cases), _NAMED)})"

"""Does a case score well enough by itself?"""

from __future__ import annotations

from dataclasses import replace

from pytest_llmops.bounds import describe_check, format_bound, holds, is_minimum
from pytest_llmops.gates.absolute.breakage import app_breakage, lacks_rival, scoring_breakage
from pytest_llmops.gates.absolute.repeated_checks import best_score, is_judged_by_rate, needed_rate
from pytest_llmops.gates.paired_runs.index import case_scores, means_by_metric, values_by_metric
from pytest_llmops.records import Bound, Case, CaseResult, Check, Outcome, Score, Verdict
from pytest_llmops.statistics.significance.exact_tests import binomial_p_value

_RARE = 0.05


def judge_case(case: Case, result: CaseResult) -> tuple[Verdict, ...]:
    """
    One verdict for each check of the case; for a case without checks, whether the app answered.

    A check of one repeat looks at its score. Of several, a check that asks for the best score asks how many
    of them pass (`pass_rate`); any other looks at their mean. Where too few pass and chance may explain it,
    the check is `undecided`. It is an `error`, whatever the other repeats scored, when the app broke in one,
    or when one has no score or one that is not finite; `undecided` where a pair lacks the rival's answer.
    With several repeats that do not pass the evidence holds each value.
    """
    if broken := app_breakage(result):
        return tuple(
            Verdict(check=name, outcome="error", metric=metric, case=result.case, reason=broken)
            for name, metric in (
                [(describe_check(check), check.metric) for check in case.checks] or [("answered", "")]
            )
        )
    if not case.checks:
        return (Verdict(check="answered", outcome="passed", case=result.case),)
    return tuple(_judge_check(check, result) for check in case.checks)


def _judge_check(check: Check, result: CaseResult) -> Verdict:
    name = describe_check(check)
    if reason := scoring_breakage(check.metric, result):
        outcome: Outcome = "undecided" if lacks_rival(check.metric, result) else "error"
        return Verdict(check=name, outcome=outcome, metric=check.metric, case=result.case, reason=reason)
    scores, values = case_scores(check.metric, result), values_by_metric(result)[check.metric]
    observed = means_by_metric(result)[check.metric]
    # The reason of the repeat that holds the bound least is the one that people look for.
    worst = min if is_minimum(check) else max
    decisive = scores[values.index(worst(values))]
    alike = len({*values}) == len({score.reason for score in scores}) == 1
    verdict = Verdict(
        check=name,
        outcome="passed" if check.record_only or holds(observed, check) else "failed",
        metric=check.metric,
        case=result.case,
        observed=observed,
        reason=decisive.reason,
        evidence=decisive.evidence if alike else (),
    )
    if alike:
        return verdict
    if is_judged_by_rate(check, lambda: best_score(check.metric)):
        needed = needed_rate(check, best_score(check.metric))
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


def _repeat(score: Score) -> dict[str, object]:
    details = {"reason": score.reason, "evidence": list(score.evidence)}
    return {
        "repeat": score.repeat,
        "value": score.value,
        **{key: each for key, each in details.items() if each},
    }

"""What a case lacks to be judged: an output, or a complete set of finite scores."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.gates.paired_runs.index import LARGEST, case_scores, means_by_metric, whole_metrics
from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Failure, Run


def describe_unscored(run: Run) -> str:
    """Why a run says nothing of its app, whatever its cases' outcomes; empty when something was scored."""
    if any(result.scores for result in run.results):
        return ""
    broke = any(result.failures for result in run.results)
    return f"nothing was scored{'' if broke else ': give the golden file checks'}"


def describe_empty_answers(run: Run) -> str:
    """How many answers are empty, which checks of what must not be in one all pass; else nothing."""
    outputs = [output for result in run.results for output in result.outputs]
    empty = sum(not output.text.strip() and not output.tool_calls for output in outputs)
    if not empty:
        return ""
    return f"warning: {empty} of {counted(len(outputs), 'answer')} {'is' if empty == 1 else 'are'} empty"


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
    if broken := app_breakage(result):
        return broken
    for failure in result.failures:
        if failure.metric == metric:
            return _describe(failure, result)
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


def app_breakage(result: CaseResult) -> str:
    for failure in result.failures:
        if not failure.metric:
            return _describe(failure, result)
    return "" if result.outputs or result.scores else "the app gave no output"


def _describe(failure: Failure, result: CaseResult) -> str:
    several = len(result.outputs) > 1 or failure.repeat > 0
    return f"repeat {failure.repeat}: {failure.error}" if several else failure.error

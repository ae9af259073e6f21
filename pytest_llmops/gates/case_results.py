"""
What a result holds by metric, worked out once for each result.

Records are frozen, so that an index is true for as long as its record lives; the verdict of a suite reads
each result once a check and once a look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from hashlib import sha256
from operator import attrgetter
from typing import TypeVar

from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Failure, Run, Score
from pytest_llmops.statistics.summaries import calculate

LARGEST = 1e100
"""Scores beyond are none: their sums and squares leave the range of a float."""

_REMEMBERED = 2**16
_BY_REPEAT = attrgetter("repeat")
Value = TypeVar("Value")


def once_a_result(compute: Callable[[CaseResult], Value]) -> Callable[[CaseResult], Value]:
    """Remembers by identity, since hashing a result's content would cost more than the work."""
    known: dict[int, tuple[CaseResult, Value]] = {}  # with the result, so that nothing else gets its id

    @wraps(compute)
    def looked_up(result: CaseResult) -> Value:
        entry = known.get(id(result))
        if entry is None:
            entry = known[id(result)] = (result, compute(result))
            if len(known) > _REMEMBERED:
                known.pop(next(iter(known)), None)
        return entry[1]

    return looked_up


@dataclass(frozen=True, slots=True)
class _Index:
    """What the functions below return; equal signatures and names are one object for all results."""

    scores: Mapping[str, Sequence[Score]]
    values: Mapping[str, Sequence[float]]
    signatures: Mapping[str, tuple[str, ...]]
    whole: frozenset[str]
    means: Mapping[str, float]


def case_scores(metric: str, result: CaseResult) -> Sequence[Score]:
    """A case's scores by one metric, in the order of its repeats."""
    return _index(result).scores.get(metric, ())


def values_by_metric(result: CaseResult) -> Mapping[str, Sequence[float]]:
    """Metric to its finite scores, in the order of the repeats."""
    return _index(result).values


def signatures_by_metric(result: CaseResult) -> Mapping[str, tuple[str, ...]]:
    """Metric to how its scores were made."""
    return _index(result).signatures


def whole_metrics(result: CaseResult) -> frozenset[str]:
    """Metrics with a score that can be judged for each repeat of a case in which nothing broke."""
    return _index(result).whole


def means_by_metric(result: CaseResult) -> Mapping[str, float]:
    """Metric to the mean of its finite scores, rounded once."""
    return _index(result).means


def like_metrics(base: CaseResult, new: CaseResult) -> frozenset[str]:
    """Metrics that scored both results whole, and in the same way."""
    before, after = signatures_by_metric(base), signatures_by_metric(new)
    both = whole_metrics(base) & whole_metrics(new)
    return both if before is after else frozenset(each for each in both if before[each] == after[each])


@once_a_result
def _index(result: CaseResult) -> _Index:
    listed: dict[str, list[Score]] = {}
    for score in sorted(result.scores, key=_BY_REPEAT):
        listed.setdefault(score.metric, []).append(score)
    scores = {metric: tuple(of_metric) for metric, of_metric in listed.items()}
    read = {metric: tuple([score.value for score in of_metric]) for metric, of_metric in scores.items()}
    finite = {metric: tuple(filter(math.isfinite, of_metric)) for metric, of_metric in read.items()}
    values = {metric: of_metric for metric, of_metric in finite.items() if of_metric}
    signatures = (
        (metric, frozenset([each.signature for each in of_metric])) for metric, of_metric in scores.items()
    )
    return _Index(
        scores=scores,
        values=values,
        signatures=_sort_signatures(tuple(signatures)),
        whole=frozenset() if result.failures else _share(_find_whole(result, scores, read)),
        means={metric: calculate("mean", of_metric) for metric, of_metric in values.items()},
    )


def _find_whole(
    result: CaseResult, scores: Mapping[str, Sequence[Score]], read: Mapping[str, Sequence[float]]
) -> frozenset[str]:
    repeats = sorted([output.repeat for output in result.outputs])
    return frozenset(
        metric
        for metric, values in read.items()
        if all(abs(value) <= LARGEST for value in values)  # false of NaN, too
        and (not repeats or [score.repeat for score in scores[metric]] == repeats)
    )


@lru_cache(maxsize=1024)
def _sort_signatures(signatures: tuple[tuple[str, frozenset[str]], ...]) -> Mapping[str, tuple[str, ...]]:
    return {metric: tuple(sorted(of_metric)) for metric, of_metric in signatures}


@lru_cache(maxsize=1024)
def _share(names: frozenset[str]) -> frozenset[str]:
    return names


_DIGITS = 16


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of SHA-256: two answers of one case do not share them by chance."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


@once_a_result
def answer_digests(result: CaseResult) -> tuple[str, ...]:
    """The digest of each repeat's answer, in the order of the repeats."""
    outputs = sorted(result.outputs, key=lambda output: output.repeat)
    return result.answers or tuple(digest(output.text) for output in outputs)


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

"""
The content of one case's result: scores by metric, digests of its answers, and why it cannot be judged.

A result is indexed once: records are frozen, so that an index is true for as long as its record lives, and
the verdict of a suite reads each result once a check and once a look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from hashlib import sha256
from operator import attrgetter
from typing import TypeVar

from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Failure, Output, Run, Score, Turn
from pytest_llmops.statistics.summaries import calculate

LARGEST = 1e100
"""Scores beyond are none: their sums and squares leave the range of a float."""

EXCUSED_STAGES = frozenset({"rival", "unseen", "inapplicable", "user"})
"""Stages of a failure that leaves a metric nothing to judge, and is no error of it or of the app."""

_REMEMBERED = 2**16
_DIGITS = 16
_NAMED = 5
_BY_REPEAT = attrgetter("repeat")
Value = TypeVar("Value")


def _once_a_result(compute: Callable[[CaseResult], Value]) -> Callable[[CaseResult], Value]:
    """Remember by identity, since hashing a result's content would cost more than the computation."""
    known: dict[int, tuple[CaseResult, Value]] = {}  # with the result, so that nothing else gets its id

    @wraps(compute)
    def look_up(result: CaseResult) -> Value:
        entry = known.get(id(result))
        if entry is None:
            entry = known[id(result)] = (result, compute(result))
            if len(known) > _REMEMBERED:
                known.pop(next(iter(known)), None)
        return entry[1]

    return look_up


@dataclass(frozen=True, slots=True)
class _Index:
    """The content of a result by metric; equal signatures and names are one object for all results."""

    scores: Mapping[str, Sequence[Score]]
    values: Mapping[str, Sequence[float]]
    signatures: Mapping[str, tuple[str, ...]]
    complete: frozenset[str]


@_once_a_result
def _index(result: CaseResult) -> _Index:
    listed: dict[str, list[Score]] = {}
    for score in sorted(result.scores, key=_BY_REPEAT):
        listed.setdefault(score.metric, []).append(score)
    scores = {metric: tuple(of_metric) for metric, of_metric in listed.items()}
    read = {metric: tuple([score.value for score in of_metric]) for metric, of_metric in scores.items()}
    own = scores  # without copies, which are one answer with their first
    if copies := set(result.copies):
        own = {
            metric: tuple(score for score in of_metric if score.repeat not in copies)
            for metric, of_metric in scores.items()
        }
    finite = {
        metric: tuple(
            [score.value for score in of_metric if abs(score.value) <= LARGEST]
        )  # false of NaN, too
        for metric, of_metric in own.items()
    }
    values = {metric: of_metric for metric, of_metric in finite.items() if of_metric}
    signatures = tuple(
        (metric, frozenset([score.signature for score in of_metric])) for metric, of_metric in scores.items()
    )
    repeats = sorted([output.repeat for output in result.outputs])
    complete = frozenset(
        metric
        for metric, of_metric in read.items()
        if not result.breakages
        and all(abs(value) <= LARGEST for value in of_metric)  # false of NaN, too
        and (not repeats or [score.repeat for score in scores[metric]] == repeats)
    )
    return _Index(
        scores=scores,
        values=values,
        signatures=_sort_signatures(signatures),
        complete=_share(complete),
    )


@lru_cache(maxsize=1024)
def _sort_signatures(signatures: tuple[tuple[str, frozenset[str]], ...]) -> Mapping[str, tuple[str, ...]]:
    return {metric: tuple(sorted(of_metric)) for metric, of_metric in signatures}


@lru_cache(maxsize=1024)
def _share(names: frozenset[str]) -> frozenset[str]:
    return names


def case_scores(metric: str, result: CaseResult) -> Sequence[Score]:
    """A case's scores by one metric, in the order of its repeats."""
    return _index(result).scores.get(metric, ())


def values_by_metric(result: CaseResult) -> Mapping[str, Sequence[float]]:
    """Metric to its finite scores, in the order of the repeats."""
    return _index(result).values


@_once_a_result
def means_by_metric(result: CaseResult) -> Mapping[str, float]:
    """Metric to the mean of its finite scores, rounded once."""
    return {metric: calculate("mean", of_metric) for metric, of_metric in _index(result).values.items()}


def signatures(metric: str, result: CaseResult) -> tuple[str, ...]:
    """The signatures of a case's scores by a metric; scores with unlike ones are not compared."""
    return _index(result).signatures.get(metric, ())


def like_metrics(base: CaseResult, new: CaseResult) -> frozenset[str]:
    """Metrics with a score for each repeat of both results, and with the same signatures."""
    before, after = _index(base), _index(new)
    both = before.complete & after.complete
    if before.signatures is after.signatures:
        return both
    return frozenset(metric for metric in both if before.signatures[metric] == after.signatures[metric])


def case_means(metric: str, results: Sequence[CaseResult]) -> dict[str, float]:
    """Case to the mean of its finite scores by a metric, for the cases that have one; sorted by case."""
    means = {result.case: means_by_metric(result).get(metric) for result in results}
    return {case: mean for case, mean in sorted(means.items()) if mean is not None}


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of SHA-256: two answers of one case do not share them by chance."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


@_once_a_result
def answer_digests(result: CaseResult) -> tuple[str, ...]:
    """
    The digest of each repeat's answer, in the order of the repeats.

    A baseline recognises equal answers by them without keeping a text.
    """
    outputs = sorted(result.outputs, key=_BY_REPEAT)
    return result.answers or tuple(digest(output.text) for output in outputs)


def count_repeats(result: CaseResult) -> int:
    """The number of calls of the app, failed repeats included."""
    repeats = [output.repeat for output in result.outputs]
    repeats += [failure.repeat for failure in result.failures]
    repeats += [score.repeat for score in result.scores]
    return max(len(result.answers), max(repeats, default=-1) + 1)


def tried_again(result: CaseResult) -> int:
    """The number of repeats for which the app was called again, since a provider had failed."""
    attempts = [output.attempts for output in result.outputs]
    attempts += [failure.attempts for failure in result.failures]
    return result.tried_again or sum(number > 1 for number in attempts)


def count_answers(result: CaseResult) -> int:
    """The number of repeats that are no copies of an earlier one."""
    return count_repeats(result) - len(result.copies)


def describe_unscored(run: Run) -> str:
    """A sentence on a run without any score, which never passes; else empty."""
    if any(result.scores for result in run.results):
        return ""
    broke = any(result.failures for result in run.results)
    return f"nothing was scored{'' if broke else ': give the golden file checks'}"


def describe_empty_answers(run: Run) -> str:
    """A warning of empty answers, which pass each check for things that an answer must not contain."""
    outputs: list[Output | Turn] = []
    for result in run.results:
        outputs += result.turns or result.outputs
    empty = sum(not output.text.strip() and not output.tool_calls for output in outputs)
    if not empty:
        return ""
    return f"warning: {empty} of {counted(len(outputs), 'answer')} {'is' if empty == 1 else 'are'} empty"


def unscored_cases(metric: str, results: Sequence[CaseResult]) -> dict[str, str]:
    """
    Case to reason, for the cases that a metric should have scored in every repeat and did not; but for those
    where only the rival is to blame, or that show nothing of what it judges.
    """
    unscored: dict[str, str] = {}
    for result in sorted(results, key=lambda result: result.case):
        scored = bool(case_scores(metric, result))
        failed = any(failure.metric in {"", metric} for failure in result.failures)
        reason = "" if lacks_sight(metric, result) else scoring_breakage(metric, result)
        if (scored or failed) and reason:
            unscored[result.case] = reason
    return unscored


def lacks_rival(metric: str, result: CaseResult) -> bool:
    """True if a metric of pairs lacks scores since the rival gave no answer, and for no other reason."""
    return _stages(metric, result) == {"rival"}


def lacks_sight(metric: str, result: CaseResult) -> bool:
    """True if a metric lacks scores only since the rival, the app or its user gives it nothing to judge."""
    stages = _stages(metric, result)
    return bool(stages) and stages <= EXCUSED_STAGES


def unseen_cases(metric: str, results: Sequence[CaseResult]) -> dict[str, str]:
    """Case to reason, for the cases that show nothing of what a metric judges, in some repeat."""
    unseen: dict[str, str] = {}
    for result in sorted(results, key=lambda result: result.case):
        if lacks_sight(metric, result) and "unseen" in _stages(metric, result):
            unseen[result.case] = scoring_breakage(metric, result)
    return unseen


def inapplicable_cases(metric: str, results: Sequence[CaseResult]) -> tuple[str, ...]:
    """Cases whose outputs, or users, give a metric nothing to judge, in any repeat; sorted."""
    idle = {"inapplicable", "user"}
    cases = (result for result in results if (stages := _stages(metric, result)) and stages <= idle)
    return tuple(sorted(result.case for result in cases if not case_scores(metric, result)))


def describe_left_out(metrics: Sequence[str], path: str, results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield a warning for each metric whose suite checks leave out cases of a golden file."""
    own = [result for result in results if file_of(result.case) == path]
    for metric in metrics:
        if cases := inapplicable_cases(metric, own):
            named = name_some([printable(case.removeprefix(f"{path}::")) for case in cases], _NAMED)
            of = f"{len(cases)} of {counted(len(own), 'case')}"
            left_out = f"which its suite checks leave out: {named}"
            yield f"warning: {path}: {metric} is not applicable to {of}, {left_out}"


def _stages(metric: str, result: CaseResult) -> set[str]:
    return {failure.stage for failure in result.failures if failure.metric in {"", metric}}


def scoring_breakage(metric: str, result: CaseResult) -> str:  # noqa: PLR0911 - a return a reason
    """The reason why some repeat of a case has no finite score by a metric; empty where all have."""
    if metric in _index(result).complete:
        return ""
    if reason := app_breakage(result):
        return reason
    for failure in result.failures:
        if failure.metric == metric or failure.stage == "user":
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
    """The reason why the app gave no output in some repeat; empty where it gave all."""
    for failure in result.failures:
        if not failure.metric and failure.stage != "user":
            return _describe(failure, result)
    return "" if result.outputs or result.scores or user_fault(result) else "the app gave no output"


def user_fault(result: CaseResult) -> str:
    """What a simulated user did wrong in some repeat; empty where none did."""
    faults = (failure for failure in result.failures if failure.stage == "user")
    return next((_describe(failure, result) for failure in faults), "")


def describe_users(run: Run) -> str:
    """A warning of the conversations that simulated users broke by their own fault; empty without one."""
    broken = Counter(
        result.case for result in run.results for failure in result.failures if failure.stage == "user"
    )
    if not broken:
        return ""
    parts = [output.user for result in run.results for output in result.outputs if output.user]
    held = broken.total() + sum(part.ended != "user error" for part in parts)
    named = name_some([printable(case) for case in broken], _NAMED)
    of = f"{broken.total()} of {counted(held, 'conversation')}"
    return f"warning: simulated users broke {of}, which say nothing of the app: {named}"


def _describe(failure: Failure, result: CaseResult) -> str:
    several = len(result.outputs) > 1 or failure.repeat > 0
    return f"repeat {failure.repeat}: {failure.error}" if several else failure.error

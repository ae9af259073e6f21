"""Model calls without an answer: they break their case, or are a warning in the summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter

from pytest_llmops.gates.case_results import count_repeats, tried_again
from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.recorder import Call, CallLog
from pytest_llmops.records import CaseResult, FailedCall, Failure, Golden, ModelErrors, Output
from pytest_llmops.statistics.p_values import fisher_p_value

_OK = 200
_BREAKING = frozenset({_OK, 401, 403, 404})
"""Statuses that no second try mends, and that of an answer that is none: cut short, or an error itself."""

BUSY = frozenset({408, 429, 500, 502, 503, 504, 529})
"""Statuses of a provider that may answer a moment later."""

_NAMED = 5
_RISEN = 0.05  # the largest p-value of a share of calls that counts as risen


def join_attempts(logs: Sequence[CallLog]) -> CallLog:
    """
    Join the calls of a repeat over all attempts at it.

    A call that was answered in an earlier attempt and replayed in the last was made in this run, once.
    """
    *earlier, last = logs
    if not earlier:
        return last
    calls: list[Call] = []
    made = {(call.key, call.nth): call for log in earlier for call in log.calls if call.outcome == "made"}
    for log in earlier:
        calls += [call for call in log.calls if call.outcome == "failed"]
    for call in last.calls:
        before = made.pop((call.key, call.nth), None) if call.outcome == "replayed" else None
        calls.append(before or call)
    return CallLog(
        case=last.case,
        repeat=last.repeat,
        calls=[*made.values(), *calls],
        error=last.error,
        elsewhere=[left for log in logs for left in log.elsewhere],
        is_whole=all(log.is_whole for log in logs),
    )


def note_failed(calls: Sequence[Call]) -> tuple[FailedCall, ...]:
    """List the calls of models that were made and not answered, in the order they ended."""
    return tuple(
        FailedCall(
            provider=call.provider,
            model=call.model,
            status=call.status,
            error=call.reason,
            retried=any(later.answered and later.key == call.key for later in calls[position:]),
        )
        for position, call in enumerate(calls)
        if call.outcome == "failed" and call.asks_model
    )


def is_passing(call: FailedCall) -> bool:
    """True if a further attempt may bring an answer: the provider was busy, cut off or out of reach."""
    return call.status in BUSY or call.status in {None, _OK}


def find_breaking(failed: Iterable[FailedCall], errors: ModelErrors | None) -> str:
    """
    Return a reason where a case is an error although the app answered, else an empty string.

    Args:
        errors: The golden file's rule for failed calls; None leaves it to their status.
    """
    for call in failed:
        if call.retried or (call.status not in _BREAKING if errors is None else errors != "fail"):
            continue
        if call.status == _OK:
            return f"a model's answer could not be used and the app went on: {call.error}"
        named = f"{call.model or 'no named model'} at {call.provider}"
        return (
            f"a model call failed and the app went on: {call.error} ({named}; `model_errors: warn` in the "
            "golden file lets it pass)"
        )
    return ""


def describe_failed_calls(goldens: Iterable[Golden], results: Iterable[CaseResult]) -> list[str]:
    """
    Return a warning for each status and host of failed calls, with the cases that met it.

    Cases of a golden file with `model_errors: allow` are left out.
    """
    allowed = _allowed(goldens)
    calls_by_place: defaultdict[tuple[str, str], list[tuple[str, FailedCall]]] = defaultdict(list)
    for result in results:
        if file_of(result.case) not in allowed:
            for answer in list_answers(result, result.rival):
                for call in answer.failed_calls:
                    calls_by_place[_name(call), call.provider].append((result.case, call))
    warnings = []
    for (name, provider), calls in sorted(calls_by_place.items(), key=itemgetter(0)):
        cases = name_some([printable(case) for case in dict.fromkeys(case for case, _ in calls)], _NAMED)
        retried = sum(call.retried for _, call in calls)
        again = f", {retried} of them answered when retried" if retried else ""
        failed = counted(len(calls), "model call")
        warnings.append(f"warning: {failed} failed: {name} at {printable(provider)}{again}: {cases}")
    return warnings


def describe_tried_again(results: Sequence[CaseResult], base: Sequence[CaseResult] = ()) -> list[str]:
    """
    Return a sentence on the calls of the app that were made again; none where none was.

    Args:
        base: The results of the baseline, which show whether these have become more.
    """
    again, calls = _count_tried_again(results), sum(map(count_repeats, results))
    if not again:
        return []
    failures = [failure for result in results for failure in result.failures if failure.attempts > 1]
    line = f"warning: a provider failed in {again} of {counted(calls, 'call')} of the app, made again"
    line += f": {len(failures)} in vain" if failures else ", then answered"
    before, calls_before = _count_tried_again(base), sum(map(count_repeats, base))
    if calls_before:
        line += f"; {before} of {calls_before} in the baseline"
        if fisher_p_value(calls_before - before, calls_before, calls - again, calls) <= _RISEN:
            line += ": it fails more often than it did"
    return [line]


def _count_tried_again(results: Iterable[CaseResult]) -> int:
    return sum(map(tried_again, results))


def describe_unanswered(goldens: Iterable[Golden], results: Iterable[CaseResult]) -> str:
    """
    Return a sentence where no model call was answered, so that the run shows nothing of its model.

    Cases of a golden file with `model_errors: allow` are left out.
    """
    allowed = _allowed(goldens)
    answers = list_answers(*(result for result in results if file_of(result.case) not in allowed))
    failed = sum(len(answer.failed_calls) for answer in answers)
    if not failed or any(answer.usage.calls > answer.usage.failed for answer in answers):
        return ""
    return (
        f"no model call was answered: {failed} failed, so the run says nothing of the model; check its "
        "address, key and limits (`model_errors: allow` in the golden file lets it pass)"
    )


def _allowed(goldens: Iterable[Golden]) -> set[str]:
    return {golden.path for golden in goldens if golden.model_errors == "allow"}


def list_answers(*results: CaseResult | None) -> list[Output | Failure]:
    """List the outputs and failures of results, of app or rival."""
    answers: list[Output | Failure] = []
    for result in results:
        if result is not None:
            answers += [*result.outputs, *result.failures]
    return answers


def _name(call: FailedCall) -> str:
    """`status 429`, `an unusable answer`, else the exception's name: `ConnectError`."""
    if call.status == _OK:
        return "an unusable answer"
    return f"status {call.status}" if call.status else printable(call.error.partition(":")[0], 60)

"""Model calls that brought no answer: which break their case, and what the summary says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter

from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import name_some, printable
from pytest_llmops.recorder import Call, CallLog
from pytest_llmops.records import CaseResult, FailedCall, Failure, Golden, ModelErrors, Output

_OK = 200
_BREAKING = frozenset({_OK, 401, 403, 404})
"""Statuses that no second try mends, and that of an answer that is none: cut short, or an error itself."""

_NAMED = 5


def join_attempts(logs: Sequence[CallLog]) -> CallLog:
    """
    The calls of a repeat over all attempts at it.

    What an earlier attempt was answered and the last one replayed was made in this run, and counts once.
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
        is_whole=all(log.is_whole for log in logs),
    )


def note_failed(calls: Sequence[Call]) -> tuple[FailedCall, ...]:
    """The calls that were made and not answered, in the order they ended."""
    return tuple(
        FailedCall(
            provider=call.provider,
            model=call.model,
            status=call.status,
            error=call.reason,
            retried=any(later.answered and later.key == call.key for later in calls[position:]),
        )
        for position, call in enumerate(calls)
        if call.outcome == "failed"
    )


def find_breaking(failed: Iterable[FailedCall], errors: ModelErrors | None) -> str:
    """
    Why a case is an error although the app answered; empty where it is none.

    Args:
        errors: What the golden file says of failed calls; None leaves it to their status.
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
    A warning for the summary for each status and host of failed calls, with the cases that met it.

    Cases of a golden file with `model_errors: allow` are left out.
    """
    allowed = _allowed(goldens)
    found: defaultdict[tuple[str, str], list[tuple[str, FailedCall]]] = defaultdict(list)
    for result in results:
        if file_of(result.case) not in allowed:
            for call in _failed_calls(result):
                found[_name(call), call.provider].append((result.case, call))
    return [_describe(*place, calls) for place, calls in sorted(found.items(), key=itemgetter(0))]


def describe_unanswered(goldens: Iterable[Golden], results: Iterable[CaseResult]) -> str:
    """
    Why a run says nothing of its model, whatever the app returned instead; empty where a call was answered.

    Cases of a golden file with `model_errors: allow` are left out.
    """
    allowed = _allowed(goldens)
    seen = [result for result in results if result.case.partition("::")[0] not in allowed]
    made: list[Output | Failure] = []
    for result in seen:
        made += [*result.outputs, *result.failures]
    failed = sum(len(each.failed_calls) for each in made)
    if not failed or any(each.usage.calls > each.usage.failed for each in made):
        return ""
    return (
        f"no model call was answered: {failed} failed, so the run says nothing of the model; check its "
        "address, key and limits (`model_errors: allow` in the golden file lets it pass)"
    )


def _allowed(goldens: Iterable[Golden]) -> set[str]:
    return {golden.path for golden in goldens if golden.model_errors == "allow"}


def _failed_calls(result: CaseResult) -> list[FailedCall]:
    found: list[FailedCall] = []
    for side in (result, result.rival):
        if side is not None:
            found += [call for output in side.outputs for call in output.failed_calls]
            found += [call for failure in side.failures for call in failure.failed_calls]
    return found


def _name(call: FailedCall) -> str:
    """`status 429`, `an unusable answer`, else the exception's name: `ConnectError`."""
    if call.status == _OK:
        return "an unusable answer"
    return f"status {call.status}" if call.status else printable(call.error.partition(":")[0], 60)


def _describe(name: str, provider: str, calls: Sequence[tuple[str, FailedCall]]) -> str:
    cases = [printable(case) for case in dict.fromkeys(case for case, _ in calls)]
    retried = sum(call.retried for _, call in calls)
    again = f", {retried} of them answered when retried" if retried else ""
    plural = "" if len(calls) == 1 else "s"
    where = name_some(cases, _NAMED)
    return f"warning: {len(calls)} model call{plural} failed: {name} at {printable(provider)}{again}: {where}"

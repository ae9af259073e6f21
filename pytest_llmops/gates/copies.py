"""
Repeats that are copies: a cache answered them with the answer of an earlier repeat.

Ten copies are one answer. Counted as ten they make a case look steady in each run, and broken in every other.
A copy has the text of an earlier repeat, and each of its model calls has an answer of that repeat by the
provider's own name of it, or came out of a cache by its headers; or it made no call while that repeat made
some, as an app does that remembers its answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from pytest_llmops.gates.case_results import count_answers, count_repeats
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Output, Run

_NAMED = 3


def mark_copies(results: Sequence[CaseResult]) -> list[CaseResult]:
    """
    Mark the copies among the repeats of each case.

    Args:
        results: All of a run: a name that answers to several questions share names none of them, so one
            question alone shows nothing by names.
    """
    if not any(may_have_copies(result) for result in results):
        return list(results)
    asked: dict[str, set[str]] = {}
    for call in (call for result in results for output in result.outputs for call in output.model_calls):
        asked.setdefault(call.id, set()).add(call.key)
    questions = set().union(*asked.values())
    shared = {id_ for id_, keys in asked.items() if len(keys) > 1 or len(questions) == 1}
    return [
        replace(result, copies=tuple(_find_copies(result.outputs, shared)))
        if may_have_copies(result)
        else result
        for result in results
    ]


def may_have_copies(result: CaseResult) -> bool:
    """True if two answers of a case share a name, one came out of a cache, or some repeats made no call."""
    calls = [call for output in result.outputs for call in output.model_calls]
    ids = [call.id for call in calls if call.id]
    remembers = bool(calls) and not all(output.model_calls for output in result.outputs)
    is_cached = len(set(ids)) < len(ids) or any(call.cached for call in calls)
    return len(result.outputs) > 1 and (remembers or is_cached)


def _find_copies(outputs: Iterable[Output], shared: set[str]) -> Iterator[int]:
    earlier: list[Output] = []
    for output in sorted(outputs, key=lambda output: output.repeat):
        # The one that filled the cache may be a later repeat: they run side by side.
        if any(_is_copy(output, other, shared) or _is_copy(other, output, shared) for other in earlier):
            yield output.repeat
        else:
            earlier.append(output)


def _is_copy(output: Output, other: Output, shared: set[str]) -> bool:
    if output.text != other.text:
        return False
    if not output.model_calls:
        return bool(other.model_calls)
    ids = {call.id for call in other.model_calls} - shared - {""}
    return all(call.cached or call.id in ids for call in output.model_calls)


def is_copied(result: CaseResult) -> bool:
    """Return whether all repeats of a case are copies of one answer; of a baseline they are left out."""
    return bool(result.copies or result.left_out) and count_answers(result) == 1


def may_vary_unseen(base: CaseResult, new: CaseResult) -> bool:
    """Return whether copies may hide that an app varies; not where the models answered the same in both."""
    then, now = (
        [call.answer for output in result.outputs[:1] for call in output.model_calls]
        for result in (base, new)
    )
    return is_copied(base) and is_copied(new) and not (then and then == now)


def leave_out_copies(run: Run) -> Run:
    """A run whose copies are gone, and whose other repeats are counted from 0 again."""
    results = mark_copies(run.results)
    if not any(result.copies for result in results):
        return run
    return replace(run, results=tuple(map(without_copies, results)))


def without_copies(result: CaseResult) -> CaseResult:
    """A result without its marked copies, and with their number."""
    if not result.copies:
        return result
    gone = set(result.copies)
    kept = [repeat for repeat in range(count_repeats(result)) if repeat not in gone]
    place = {repeat: number for number, repeat in enumerate(kept)}
    return replace(
        result,
        outputs=tuple(
            replace(output, repeat=place[output.repeat])
            for output in result.outputs
            if output.repeat in place
        ),
        scores=tuple(
            replace(score, repeat=place[score.repeat]) for score in result.scores if score.repeat in place
        ),
        failures=tuple(
            replace(failure, repeat=place[failure.repeat])
            for failure in result.failures
            if failure.repeat in place
        ),
        copies=(),
        left_out=result.left_out + len(gone),
    )


def describe_copies(results: Sequence[CaseResult]) -> str:
    """A warning of copies; empty where there are none."""
    copied = [result for result in results if result.copies]
    if not copied:
        return ""
    copies, repeats = (sum(map(count, copied)) for count in (lambda each: len(each.copies), count_repeats))
    named = name_some([printable(result.case) for result in copied], _NAMED)
    return (
        f"warning: {copies} of {counted(repeats, 'repeat')} are copies that a cache answered, and count with "
        f"their first as one: turn the cache off for golden runs: {named}"
    )

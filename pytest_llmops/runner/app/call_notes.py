"""Sentences on the calls of the app, for the summary of a run or as warnings of a test."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_llmops.golden.apps import is_url, name_app
from pytest_llmops.golden.identity import cases_by_id, file_of
from pytest_llmops.printable import counted, name_counts, name_some, printable
from pytest_llmops.records import NORMAL_ENDS, CaseResult, Golden, LimitWait, Run
from pytest_llmops.runner.app.failed_calls import describe_failed_calls, describe_tried_again, list_answers
from pytest_llmops.runner.app.inputs import describe_changed_inputs

_NAMED = 5
_FEWEST_EQUAL = 3  # cases; two may well have one answer
_MEANINGS: Mapping[str, str] = {
    "length": "cut at the limit of tokens",
    "refusal": "the model refused",
    "content_filter": "stopped by the provider",
}


def describe_calls(
    goldens: Sequence[Golden], results: Sequence[CaseResult], base: Run | None = None
) -> Iterator[str]:
    """
    Yield a sentence for each doubt about the calls of the app, and about the model calls that it made.

    Args:
        base: The baseline, which shows whether they became more.
    """
    yield from describe_failed_calls(goldens, results)
    yield from describe_tried_again(results, base.results if base else ())
    yield from describe_changed_inputs(results)
    yield from _describe_ends(results)
    yield from _describe_error_logs(results)
    yield from _describe_elsewhere(results)


def describe_remote(
    apps: Iterable[tuple[Golden, str | Mapping[str, Any] | None]], results: Sequence[CaseResult]
) -> Iterator[str]:
    """
    Yield a sentence for each golden file whose app is outside of this process and showed no model call.

    Args:
        apps: Golden files with their apps, as they are named.
    """
    for golden, app in apps:
        if app is None or (isinstance(app, str) and not is_url(app)):
            continue
        outputs = [
            output for result in results if file_of(result.case) == golden.path for output in result.outputs
        ]
        if outputs and not any(output.model_calls or output.failed_calls for output in outputs):
            stated = "; tokens are those that it states" if any(one.usage.stated for one in outputs) else ""
            yield (
                f"{printable(golden.path)}: the app is another process ({name_app(app)}), whose model calls "
                f"nobody here sees: none is recorded, counted or limited{stated}"
            )


def describe_equal_answers(golden: Golden, results: Iterable[CaseResult]) -> Iterator[str]:
    """Yield a warning where all questions of a golden file have one answer, and not one reference."""
    cases = cases_by_id(golden)
    answered = [result for result in results if result.case in cases and result.outputs]
    questions = {repr(cases[result.case].input) for result in answered}
    references = {cases[result.case].reference for result in answered}
    texts = {output.text.strip() for result in answered for output in result.outputs}
    by_reference = len(references) == 1 and references != {None}
    if len(questions) >= _FEWEST_EQUAL and len(texts) == 1 and texts != {""} and not by_reference:
        yield (
            f"warning: {printable(golden.path)}: all {len(answered)} cases have the same answer: the app "
            "does not read its input, or answers from a fallback"
        )


def _describe_ends(results: Iterable[CaseResult]) -> Iterator[str]:
    """Yield a warning for each reason by which model calls ended that is not a normal one."""
    cases: defaultdict[str, list[str]] = defaultdict(list)  # one for each call
    for result in results:
        for answer in list_answers(result, result.rival):
            for call in answer.model_calls:
                if call.finish and call.finish not in NORMAL_ENDS:
                    cases[call.finish].append(result.case)
    for finish, named in sorted(cases.items()):
        meaning = f" ({_MEANINGS[finish]})" if finish in _MEANINGS else ""
        yield f"warning: {counted(len(named), 'model call')} ended by {finish}{meaning}: {_name(named)}"


def _describe_error_logs(results: Iterable[CaseResult]) -> Iterator[str]:
    logged = {result.case: result.error_logs for result in results if result.error_logs}
    if logged:
        named = [f"{printable(case)} ({number:,})" for case, number in sorted(logged.items())]
        logs = counted(sum(logged.values()), "ERROR log")
        yield f"warning: the app wrote {logs} in {counted(len(logged), 'case')}: {name_some(named, _NAMED)}"


def _describe_elsewhere(results: Iterable[CaseResult]) -> Iterator[str]:
    """Yield a sentence on requests that were no model calls, and one on connections nobody looked at."""
    elsewhere: Counter[str] = Counter()
    unseen: Counter[str] = Counter()
    for result in results:
        for output in result.outputs:
            elsewhere.update(output.elsewhere)
            unseen.update(output.unseen)
    if elsewhere:
        yield f"calls elsewhere: {name_counts(elsewhere)}"
    if unseen:
        yield f"connections nobody looked at: {name_counts(unseen)}"


def describe_limits(limits: Mapping[str, LimitWait]) -> Iterator[str]:
    """Yield a sentence for each host whose limits calls waited for."""
    for host, cost in limits.items():
        waited = f"{cost.waited_s:,.0f} s" if cost.waited_s >= 1 else f"{cost.waited_s:.1f} s"
        times = counted(cost.calls, "time")
        yield f"waited {waited} for limits of {printable(host)} ({times})"


def _name(cases: Iterable[str]) -> str:
    return name_some([printable(case) for case in dict.fromkeys(cases)], _NAMED)

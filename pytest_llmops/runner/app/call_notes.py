"""Sentences on the calls of the app, for the summary of a run or as warnings of a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_llmops.records import CaseResult, Golden, Run
from pytest_llmops.runner.app.failed_calls import describe_failed_calls, describe_tried_again
from pytest_llmops.runner.app.inputs import describe_changed_inputs


def describe_calls(
    goldens: Iterable[Golden], results: Sequence[CaseResult], base: Run | None = None
) -> Iterator[str]:
    """
    Yield a sentence for each doubt about the calls of the app, and about the model calls that it made.

    Args:
        base: The baseline, which shows whether they became more.
    """
    yield from describe_failed_calls(goldens, results)
    yield from describe_tried_again(results, base.results if base else ())
    yield from describe_changed_inputs(results)

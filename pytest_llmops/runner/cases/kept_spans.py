"""The spans that a run keeps with its results, to show how an output came about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.bounds import holds
from pytest_llmops.gates.case_results import means_by_metric
from pytest_llmops.records import CaseResult, Check, Output, Score, Span
from pytest_llmops.registry import find_traits
from pytest_llmops.runner.app.calls import Called
from pytest_llmops.runner.scoring import Result
from pytest_llmops.settings import Spans


def keep_spans(
    wanted: Spans,
    checks: Sequence[Check],
    answers: Sequence[Called],
    results: Iterable[Result],
    base: CaseResult | None,
) -> tuple[Span, ...]:
    """
    Return the spans of the repeats whose traces are wanted, each with its repeat.

    By `failed` these are repeats in which something broke, that miss a bound, or that score lower than the
    mean of the case in the baseline: which of them regressed is decided later, from all cases.

    Args:
        results: Of the metrics, for these answers.
        base: The case in the baseline, if it is there.
    """
    if wanted == "none":
        return ()
    by_repeat: defaultdict[int, list[Result]] = defaultdict(list)
    for result in results:
        by_repeat[result.repeat].append(result)
    means = means_by_metric(base) if base else {}
    return tuple(
        replace(span, repeat=called.answer.repeat, resource={})
        for called in answers
        if wanted == "all"
        or not isinstance(called.answer, Output)
        or any(_is_low(result, checks, means) for result in by_repeat[called.answer.repeat])
        for span in called.spans
    )


def _is_low(result: Result, checks: Iterable[Check], means: Mapping[str, float]) -> bool:
    if not isinstance(result, Score):
        return True
    if any(check.metric == result.metric and not holds(result.value, check) for check in checks):
        return True
    traits = find_traits(result.metric)
    if result.metric not in means or traits.basis == "run":  # seconds differ in every run
        return False
    gain = result.value - means[result.metric]
    return gain < 0 if traits.higher_is_better else gain > 0

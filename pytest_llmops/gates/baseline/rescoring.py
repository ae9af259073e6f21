"""Scores of a baseline made again, where the metric has changed and the outputs were kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.paired_runs.pairing import have_same_input, signatures
from pytest_llmops.golden.identity import case_id
from pytest_llmops.metrics.sources import sign_source
from pytest_llmops.protocols import traits_of
from pytest_llmops.records import Case, CaseResult, Check, Golden, Sample, Score, SuiteCheck
from pytest_llmops.registry import create_metric


def rescore(case: Case, base: CaseResult, new: CaseResult, suite: Iterable[SuiteCheck] = ()) -> CaseResult:
    """
    The baseline's result of a case, comparable with the new one as far as its outputs allow.

    What it scored in another way than the new run is scored again. It stays as it is where no outputs
    were kept, where a metric looks at traces, which never are, or asks a judge, and where scoring breaks:
    the gate then says what differs.
    """
    if not base.outputs or not have_same_input(base, new):
        return base
    checks: list[Check | SuiteCheck] = [*suite, *case.checks]  # a case's own options weigh more
    for check in {check.metric: check for check in checks}.values():
        was = signatures(check.metric, base)
        if was and was != signatures(check.metric, new):
            base = _scored_again(check, case, base)
    return base


def rescore_all(
    goldens: Iterable[Golden], base: Mapping[str, CaseResult], results: Iterable[CaseResult]
) -> dict[str, CaseResult]:
    """The baseline, case to result, as far as it can be made comparable with new results."""
    written = {case_id(golden, case): (case, golden.suite) for golden in goldens for case in golden.cases}
    again = dict(base)
    for new in results:
        if new.case in base and new.case in written:
            case, suite = written[new.case]
            again[new.case] = rescore(case, base[new.case], new, suite)
    return again


def _scored_again(check: Check | SuiteCheck, case: Case, base: CaseResult) -> CaseResult:
    try:
        metric = create_metric(check.metric, check.options)
    except LLMOpsError:  # it needs an option that only other cases give
        return base
    measured = not all(math.isfinite(end) for end in metric.range)  # time and cost, which no answer shows
    waits = traits_of(metric).waits  # a judge: who compares two runs pays for no call
    if measured or waits or "spans" in metric.needs:
        return base
    samples = [
        Sample(output=output, input=case.input, reference=case.reference, relevant=case.relevant)
        for output in base.outputs
    ]
    try:
        results = list(metric.score(samples))
    except Exception:  # noqa: BLE001 - a metric is anybody's code
        return base
    if len(results) != len(samples) or not all(isinstance(result, Score) for result in results):
        return base
    scores = [
        sign_source(metric, replace(result, metric=check.metric, repeat=sample.output.repeat))
        for sample, result in zip(samples, results, strict=True)
        if isinstance(result, Score)
    ]
    kept = [score for score in base.scores if score.metric != check.metric]
    return replace(base, scores=(*kept, *scores))

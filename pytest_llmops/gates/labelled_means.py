"""
Means of judges as people's labels correct them, and the verdicts on bounds by the corrected mean.

The labels were saved by `llmops calibrate --save` for one signature of scores: judge, prompt, rubric and
version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from pytest_llmops.bounds import bound_of, format_bound, holds, is_minimum
from pytest_llmops.calibration.record import Calibration, Labelled
from pytest_llmops.gates.case_results import case_means, signatures
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult, Outcome, SuiteCheck, Verdict
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.intervals import LEVEL, Measure

_FEW = 30
"""Labels below which the report says that they are few."""

_UNUSED = "not corrected by labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCheck(SuiteCheck):
    """
    A suite check on the mean of a judge.

    Attributes:
        labels: The name of the labels and the labels, by signature of scores.
    """

    labels: Mapping[str, tuple[str, Labelled]]


def with_labels(
    suite: Iterable[SuiteCheck], calibrations: Mapping[str, Calibration]
) -> tuple[SuiteCheck, ...]:
    """Return suite checks of which those on the mean of a judge have its labels, by signature."""
    checks: list[SuiteCheck] = []
    for check in suite:
        labels = {
            signature: (calibration.label, calibration.labelled)
            for signature, calibration in calibrations.items()
            if calibration.metric == check.metric and calibration.labelled is not None
        }
        if labels and check.statistic == "mean":
            parts = {part.name: getattr(check, part.name) for part in fields(SuiteCheck)}
            checks.append(LabelledCheck(**parts, labels=labels))
        else:
            checks.append(check)
    return tuple(checks)


def correct_by_labels(
    verdict: Verdict, check: SuiteCheck, results: Sequence[CaseResult], *, level: float = LEVEL
) -> Verdict:
    """
    Return the verdict of a mean with the corrected mean, which decides on the bound in its place.

    - `failed`: the corrected mean misses the bound, and so does its whole interval.
    - `undecided`: it misses the bound, and the interval does not: so few labels, or cases, do not show it.
    - `passed`: it holds the bound. Where the interval does not, the reason says so.

    The observed mean stays in the verdict. Nothing is corrected, and the reason says so, where the labels are
    those of other scores.
    """
    is_mean = verdict.observed is not None and verdict.outcome in {"passed", "failed"}
    if not isinstance(check, LabelledCheck) or not is_mean:
        return verdict
    made = {way for result in results for way in signatures(check.metric, result)}
    if len(made) != 1 or not made <= check.labels.keys():
        cause = "they were judged otherwise (model, prompt, rubric or version)"
        if made & check.labels.keys():
            cause = "its scores were made in several ways"
        return replace(verdict, reason=f"{_UNUSED}: {cause}; run llmops calibrate {check.metric} again")
    name, labelled = check.labels[next(iter(made))]
    mean = _correct(check, results, labelled, level=level)
    value, low, high = mean.value or 0.0, mean.low or 0.0, mean.high or 0.0
    rows = len(labelled.labels)
    by = f"{'only ' if rows < _FEW else ''}{counted(rows, 'label')} ({printable(name, 40)})"
    reason = f"by {by} the mean is {value:.4g} ({low:.3g} … {high:.3g}), uncorrected {verdict.observed:.4g}"
    bound = None if check.record_only else bound_of(check)
    outcome: Outcome = verdict.outcome
    if bound is not None:
        end, best = (low, high) if is_minimum(bound) else (high, low)
        outcome = "passed" if holds(value, bound) else "undecided" if holds(best, bound) else "failed"
        if outcome == "undecided" or (outcome == "passed" and not holds(end, bound)):
            reason += f"; whether it is {format_bound(bound)} takes more labels or more cases to tell"
    return replace(verdict, outcome=outcome, corrected=(value, low, high), reason=reason)


def describe_corrections(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Yield the reasons of corrected means that passed, and of those that could not be corrected."""
    for verdict in verdicts:
        if verdict.outcome == "passed" and (verdict.corrected or verdict.reason.startswith(_UNUSED)):
            yield f"{verdict.check}: {verdict.reason}"


def _correct(
    check: SuiteCheck, results: Sequence[CaseResult], labelled: Labelled, *, level: float
) -> Measure:
    import numpy as np

    from pytest_llmops.statistics.prediction_powered import correct_mean

    means = case_means(check.metric, results)
    groups = {result.case: result.group or f"::{result.case}" for result in results}
    return correct_mean(
        np.array(labelled.labels),
        np.array(labelled.scores),
        np.array(list(means.values())),
        reach=create_metric(check.metric, check.options).range,
        groups=labelled.groups or None,
        other_groups=[groups[case] for case in means],
        level=level,
    )

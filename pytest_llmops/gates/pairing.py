"""Which results of two runs belong together, and which readings of them may be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.records import CaseResult
from pytest_llmops.registry import create_metric, metric_factory


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """
    How a metric's numbers are read.

    Attributes:
        bounded: It goes from a lowest to a highest score. What has no such end, seconds, dollars or
            tokens, moves with every edit of an app and is no measure of its answers.
    """

    higher_is_better: bool
    bounded: bool


def find_scale(metric: str, options: Mapping[str, object] | None = None) -> Scale:
    """
    The scale of a metric, from its class where it cannot be made without options that only cases have.

    Raises:
        LLMOpsError: Nobody registered the metric, or only an instance could tell.
    """
    try:
        source: object = create_metric(metric, options)
    except MetricOptionError:
        source = metric_factory(metric)
        if not isinstance(getattr(source, "higher_is_better", None), bool):
            raise
    ends = getattr(source, "range", None)
    bounded = isinstance(ends, tuple) and all(math.isfinite(end) for end in ends)
    return Scale(higher_is_better=bool(getattr(source, "higher_is_better")), bounded=bounded)  # noqa: B009


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """
    The cases of two runs, each sorted by id.

    Attributes:
        shared: (base, new) of the cases that ask the same in both.
        new: Ids that only the new run has, or with an input that was changed.
        missing: Ids that only the baseline has, or with an input that was changed.
    """

    shared: tuple[tuple[CaseResult, CaseResult], ...]
    new: tuple[str, ...]
    missing: tuple[str, ...]


def pair_cases(base: Iterable[CaseResult], new: Iterable[CaseResult]) -> Pairs:
    """Pair by id and by what is asked: an edited case is another one, and its old self is gone."""
    before = {result.case: result for result in base}
    after = {result.case: result for result in new}
    same = sorted(case for case in before.keys() & after.keys() if ask_the_same(before[case], after[case]))
    return Pairs(
        shared=tuple((before[case], after[case]) for case in same),
        new=tuple(sorted(after.keys() - same)),
        missing=tuple(sorted(before.keys() - same)),
    )


def ask_the_same(base: CaseResult, new: CaseResult) -> bool:
    """Whether two results of one case answer the same question; an unknown hash is believed."""
    return base.input_hash == new.input_hash or "" in {base.input_hash, new.input_hash}


def values_by_metric(result: CaseResult) -> dict[str, list[float]]:
    """Metric to its finite scores in the order of the repeats."""
    values: dict[str, list[float]] = {}
    for score in sorted(result.scores, key=lambda score: score.repeat):
        if math.isfinite(score.value):
            values.setdefault(score.metric, []).append(score.value)
    return values


def signatures(metric: str, result: CaseResult) -> tuple[str, ...]:
    """How a case's scores by a metric were made; scores made otherwise are not compared."""
    return tuple(sorted({score.signature for score in result.scores if score.metric == metric}))


def is_fact(base: CaseResult, new: CaseResult, before: Sequence[float], after: Sequence[float]) -> bool:
    """
    Whether the difference of a reading is one of the app and no chance.

    It is where every repeat gave the same answer and the same score on each side, the baseline having
    at least two: a single one says nothing of how the next would have been.
    """
    several = 2
    return (
        len(before) >= several
        and len(set(before)) == 1
        and len(set(after)) == 1
        and len({output.text for output in base.outputs}) <= 1
        and len({output.text for output in new.outputs}) <= 1
    )

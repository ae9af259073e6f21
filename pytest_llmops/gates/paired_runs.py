"""Two runs paired by case: the cases with the same input, the scale of their scores, the role of chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_llmops.errors import LLMOpsError, MetricOptionError
from pytest_llmops.gates.case_results import (
    answer_digests,
    count_answers,
    count_repeats,
    signatures,
    values_by_metric,
)
from pytest_llmops.gates.copies import is_copied
from pytest_llmops.gates.days import find_day_shares
from pytest_llmops.records import Bound, CaseResult
from pytest_llmops.registry import create_metric, metric_factory
from pytest_llmops.statistics.p_values import fisher_p_value
from pytest_llmops.statistics.summaries import NOISE

STEADY = 2
"""Alike repeats that a case needs in the baseline, for a difference to be a fact."""

CONFIRMED = 3
"""Alike new repeats in which a drop must be seen to be a fact: an app may deviate once in a hundred calls."""

_RARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """
    The range and the direction of a metric's scores.

    Attributes:
        bounded: It goes from a lowest to a highest score. An unbounded metric, seconds, dollars or tokens,
            moves with every edit of an app and does not measure its answers.
        bound: The metric's own bound, for cases that have no check of it.
        range: Lowest and highest score.
    """

    higher_is_better: bool
    bounded: bool
    bound: Bound | None = None
    range: tuple[float, float] = (-math.inf, math.inf)

    @property
    def sign(self) -> float:
        """The factor that turns a score so that higher is better."""
        return 1.0 if self.higher_is_better else -1.0

    def holds(self, value: float) -> bool:
        """True if a value is in the range, but for the rounding of an encoder's sums."""
        low, high = self.range
        return low - NOISE <= value <= high + NOISE


def find_scale(metric: str, options: Mapping[str, object] | None = None) -> Scale:
    """
    The scale of a metric, from its class where it cannot be made without options that only cases have.

    Raises:
        LLMOpsError: The metric is not registered, or only its instances have a scale.
    """
    try:
        source: object = create_metric(metric, options)
    except MetricOptionError:
        source = metric_factory(metric)
        if not isinstance(getattr(source, "higher_is_better", None), bool):
            raise
    ends = getattr(source, "range", None)
    bounded = isinstance(ends, tuple) and all(math.isfinite(end) for end in ends)
    bound = getattr(source, "bound", None)
    return Scale(
        higher_is_better=bool(getattr(source, "higher_is_better")),  # noqa: B009 - of a class or of an instance
        bounded=bounded,
        bound=bound if isinstance(bound, Bound) else None,
        range=ends if isinstance(ends, tuple) else (-math.inf, math.inf),
    )


class Scales(dict[str, "Scale | None"]):
    """Metric to its scale, each looked up once; None for an unknown metric."""

    def __missing__(self, metric: str) -> Scale | None:
        try:
            self[metric] = find_scale(metric)
        except LLMOpsError:
            self[metric] = None
        return self[metric]

    def is_bounded(self, metric: str) -> bool:
        """True if the metric is known and goes from a lowest to a highest score."""
        scale = self[metric]
        return scale is not None and scale.bounded


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
    """Pair by id and input: an edited case is another one, and its old self is gone."""
    before = {result.case: result for result in base}
    after = {result.case: result for result in new}
    same = sorted(case for case in before.keys() & after.keys() if have_same_input(before[case], after[case]))
    return Pairs(
        shared=tuple((before[case], after[case]) for case in same),
        new=tuple(sorted(after.keys() - same)),
        missing=tuple(sorted(before.keys() - same)),
    )


def have_same_input(base: CaseResult, new: CaseResult) -> bool:
    """True if two results of one case answer the same question; an unknown hash is believed."""
    return base.input_hash == new.input_hash or "" in {base.input_hash, new.input_hash}


def describe_unlike(metric: str, base: CaseResult, new: CaseResult) -> str:
    """The signatures of a case's scores where they differ from the baseline's; empty where they do not."""
    after, before = signatures(metric, new), signatures(metric, base)
    if after == before:
        return ""
    return f"scored by {' and '.join(after)}, in the baseline by {' and '.join(before)}"


class Chance:
    """
    The part of chance in a difference between a case and its baseline.

    There is none where the app does not vary: no case of the baseline has repeats that differ, this case has
    two at least, and those of the new run are alike too. Two alike answers of one case are no proof in an app
    that varies elsewhere.

    Attributes:
        scales: Of every metric met, so that each is looked up once.
        app_varies: A case of the baseline gave unlike answers, or unlike scores, to one question.
        alike: Repeats of the whole baseline where none did; 0 in an app that varies.
        day_shares: Metric to the share of its variance that all repeats of one run have in common; only of a
            baseline that was merged from several runs.
    """

    def __init__(self, base_results: Iterable[CaseResult]) -> None:
        results = list(base_results)
        self.scales = Scales()
        self.day_shares = find_day_shares(results)
        self.app_varies = any(not self.is_alike(result) for result in results)
        self.alike = 0 if self.app_varies else sum(map(count_repeats, results))

    def is_alike(self, result: CaseResult) -> bool:
        """True if all repeats gave the same answer and the same scores; seconds and dollars may vary."""
        return len(set(answer_digests(result))) <= 1 and all(
            _are_alike(values)
            for metric, values in values_by_metric(result).items()
            if self.scales.is_bounded(metric)
        )

    def is_confirmed(
        self,
        dropped: Sequence[tuple[CaseResult, CaseResult]],
        pairs: Sequence[tuple[CaseResult, CaseResult]],
    ) -> bool:
        """
        True if drops of cases that do not vary are facts: each was seen in several repeats, or they are more
        than the rare deviations that the baseline's alike repeats leave possible (Fisher's exact test).

        Args:
            dropped: Those of the pairs that dropped.
        """
        if all(count_answers(new) >= CONFIRMED for _, new in dropped):
            return True
        alike = sum(len(answer_digests(base)) - 1 for base, _ in pairs)
        return fisher_p_value(alike, alike, len(pairs) - len(dropped), len(pairs)) <= _RARE

    def may_explain(self, base: CaseResult, new: CaseResult) -> bool:
        """True if another run of the same app might give the answers of the new one."""
        steady = not self.app_varies and len(answer_digests(base)) >= STEADY and answer_digests(new)
        return not (steady and self.is_alike(base) and self.is_alike(new))


def describe_fact(days: int) -> str:
    """
    The meaning of a drop in which no repeat differs from another of its side.

    Args:
        days: Runs that the baseline was merged from: one alone shows nothing of another day.
    """
    if days > 1:
        return "no repeat differs, so the app changed here"
    return "no repeat differs: the app changed here, or its model since that day (--merge adds days)"


def _are_alike(values: Sequence[float]) -> bool:
    """True if they are one value, but for the rounding of an encoder's sums by other processors."""
    low, high = min(values), max(values)
    return low == high or high - low <= NOISE * max(abs(low), abs(high))


def shared_repeats(
    results: Sequence[CaseResult], base: Iterable[CaseResult] | None = None
) -> list[CaseResult]:
    """
    The results with the repeats that all cases have.

    Cases are run on because of what they answered, so that their further repeats would pull a mean towards
    themselves. Of a fixed number of repeats, and of a case that the app broke on, all count.

    Args:
        base: Where there is a baseline, its cases decide on the number: new ones may have fewer repeats.
    """
    compared = results if base is None else [new for _, new in pair_cases(base, results).shared]
    fewest = min((count_repeats(result) for result in compared if is_run_on(result)), default=0)
    return [first_repeats(result, fewest) if fewest and is_run_on(result) else result for result in results]


def is_run_on(result: CaseResult) -> bool:
    """False where no repeats are added: their number was fixed, the app broke, or a cache answers all."""
    return bool(result.auto) and not result.breakages and not is_copied(result)


def first_repeats(result: CaseResult, repeats: int) -> CaseResult:
    """The result as it was after so many repeats."""
    if count_repeats(result) <= repeats:
        return result
    return replace(
        result,
        outputs=tuple(output for output in result.outputs if output.repeat < repeats),
        scores=tuple(score for score in result.scores if score.repeat < repeats),
        answers=result.answers[:repeats],
        rival=result.rival and first_repeats(result.rival, repeats),
    )

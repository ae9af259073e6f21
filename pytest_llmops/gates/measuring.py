"""The suite channel's numbers: what of two runs can be compared, paired by case, at each look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates import statistic as statistics
from pytest_llmops.gates.inference.resampling import Spread, paired_interval, paired_p_value
from pytest_llmops.gates.inference.spending import sequential_p_value
from pytest_llmops.gates.pairing import (
    Pairs,
    Scale,
    find_scale,
    first_repeats,
    pair_cases,
    signatures,
    values_by_metric,
)
from pytest_llmops.gates.thresholds import judge_suite, scoring_breakage
from pytest_llmops.records import CaseResult, SuiteCheck, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """
    When a run was compared with its baseline, as its repeats came in.

    Attributes:
        repeats: New repeats at each look taken, rising; only the first so many of a varying case count
            for the suite, since further ones were asked for because they looked bad. Empty: one look at
            all there is.
        planned: Repeats at the last look that was planned.
    """

    repeats: tuple[int, ...] = ()
    planned: int = 1

    @property
    def times(self) -> tuple[float, ...]:
        """The share of the planned repeats that each look has."""
        return tuple(repeats / self.planned for repeats in self.repeats) or (1.0,)


ONE_LOOK = Looks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    A suite check beside its baseline, before the tests of all checks are set against each other.

    Attributes:
        p_value: Over the looks taken, were this the only check.
        absolute: What the threshold alone says.
        missed_before: The baseline missed the threshold too.
        lost: Cases of the baseline that could not be paired.
        fell: The pairs that got worse, the farthest first.
        repeats: New repeats of a case, the fewest.
        noise: Variance between the new repeats of a case, the mean over the cases; 0 where unknown.
    """

    check: SuiteCheck
    absolute: Verdict
    scale: Scale
    baseline: float
    difference: float
    spread: Spread
    p_value: float
    missed_before: bool
    lost: tuple[str, ...]
    fell: tuple[dict[str, object], ...]
    cases: int
    repeats: int
    noise: float

    @property
    def tolerated(self) -> float | None:
        """The drop that passes, in the metric's unit; None when no drop is watched for."""
        return tolerated_drop(self.check, self.scale)

    @property
    def drop(self) -> float:
        """How much worse the observed value is; negative when better."""
        return -self.difference if self.scale.higher_is_better else self.difference

    @property
    def largest_drop(self) -> float:
        """The worse end of the interval, as a drop."""
        return -self.spread.low if self.scale.higher_is_better else self.spread.high


def results_of(path: str, results: Sequence[CaseResult]) -> list[CaseResult]:
    return [result for result in results if not path or result.case.startswith(f"{path}::")]


def tolerated_drop(check: SuiteCheck, scale: Scale) -> float | None:
    """The drop that passes, in the metric's unit; None when no drop is watched for."""
    return 0.0 if check.max_drop is None and scale.bounded else check.max_drop


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    The values of one check that can be compared, by case.

    Attributes:
        before: A case's mean over the repeats of the baseline.
        after: The same of the new run, one mapping a look.
        repeats: The new run's scores by repeat, those of the last look.
    """

    check: SuiteCheck
    scale: Scale
    absolute: Verdict
    before: Mapping[str, float]
    after: tuple[Mapping[str, float], ...]
    repeats: Mapping[str, Sequence[float]]

    def p_values(self, *, seed: int) -> list[float]:
        """One a look."""
        worse: Literal["less", "greater"] = "less" if self.scale.higher_is_better else "greater"
        base = list(self.before.values())
        return [
            paired_p_value(
                self.check.statistic, base, [after[case] for case in self.before], worse=worse, seed=seed
            )
            for after in self.after
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """
    The results of one golden file beside their baseline, paired once for all its checks.

    Attributes:
        before: Case to metric to its finite scores by repeat, in the baseline; `after` in the new run.
    """

    results: Sequence[CaseResult]
    base_results: Sequence[CaseResult]
    pairs: Pairs
    looks: Looks
    before: Mapping[str, Mapping[str, list[float]]]
    after: Mapping[str, Mapping[str, list[float]]]

    @classmethod
    def of(cls, results: Sequence[CaseResult], base_results: Sequence[CaseResult], looks: Looks) -> Beside:
        if looks.repeats:
            results = [first_repeats(each, looks.repeats[-1]) if each.auto else each for each in results]
        pairs = pair_cases(base_results, results)
        return cls(
            results=results,
            base_results=base_results,
            pairs=pairs,
            looks=looks,
            before={base.case: values_by_metric(base) for base, _ in pairs.shared},
            after={new.case: values_by_metric(new) for _, new in pairs.shared},
        )

    def find(self, check: SuiteCheck) -> Found | Verdict:
        """What can be compared, or the error that says why nothing can."""
        absolute = judge_suite(check, self.results)
        if absolute.outcome == "error":
            return absolute
        try:
            scale = find_scale(check.metric, check.options)
        except LLMOpsError as error:
            return _error(absolute, str(error))
        sound = [
            (base, new)
            for base, new in self.pairs.shared
            if not scoring_breakage(check.metric, base) and not scoring_breakage(check.metric, new)
        ]
        if not sound and tolerated_drop(check, scale) is None:
            return absolute
        if not sound:
            reason = f"no case was scored by {check.metric} in both runs, so nothing can be compared"
            return _error(absolute, reason)
        for base, new in sound:
            made, was = signatures(check.metric, new), signatures(check.metric, base)
            if made != was:
                reason = f"{new.case}: scored by {' and '.join(made)}, in the baseline by {' and '.join(was)}"
                told = _error(absolute, f"{reason}; unlike scores are not compared")
                return replace(told, advice="record the baseline again")
        new_values = {new.case: self.after[new.case][check.metric] for _, new in sound}
        counts = self.looks.repeats or (None,)
        varying = {new.case for _, new in sound if new.auto}
        return Found(
            check=check,
            scale=scale,
            absolute=absolute,
            before={base.case: _mean(self.before[base.case][check.metric]) for base, _ in sound},
            repeats=new_values,
            after=tuple(
                {
                    case: _mean(values[:count] if case in varying else values)
                    for case, values in new_values.items()
                }
                for count in counts
            ),
        )

    def measure(self, check: SuiteCheck, *, level: float, seed: int) -> Measured | Verdict:
        """The check's numbers, or the error that says why there are none."""
        found = self.find(check)
        if isinstance(found, Verdict):
            return found
        before, after = found.before, found.after[-1]
        base_values, values = list(before.values()), [after[case] for case in before]
        baseline = statistics.calculate(check.statistic, base_values)
        sign = 1.0 if found.scale.higher_is_better else -1.0
        fell = sorted((sign * (after[case] - before[case]), case) for case in before)
        had = {result.case for result in self.base_results if _says(check.metric, result)}
        shared = [base for base, _ in self.pairs.shared if base.case in before]
        return Measured(
            check=check,
            absolute=found.absolute,
            scale=found.scale,
            baseline=baseline,
            difference=statistics.calculate(check.statistic, values) - baseline,
            spread=paired_interval(check.statistic, base_values, values, level=level, seed=seed),
            p_value=sequential_p_value(found.p_values(seed=seed), self.looks.times),
            missed_before=judge_suite(check, shared).outcome == "failed",
            lost=tuple(sorted(had - before.keys())),
            fell=tuple(
                {"case": case, "before": before[case], "after": after[case]} for by, case in fell if by < 0
            ),
            cases=len(before),
            repeats=min(len(values) for values in found.repeats.values()),
            noise=_mean([variance_of(values) or 0.0 for values in found.repeats.values()]),
        )


def _mean(values: Sequence[float]) -> float:
    """Of repeats: alike ones keep their value, and a last digit decides nothing here."""
    return values[0] if min(values) == max(values) else math.fsum(values) / len(values)


def variance_of(values: Sequence[float]) -> float | None:
    """Of a repeat, from those of one case; None where there is one, which tells nothing of it."""
    if len(values) < 2:  # noqa: PLR2004 - see above
        return None
    if min(values) == max(values):
        return 0.0
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _says(metric: str, result: CaseResult) -> bool:
    """Whether a metric has to do with a case: it scored it, or should have."""
    return any(score.metric == metric for score in result.scores) or any(
        failure.metric in {"", metric} for failure in result.failures
    )


def _error(absolute: Verdict, reason: str) -> Verdict:
    return replace(absolute, outcome="error", reason=reason)

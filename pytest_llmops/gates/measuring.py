"""The suite channel's numbers: what of two runs can be compared, paired by case, at each look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.inference import statistic as statistics
from pytest_llmops.gates.inference.exchange import exchange_p_value
from pytest_llmops.gates.inference.resampling import LINEAR, Spread, paired_interval, paired_p_value
from pytest_llmops.gates.inference.spending import sequential_p_value
from pytest_llmops.gates.looks import Looks, looks_taken
from pytest_llmops.gates.pairing import (
    Chance,
    Pairs,
    Scale,
    describe_unlike,
    find_scale,
    first_repeats,
    pair_cases,
    values_by_metric,
)
from pytest_llmops.gates.thresholds import judge_suite, scoring_breakage
from pytest_llmops.records import GAIN, CaseResult, SuiteCheck, Verdict

_NEW = "the baseline has no score of it yet: llmops accept RUN.json --all"
_RENAMED = "if cases were renamed on purpose, accept this run: --llm-accept, then llmops accept --prune"


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
    if check.record_only:
        return None
    watched = scale.bounded and check.statistic != GAIN
    return 0.0 if check.max_drop is None and watched else check.max_drop


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    The values of one check that can be compared, by case.

    Attributes:
        looks: A case's scores by repeat, of the baseline and of the new run, one mapping a look.
    """

    check: SuiteCheck
    scale: Scale
    absolute: Verdict
    looks: tuple[Mapping[str, tuple[Sequence[float], Sequence[float]]], ...]

    @property
    def before(self) -> dict[str, float]:
        """Case to the mean of the baseline's repeats, as it is compared at the last look."""
        return {case: _mean(old) for case, (old, _) in self.looks[-1].items()}

    @property
    def after(self) -> dict[str, float]:
        """Case to the mean of the new repeats."""
        return {case: _mean(new) for case, (_, new) in self.looks[-1].items()}

    def p_values(self, *, seed: int) -> list[float]:
        """
        One a look.

        A mean or sum is tested both ways: as differences of cases that chance might have turned round, and
        as repeats that might have been of the other run, unless both runs have as many and the first test
        is exact. The larger p-value counts, so that neither the skew of unlike numbers of repeats nor a
        harmless move of single cases makes a regression.
        """
        sign = 1.0 if self.scale.higher_is_better else -1.0
        worse: Literal["less", "greater"] = "less" if self.scale.higher_is_better else "greater"
        found = []
        for look in self.looks:
            old, new = [before for before, _ in look.values()], [after for _, after in look.values()]
            p_value = paired_p_value(
                self.check.statistic,
                [_mean(values) for values in old],
                [_mean(values) for values in new],
                worse=worse,
                seed=seed,
            )
            if self.is_linear and any(len(a) != len(b) for a, b in look.values()):
                turned = ([[sign * value for value in values] for values in side] for side in (old, new))
                p_value = max(p_value, exchange_p_value(*turned))
            found.append(p_value)
        return found

    @property
    def is_linear(self) -> bool:
        """Whether the statistic of means is as good of few repeats as of many."""
        return self.check.statistic in LINEAR


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
    def of(cls, results: Sequence[CaseResult], base_results: Sequence[CaseResult], chance: Chance) -> Beside:
        looks = looks_taken(results, base_results, chance)
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
        """What can be compared, or the verdict that says why nothing can."""
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
        if not sound:
            return self._nothing_shared(check, scale, absolute)
        for base, new in sound:
            if reason := self._find_unlike(check, scale, base, new):
                return replace(_error(absolute, reason), advice="record the baseline again")
        shared = [new for _, new in sound]
        return Found(
            check=check,
            scale=scale,
            absolute=absolute,
            looks=tuple(self._look(check, shared, count) for count in self.looks.repeats or (None,)),
        )

    def _nothing_shared(self, check: SuiteCheck, scale: Scale, absolute: Verdict) -> Verdict:
        """Where no case has a score on both sides: an error, but of what is new or not watched."""
        had = any(_says(check.metric, result) for result in self.base_results)
        if tolerated_drop(check, scale) is None:
            return absolute
        if not had:
            return replace(absolute, advice=_NEW)
        reason = f"no case was scored by {check.metric} in both runs, so nothing can be compared"
        return replace(_error(absolute, reason), advice=_RENAMED)

    def _find_unlike(self, check: SuiteCheck, scale: Scale, base: CaseResult, new: CaseResult) -> str:
        """Why two results of a case cannot be compared by a metric; empty where they can."""
        for value in (*self.before[base.case][check.metric], *self.after[new.case][check.metric]):
            if not scale.holds(value):
                return f"{new.case}: {check.metric} gave {value:g}, which is outside its range"
        unlike = describe_unlike(check.metric, base, new)
        return f"{new.case}: {unlike}; unlike scores are not compared" if unlike else ""

    def _look(
        self, check: SuiteCheck, results: Sequence[CaseResult], count: int | None
    ) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
        """
        The scores of each case after so many new repeats.

        A percentile of means of many repeats is not that of means of few, whose spread is wider: there
        both sides have as many.
        """
        look: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
        for result in results:
            old = self.before[result.case][check.metric]
            new = self.after[result.case][check.metric]
            new = new[:count] if result.auto else new
            if check.statistic not in LINEAR:
                shared = min(len(old), len(new))
                old, new = old[:shared], new[:shared]
            look[result.case] = (old, new)
        return look

    def measure(self, check: SuiteCheck, *, level: float, seed: int) -> Measured | Verdict:
        """The check's numbers, or the verdict that says why there are none."""
        if check.statistic == GAIN:  # over a rival, and not a baseline
            return judge_suite(check, self.results, level=level)
        found = self.find(check)
        if isinstance(found, Verdict):
            return found
        before, after = found.before, found.after
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
            missed_before=check.comparison is not None and judge_suite(check, shared).outcome == "failed",
            lost=tuple(sorted(had - before.keys())),
            fell=tuple(
                {"case": case, "before": before[case], "after": after[case]} for by, case in fell if by < 0
            ),
            cases=len(before),
            repeats=min(len(new) for _, new in found.looks[-1].values()),
            noise=_mean([variance_of(new) or 0.0 for _, new in found.looks[-1].values()]),
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

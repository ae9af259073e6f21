"""The scores of one suite check on both sides, by case, and the tests of their difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain, pairwise
from statistics import NormalDist, fmean, variance
from typing import Literal

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.absolute import judge_suite
from pytest_llmops.gates.case_results import like_metrics, scoring_breakage, values_by_metric
from pytest_llmops.gates.error_budget import Looks, looks_taken
from pytest_llmops.gates.paired_runs import (
    Chance,
    Pairs,
    Scale,
    describe_unlike,
    find_scale,
    first_repeats,
    pair_cases,
)
from pytest_llmops.records import GAIN, CaseResult, Outcome, SuiteCheck, Verdict
from pytest_llmops.statistics.paired import FEWEST, exchange_p_value, paired_p_value
from pytest_llmops.statistics.summaries import LINEAR, NOISE, calculate, mean

FEWEST_RUNS = 3
"""Runs in a baseline from which on the variance between them is estimated."""

_EVEN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeans:
    """
    The suite means of the runs that a baseline was merged from.

    Attributes:
        runs: How many there are.
        between: Their variance, less what their repeats explain; 0 or more, in the metric's unit squared.
    """

    runs: int
    between: float

    @classmethod
    def of(cls, cases: Sequence[tuple[Sequence[int], Sequence[float]]]) -> RunMeans | None:
        """
        Args:
            cases: How many repeats of a case each run gave, and the case's scores in that order.

        Returns:
            None where the cases do not share three runs, or not all of their repeats are there.

        Source: method of moments of a one-way random effects model, Searle, Casella and McCulloch (1992),
        Variance Components, ch. 3.
        """
        counts = {len(runs) for runs, _ in cases}
        whole = all(sum(runs) == len(scores) and 0 not in runs for runs, scores in cases)
        if len(counts) != 1 or not whole or (runs := counts.pop()) < FEWEST_RUNS:
            return None
        means = [0.0] * runs
        explained = [0.0] * runs
        for repeats, scores in cases:
            within = _variance_within(repeats, scores)
            for run, (start, stop) in enumerate(pairwise(accumulate(repeats, initial=0))):
                means[run] += fmean(scores[start:stop]) / len(cases)
                explained[run] += within / (stop - start) / len(cases) ** 2
        return cls(runs=runs, between=max(0.0, variance(means) - math.fsum(explained) / runs))


def widen_p_value(p_value: float, differences: Sequence[float], shocks: RunMeans) -> float:
    """
    The p-value of a mean difference whose runs have a shock each, in (0, 1].

    The p-value says how many standard errors the difference is off; each of them is longer by the new run's
    shock and by what is left of it in the baseline's mean.

    Args:
        differences: One a case, in the metric's unit.
    """
    if not shocks.between or not 0 < p_value < _EVEN:
        return p_value
    normal = NormalDist()
    apart = abs(fmean(differences))
    error = apart / -normal.inv_cdf(p_value)
    shared = shocks.between * (1 + 1 / shocks.runs)
    return max(normal.cdf(-apart / math.sqrt(error**2 + shared)), p_value)


def _variance_within(repeats: Sequence[int], scores: Sequence[float]) -> float:
    """Of a repeat about the mean of its run."""
    squares, spare = 0.0, 0
    for start, stop in pairwise(accumulate(repeats, initial=0)):
        part = scores[start:stop]
        mean = fmean(part)
        squares += math.fsum((score - mean) ** 2 for score in part)
        spare += len(part) - 1
    return squares / spare if spare else 0.0


Values = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Case to its scores by repeat, of the baseline and of the new run."""


def results_of(path: str, results: Sequence[CaseResult]) -> list[CaseResult]:
    return [result for result in results if not path or result.case.startswith(f"{path}::")]


def tolerated_drop(check: SuiteCheck, scale: Scale) -> float | None:
    """The drop that passes, in the metric's unit; None when no drop is watched for."""
    if check.record_only:
        return None
    watched = scale.bounded and check.statistic != GAIN
    return 0.0 if check.max_drop is None and watched else check.max_drop


@dataclass(frozen=True, kw_only=True)
class PairedScores:
    """
    The values of one check that can be compared, by case.

    Attributes:
        absolute: What the threshold alone says.
        pairs: The results that they are of, baseline and new.
        values: All of both sides, the repeats of a new case up to the last look.
        fact: No case of these varies, and those that dropped dropped in each of several repeats.
        dropped: Cases that got worse at all.
        missed_before: The baseline missed the threshold too.
        lost: Cases of the baseline that could not be paired.
        shocks: What several runs of the baseline say of the variance between runs; None where it has one.
    """

    check: SuiteCheck
    scale: Scale
    absolute: Verdict
    pairs: Sequence[tuple[CaseResult, CaseResult]]
    values: Values
    fact: bool = False
    dropped: frozenset[str] = frozenset()
    missed_before: bool = False
    lost: tuple[str, ...] = ()
    shocks: RunMeans | None = None

    @property
    def tolerated(self) -> float | None:
        """The drop that passes, in the metric's unit; None when no drop is watched for."""
        return tolerated_drop(self.check, self.scale)

    @property
    def sign(self) -> float:
        """What turns a score so that higher is better."""
        return self.scale.sign

    @property
    def _worse(self) -> Literal["less", "greater"]:
        return "less" if self.scale.higher_is_better else "greater"

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The group of each case, in the order of the values: what the tests take for independent."""
        groups = {new.case: new.group for _, new in self.pairs}
        return tuple(groups[case] or f"::{case}" for case in self.values)

    def at(self, look: int | None, start: int = 0) -> Values:
        """
        The values with the new repeats from `start` to that look; of a case with a fixed number of them all.

        A percentile of means of many repeats is not that of means of few, whose spread is wider: there
        both sides have as many.
        """
        if (look, start) not in self._looks:
            self._looks[look, start] = self._choose(look, start)
        return self._looks[look, start]

    @cached_property
    def _looks(self) -> dict[tuple[int | None, int], Values]:
        return {}

    def _choose(self, look: int | None, start: int) -> Values:
        auto = self._auto
        chosen = {
            case: (old, new[start:look] if case in auto and len(new) > start else new)
            for case, (old, new) in self.values.items()
        }
        if self.is_linear:
            return chosen
        fewest = {case: min(map(len, sides)) for case, sides in chosen.items()}
        return {case: (old[: fewest[case]], new[: fewest[case]]) for case, (old, new) in chosen.items()}

    @cached_property
    def _auto(self) -> frozenset[str]:
        """Cases whose repeats the gate chooses."""
        return frozenset([new.case for _, new in self.pairs if new.auto])

    def difference(self, values: Values) -> float:
        """New less baseline, in the unit of the statistic."""
        before, after = map(self._calculate, self.means(values))
        return after - before

    def drop(self, values: Values) -> float:
        """How much worse the new values are; negative when better."""
        return -self.sign * self.difference(values)

    def is_tolerated(self, values: Values) -> bool:
        """Whether the observed drop passes; rounding is no drop, and dollars are small."""
        before, after = map(self._calculate, self.means(values))
        return self.sign * (before - after) <= (self.tolerated or 0.0) + NOISE * max(abs(before), abs(after))

    def p_value(self, values: Values, *, seed: int) -> float:
        """
        How often chance alone makes the new values as much worse; one-sided, in (0, 1].

        A mean or sum with a `max_drop` is tested as repeats that might have been of the other run: whether
        anything changed. That an edit moves single cases is for `excess_p_value` to weigh. Without a
        `max_drop` it is tested here as well, by the differences of cases that chance might have turned
        round, and the larger p-value counts: neither a harmless move of single cases makes a regression,
        nor the skew of unlike numbers of repeats.
        """
        if self.is_linear and self.check.max_drop:
            return self._widen(self._exchange(values), values)
        p_value = self._turn(values, seed=seed)
        if not self.is_linear:
            return p_value
        few = len(set(self.units)) < FEWEST
        if few or any(len(one) != len(other) for one, other in values.values()):
            p_value = max(p_value, self._exchange(values))
        return self._widen(p_value, values)

    def excess_p_value(self, values: Values, *, seed: int) -> float:
        """How often chance alone makes the new values as much worse, were the true drop `max_drop`."""
        shift = self.sign * (self.tolerated or 0.0) / (len(values) if self.check.statistic == "sum" else 1)
        p_value = self._turn(values, shift, seed=seed)
        return self._widen(p_value, values, shift) if self.is_linear else p_value

    def _turn(self, values: Values, shift: float = 0.0, *, seed: int) -> float:
        """Of cases that chance might have turned round; `shift` is added to each new mean."""
        before, after = self.means(values)
        after = [mean + shift for mean in after]
        return paired_p_value(
            self.check.statistic, before, after, worse=self._worse, seed=seed, units=self.units
        )

    def _exchange(self, values: Values) -> float:
        """Of repeats that might have been of the other run."""
        old, new = (
            [[self.sign * value for value in each[side]] for each in values.values()] for side in (0, 1)
        )
        return exchange_p_value(old, new)

    def _widen(self, p_value: float, values: Values, shift: float = 0.0) -> float:
        """By the variance between runs, where it is known."""
        if self.shocks is None:
            return p_value
        differences = [new + shift - old for old, new in zip(*self.means(values), strict=True)]
        return widen_p_value(p_value, differences, self.shocks)

    @property
    def is_linear(self) -> bool:
        """Whether the statistic of means is as good of few repeats as of many."""
        return self.check.statistic in LINEAR

    def means(self, values: Values) -> tuple[list[float], list[float]]:
        """Of each case on both sides, in the order of the values; every number of a look starts from them."""
        if id(values) not in self._known_means:
            before = self._means_before if self.is_linear else [mean(old) for old, _ in values.values()]
            after = [mean(new) for _, new in values.values()]
            self._known_means[id(values)] = (values, before, after)
        return self._known_means[id(values)][1:]

    @cached_property
    def _means_before(self) -> list[float]:
        """Of the whole baseline, which each look sees."""
        return [mean(old) for old, _ in self.values.values()]

    @cached_property
    def _known_means(self) -> dict[int, tuple[Values, list[float], list[float]]]:
        return {}  # by identity, with the values, so that nothing else gets their id

    def _calculate(self, means: Sequence[float]) -> float:
        if self.check.statistic == "mean":
            return fmean(means)  # what it is compared with is wider than a last digit
        return calculate(self.check.statistic, means)


_NO_VERDICT = Verdict(check="", outcome="passed")
_NEW = "the baseline has no score of it yet: llmops accept RUN.json --all"
_RENAMED = "if cases were renamed on purpose, accept this run: --llm-accept, then llmops accept --prune"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSuites:
    """
    The results of one golden file and of their baseline, paired once for all its checks.

    Attributes:
        before: Case to metric to its finite scores by repeat, in the baseline; `after` in the new run.
        like: Case to the metrics that scored it whole on both sides, and in the same way.
    """

    results: Sequence[CaseResult]
    base_results: Sequence[CaseResult]
    pairs: Pairs
    looks: Looks
    chance: Chance
    before: Mapping[str, Mapping[str, Sequence[float]]]
    after: Mapping[str, Mapping[str, Sequence[float]]]
    like: Mapping[str, frozenset[str]]

    @classmethod
    def of(
        cls, results: Sequence[CaseResult], base_results: Sequence[CaseResult], chance: Chance
    ) -> PairedSuites:
        looks = looks_taken(results, base_results, chance)
        if not looks.is_fixed:
            results = [first_repeats(each, looks.done) if each.auto else each for each in results]
        pairs = pair_cases(base_results, results)
        return cls(
            results=results,
            base_results=base_results,
            pairs=pairs,
            looks=looks,
            chance=chance,
            before={base.case: values_by_metric(base) for base, _ in pairs.shared},
            after={new.case: values_by_metric(new) for _, new in pairs.shared},
            like={new.case: like_metrics(base, new) for base, new in pairs.shared},
        )

    def judge(self, check: SuiteCheck, level: float) -> PairedScores | Verdict:
        """What can be compared, with what the threshold alone says; or the verdict where nothing can."""
        absolute = judge_suite(check, self.results, level=level)
        if absolute.outcome == "error" or check.record_only:
            return absolute
        if check.statistic == GAIN:  # which is over a rival, not a baseline
            return absolute
        scores = self.find(check, absolute)
        if isinstance(scores, Verdict) or check.comparison is None:
            return scores
        bases = [base for base, _ in scores.pairs]
        return replace(scores, missed_before=judge_suite(check, bases).outcome == "failed")

    def find(self, check: SuiteCheck, absolute: Verdict = _NO_VERDICT) -> PairedScores | Verdict:
        """What can be compared, or the verdict that says why nothing can."""
        try:
            scale = find_scale(check.metric, check.options)
        except LLMOpsError as error:
            return _error(absolute, str(error))
        metric = check.metric
        sound = [
            (base, new)
            for base, new in self.pairs.shared
            if metric in self.like[new.case]
            or not (scoring_breakage(metric, base) or scoring_breakage(metric, new))
        ]
        if not sound:
            return self._nothing_shared(check, scale, absolute)
        values = {new.case: (self.before[new.case][metric], self.after[new.case][metric]) for _, new in sound}
        for base, new in sound:
            if metric not in self.like[new.case] and (unlike := describe_unlike(metric, base, new)):
                return _unlike(absolute, f"{new.case}: {unlike}; unlike scores are not compared")
        if not all(scale.holds(end(map(end, chain(*values.values())))) for end in (min, max)):
            case, value = next(
                (case, value)
                for case, sides in values.items()
                for value in chain(*sides)
                if not scale.holds(value)
            )
            return _unlike(absolute, f"{case}: {metric} gave {value:g}, which is outside its range")
        bases = [base for base, _ in sound]
        sign = scale.sign
        dropped = {case for case, (old, new) in values.items() if sign * (mean(new) - mean(old)) < -NOISE}
        had = {result.case for result in self.base_results if _says(check.metric, result)}
        return PairedScores(
            check=check,
            scale=scale,
            absolute=absolute,
            pairs=sound,
            values=values,
            fact=self._is_fact(sound, dropped),
            dropped=frozenset(dropped),
            lost=tuple(sorted(had - values.keys())),
            shocks=RunMeans.of([(base.runs, values[base.case][0]) for base in bases]),
        )

    def _is_fact(self, pairs: Sequence[tuple[CaseResult, CaseResult]], dropped: set[str]) -> bool:
        """Whether a difference of these cases is no chance."""
        if any(self.chance.may_explain(base, new) for base, new in pairs):
            return False
        return self.chance.is_confirmed([pair for pair in pairs if pair[1].case in dropped], pairs)

    def _nothing_shared(self, check: SuiteCheck, scale: Scale, absolute: Verdict) -> Verdict:
        """Where no case has a score on both sides: nothing was compared, and the advice says so."""
        had = any(_says(check.metric, result) for result in self.base_results)
        if tolerated_drop(check, scale) is None:
            return absolute
        if not had and check.max_drop is None:
            return replace(absolute, advice=_NEW)
        reason = "nothing to compare with: "
        reason += "no case has a score on both sides" if had else "the baseline has no score of it"
        outcome: Outcome = "failed" if absolute.outcome == "failed" else "undecided"
        return replace(absolute, outcome=outcome, reason=reason, advice=_RENAMED if had else _NEW)


def _says(metric: str, result: CaseResult) -> bool:
    """Whether a metric has to do with a case: it scored it, or should have."""
    return any(score.metric == metric for score in result.scores) or any(
        failure.metric in {"", metric} for failure in result.failures
    )


def _unlike(absolute: Verdict, reason: str) -> Verdict:
    return replace(_error(absolute, reason), advice="record the baseline again")


def _error(absolute: Verdict, reason: str) -> Verdict:
    return replace(absolute, outcome="error", reason=reason)

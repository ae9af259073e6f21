"""The scores of suite checks on both sides, paired by case, and the tests of their difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, chain, pairwise
from statistics import NormalDist, fmean, variance

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.absolute import judge_suite
from pytest_llmops.gates.case_results import like_metrics, scoring_breakage, values_by_metric
from pytest_llmops.gates.days import FEWEST_RUNS, thin_base, thin_run
from pytest_llmops.gates.error_budget import looks_taken
from pytest_llmops.gates.paired_runs import (
    Chance,
    Scale,
    describe_unlike,
    find_scale,
    pair_cases,
    shared_repeats,
)
from pytest_llmops.records import GAIN, CaseResult, Outcome, SuiteCheck, Verdict
from pytest_llmops.registry import find_traits
from pytest_llmops.statistics.p_values import student_quantile, student_tail
from pytest_llmops.statistics.paired import FEWEST, PairedComparison
from pytest_llmops.statistics.summaries import LINEAR, NOISE, mean

SHIFT = 0.03
"""Standard deviation that runs of other days are taken to have before any was seen, a share of the range."""

SHIFT_RUNS = 2
"""Runs that would tell as much about it."""

_EVEN = 0.5
_NORMAL_FROM = 1e4  # a share of the variance this small leaves a normal distribution
_MOSTLY = 0.5
"""The share of a variance from which on repeats are mostly copies; smaller ones are left to `RunMeans`."""

_NO_VERDICT = Verdict(check="", outcome="passed")
_NEW = "the baseline has no score of it yet: llmops accept RUN.json --all"
_RENAMED = "if cases were renamed on purpose, accept this run: --llm-accept, then llmops accept --prune"


def results_of(path: str, results: Sequence[CaseResult]) -> list[CaseResult]:
    """The results of a golden file's cases; all for an empty path."""
    return [result for result in results if not path or result.case.startswith(f"{path}::")]


def tolerated_drop(check: SuiteCheck, scale: Scale) -> float | None:
    """The drop that passes, in the metric's unit; None when no drop is watched for."""
    if check.record_only or not check.watch:
        return None
    if find_traits(check.metric).over_repeats:
        return None
    watched = scale.bounded and check.statistic != GAIN
    return 0.0 if check.max_drop is None and watched else check.max_drop


@dataclass(frozen=True, kw_only=True)
class PairedScores:
    """
    The scores of one check that can be compared, by case.

    Attributes:
        absolute: The verdict by the threshold.
        pairs: The results of the scores, baseline and new.
        values: Case to its scores by repeat, of the baseline and of the new run up to the last look.
        fact: No case of these varies, and those that dropped dropped in each of several repeats.
        dropped: Cases that got worse at all.
        missed_before: The baseline missed the threshold too.
        lost: Cases of the baseline that could not be paired.
        shocks: The variance between runs of the baseline; None where it has too few.
    """

    check: SuiteCheck
    scale: Scale
    absolute: Verdict
    pairs: Sequence[tuple[CaseResult, CaseResult]]
    values: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    fact: bool = False
    dropped: frozenset[str] = frozenset()
    missed_before: bool = False
    lost: tuple[str, ...] = ()
    shocks: RunMeans | None = None
    _looks: dict[tuple[int | None, int], PairedComparison] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    @cached_property
    def tolerated(self) -> float | None:
        """The drop that passes, in the metric's unit; None when no drop is watched for."""
        return tolerated_drop(self.check, self.scale)

    @property
    def is_linear(self) -> bool:
        """True if the statistic of means of few repeats is comparable with that of many."""
        return self.check.statistic in LINEAR

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The group of each case, in the order of the values: the independent units of the tests."""
        groups = {new.case: new.group for _, new in self.pairs}
        return tuple(groups[case] or f"::{case}" for case in self.values)

    @property
    def has_few_units(self) -> bool:
        return len(set(self.units)) < FEWEST

    def at(self, look: int | None, start: int = 0) -> PairedComparison:
        """
        The comparison with the new repeats from `start` to a look, of a case with a fixed number with all.

        A percentile of means of many repeats is not that of means of few, whose spread is wider: there
        both sides have as many.
        """
        if (look, start) not in self._looks:
            self._looks[look, start] = self._compare(look, start)
        return self._looks[look, start]

    def _compare(self, look: int | None, start: int) -> PairedComparison:
        auto = {new.case for _, new in self.pairs if new.auto}
        base = [old for old, _ in self.values.values()]
        new = [
            after[start:look] if case in auto and len(after) > start else after
            for case, (_, after) in self.values.items()
        ]
        if not self.is_linear:
            fewest = [min(len(old), len(after)) for old, after in zip(base, new, strict=True)]
            base, new = (
                [repeats[:count] for repeats, count in zip(side, fewest, strict=True)] for side in (base, new)
            )
        return PairedComparison(
            base=base,
            new=new,
            units=self.units,
            statistic=self.check.statistic,
            higher_is_better=self.scale.higher_is_better,
        )

    def is_tolerated(self, compared: PairedComparison) -> bool:
        """True if the observed drop passes; rounding is no drop, and dollars are small."""
        noise = NOISE * max(map(abs, compared.values))
        return compared.drop <= (self.tolerated or 0.0) + noise

    def p_value(self, compared: PairedComparison, *, seed: int) -> float:
        """
        The p-value of any drop; one-sided, in (0, 1].

        A mean or sum with a `max_drop` is tested by exchanging repeats: whether anything changed. That an
        edit moves single cases is left to `excess_p_value`. Without a `max_drop` it is tested here as well,
        by turning cases, and the larger p-value counts: neither a harmless move of single cases makes a
        regression, nor the skew of unlike numbers of repeats.
        """
        if self.is_linear and self.check.max_drop:
            return self._widen(compared.exchange_p_value(), compared)
        p_value = compared.turning_p_value(seed=seed)
        if not self.is_linear:
            return p_value
        if self.has_few_units or compared.repeats_differ:
            p_value = max(p_value, compared.exchange_p_value())
        return self._widen(p_value, compared)

    def excess_p_value(self, compared: PairedComparison, *, seed: int) -> float:
        """The p-value of a drop beyond `max_drop`; one-sided, in (0, 1]."""
        tolerated = (self.tolerated or 0.0) / (len(self.values) if self.check.statistic == "sum" else 1)
        p_value = compared.turning_p_value(tolerated=tolerated, seed=seed)
        return self._widen(p_value, compared, tolerated) if self.is_linear else p_value

    def _widen(self, p_value: float, compared: PairedComparison, tolerated: float = 0.0) -> float:
        """By the variance between runs, where it is known."""
        if self.shocks is None:
            return p_value
        shift = self.scale.sign * tolerated
        differences = [new + shift - old for old, new in zip(*compared.means, strict=True)]
        return widen_p_value(p_value, differences, self.shocks)


class PairedSuites:
    """The results of one golden file and of their baseline, paired once for all its suite checks."""

    def __init__(
        self, results: Sequence[CaseResult], base_results: Sequence[CaseResult], chance: Chance
    ) -> None:
        self.looks = looks_taken(results, base_results, chance)
        self._all_repeats = {result.case: result for result in results}
        self.results = results = shared_repeats(results, base_results)
        self._base_results = base_results
        self._chance = chance
        self._pairs = pair_cases(base_results, results).shared
        self._like = {new.case: like_metrics(base, new) for base, new in self._pairs}

    def judge(self, check: SuiteCheck, level: float) -> PairedScores | Verdict:
        """The scores that can be compared and their absolute verdict; or only that where none can."""
        absolute = judge_suite(check, self.results, level=level)
        # A gain is measured over a rival, not a baseline; how many of k repeats pass, by the repeats.
        alone = check.record_only or check.statistic == GAIN or find_traits(check.metric).over_repeats
        if alone or absolute.outcome in {"error", "undecided"}:
            return absolute
        scores = self.find(check, absolute)
        if isinstance(scores, Verdict) or check.comparison is None:
            return scores
        bases = [base for base, _ in scores.pairs]
        return replace(scores, missed_before=judge_suite(check, bases).outcome == "failed")

    def find(self, check: SuiteCheck, absolute: Verdict = _NO_VERDICT) -> PairedScores | Verdict:
        """The scores that can be compared, or the verdict with the reason why none can."""
        metric = check.metric
        try:
            scale = find_scale(metric, check.options)
        except LLMOpsError as error:
            return replace(absolute, outcome="error", reason=str(error))
        sound = [
            (base, new)
            for base, new in self._pairs
            if metric in self._like[new.case]
            or not (scoring_breakage(metric, base) or scoring_breakage(metric, new))
        ]
        if not sound:
            return self._judge_unpaired(check, scale, absolute)
        share = self._chance.day_shares.get(metric, 0.0)
        share = share if share >= _MOSTLY else 0.0
        thinned = {
            base.case: thin_base(values_by_metric(base)[metric], base.runs, share) for base, _ in sound
        }
        values = {
            new.case: (thinned[new.case][0], thin_run(values_by_metric(new)[metric], share))
            for _, new in sound
        }
        if reason := self._find_unlike(metric, scale, sound, values):
            return replace(absolute, outcome="error", reason=reason, advice="record the baseline again")
        drops = {case: scale.sign * (mean(old) - mean(new)) for case, (old, new) in values.items()}
        dropped = frozenset(case for case, drop in drops.items() if drop > NOISE)
        confirmed = [(base, self._all_repeats[new.case]) for base, new in sound]
        steady = not any(self._chance.may_explain(base, new) for base, new in confirmed)
        had = {result.case for result in self._base_results if _concerns(metric, result)}
        if check.is_bare:
            had -= self._no_longer_checking(metric)
        return PairedScores(
            check=check,
            scale=scale,
            absolute=absolute,
            pairs=sound,
            values=values,
            fact=steady
            and self._chance.is_confirmed([pair for pair in confirmed if pair[1].case in dropped], sound),
            dropped=dropped,
            lost=tuple(sorted(had - values.keys())),
            shocks=RunMeans.of([(runs, old) for old, runs in thinned.values()], scale),
        )

    def _no_longer_checking(self, metric: str) -> set[str]:
        """Cases whose own checks leave out a metric that no suite asks them for either."""
        return {
            result.case
            for result in self.results
            if result.checks
            and metric not in {check.metric for check in result.checks}
            and not _concerns(metric, result)
        }

    def _find_unlike(
        self,
        metric: str,
        scale: Scale,
        pairs: Sequence[tuple[CaseResult, CaseResult]],
        values: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    ) -> str:
        """The case and the reason why its scores cannot be compared; empty where all can."""
        for base, new in pairs:
            if metric not in self._like[new.case] and (unlike := describe_unlike(metric, base, new)):
                return f"{new.case}: {unlike}; unlike scores are not compared"
        if all(scale.holds(end(map(end, chain(*values.values())))) for end in (min, max)):
            return ""
        for case, sides in values.items():
            for value in chain(*sides):
                if not scale.holds(value):
                    return f"{case}: {metric} gave {value:g}, which is outside its range"
        return ""

    def _judge_unpaired(self, check: SuiteCheck, scale: Scale, absolute: Verdict) -> Verdict:
        """The verdict where no case has a score on both sides, with the remedy as advice."""
        had = any(_concerns(check.metric, result) for result in self._base_results)
        if tolerated_drop(check, scale) is None:
            return absolute
        if not had and check.max_drop is None:
            return replace(absolute, advice=_NEW)
        reason = "no case has a score on both sides" if had else "the baseline has no score of it"
        outcome: Outcome = "failed" if absolute.outcome == "failed" else "undecided"
        return replace(
            absolute,
            outcome=outcome,
            reason=f"nothing to compare with: {reason}",
            advice=_RENAMED if had else _NEW,
        )


def _concerns(metric: str, result: CaseResult) -> bool:
    """True if a metric scored a case, or should have."""
    return any(score.metric == metric for score in result.scores) or any(
        failure.metric in {"", metric} for failure in result.breakages
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeans:
    """
    The variance between the runs that a baseline was merged from.

    A server, a day or a model behind an alias moves all answers of a run together. Repeats of one run share
    its shock, so that no number of them shows it; runs of several days do.

    Attributes:
        runs: Their number.
        between: Variance of their suite means, less the part that repeats explain, in the metric's unit
            squared. Three runs that agree do not show that all do: `SHIFT_RUNS` more are taken to be `SHIFT`
            apart.
        freedom: Degrees of freedom that this variance has.
    """

    runs: int
    between: float
    freedom: int

    @property
    def shared(self) -> float:
        """The variance that the new run's shock and the baseline's give to a difference of means."""
        return self.between * (1 + 1 / self.runs)

    def widen(self, center: float, low: float, high: float, level: float) -> tuple[float, float]:
        """An interval of the difference of means that holds these shocks as well."""
        reach = student_quantile((1 - level) / 2, self.freedom) * math.sqrt(self.shared)
        return center - math.hypot(center - low, reach), center + math.hypot(high - center, reach)

    @classmethod
    def of(cls, cases: Sequence[tuple[Sequence[int], Sequence[float]]], scale: Scale) -> RunMeans | None:
        """
        Args:
            cases: The number of repeats of a case in each run, and the case's scores in that order.
            scale: Of the metric; without bounds nothing is known of shocks before.

        Returns:
            None where the cases do not share three runs, or not all of their repeats are there.

        Source: method of moments of a one-way random effects model, Searle, Casella and McCulloch (1992),
        Variance Components, ch. 3; the prior as further observations, Gelman and others (2013), Bayesian Data
        Analysis, section 2.6.
        """
        counts = {len(runs) for runs, _ in cases}
        complete = all(sum(runs) == len(scores) and 0 not in runs for runs, scores in cases)
        if len(counts) != 1 or not complete or (runs := counts.pop()) < FEWEST_RUNS:
            return None
        means = [0.0] * runs
        explained = [0.0] * runs
        for repeats, scores in cases:
            parts = [scores[start:stop] for start, stop in pairwise(accumulate(repeats, initial=0))]
            within = _variance_within(parts)
            for run, part in enumerate(parts):
                means[run] += fmean(part) / len(cases)
                explained[run] += within / len(part) / len(cases) ** 2
        between = max(0.0, variance(means) - math.fsum(explained) / runs)
        before, freedom = 0.0, runs - 1
        if scale.bounded:
            low, high = scale.range
            before = SHIFT_RUNS * (SHIFT * (high - low)) ** 2
            freedom += SHIFT_RUNS
        return cls(runs=runs, between=(before + (runs - 1) * between) / freedom, freedom=freedom)


def _variance_within(parts: Sequence[Sequence[float]]) -> float:
    """The variance of a repeat about the mean of its run."""
    squares, spare = 0.0, 0
    for part in parts:
        center = fmean(part)
        squares += math.fsum((score - center) ** 2 for score in part)
        spare += len(part) - 1
    return squares / spare if spare else 0.0


def widen_p_value(p_value: float, differences: Sequence[float], shocks: RunMeans) -> float:
    """
    The p-value of a mean difference whose runs have a shock each, in (0, 1].

    The p-value gives the standard errors that the difference is off; each of them is longer by the new run's
    shock and by the part of it that is left in the baseline's mean.

    Args:
        differences: One a case, in the metric's unit.

    Source: Satterthwaite (1946), An approximate distribution of estimates of variance components.
    """
    if not shocks.between or not 0 < p_value < _EVEN:
        return p_value
    apart = abs(fmean(differences))
    sampling, shared = (apart / -NormalDist().inv_cdf(p_value)) ** 2, shocks.shared
    freedom = shocks.freedom * min((sampling + shared) / shared, _NORMAL_FROM) ** 2
    return max(student_tail(apart / math.sqrt(sampling + shared), freedom), p_value)

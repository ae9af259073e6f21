"""The scores of one suite check on both sides, by case, and the tests of their difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Literal

from pytest_llmops.gates.paired_runs.pairing import (
    Scale,
)
from pytest_llmops.gates.suite_channel.run_shocks import RunMeans, widen_p_value
from pytest_llmops.records import GAIN, CaseResult, SuiteCheck, Verdict
from pytest_llmops.statistics.significance.exchange import exchange_p_value
from pytest_llmops.statistics.significance.permutation import paired_p_value
from pytest_llmops.statistics.significance.sign_flips import FEWEST
from pytest_llmops.statistics.summaries import LINEAR, NOISE, calculate, mean

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

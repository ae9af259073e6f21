"""
The case channel: did one check of one case get worse, by the case's own repeats?

Definitions, and what they cost, are in docs/decisions/0019-what-a-red-run-guarantees.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Literal

from pytest_llmops.bounds import holds, is_minimum
from pytest_llmops.gates.absolute import is_about_passing, is_judged_by_rate
from pytest_llmops.gates.case_channel.pass_rates import (
    Movement,
    PassRates,
    deviation_p_value,
    estimate_movement,
    outlier_p_value,
)
from pytest_llmops.gates.case_results import means_by_metric, signatures_by_metric, values_by_metric
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.paired_runs import CONFIRMED, Chance, Pairs, Scale, Scales
from pytest_llmops.records import CaseResult, Check
from pytest_llmops.registry import find_traits
from pytest_llmops.statistics.p_values import drop_p_value
from pytest_llmops.statistics.summaries import NOISE, calculate

State = Literal["clear", "suspect", "called", "refuted", "regressed"]

FRESH = 8
"""Repeats on which the drop of a case is confirmed before it is reported."""

_STAGES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64, 96, 128)
_CONFIRM = 0.05
_OWN = 0.05  # what the p-value of a case's own repeats must not exceed, in an app that was steady
_DOUBT = 0.1  # the p-value of its misses from which on such a case is asked again
_HALF = 0.5
_DEAD = 8  # repeats of which none holds, after which a case is not excused as known


@dataclass(frozen=True, kw_only=True)
class Reading:
    """
    One check of one case compared with its baseline.

    Attributes:
        before: The baseline's scores by repeat; `after` the new ones.
        fact: Neither side varies, so that a difference is no chance.
        most: The most repeats that may be asked for; 0 where their number was fixed.
        by_rate: What counts is how many repeats hold the check, and not their mean.
        moved: What the other cases say of this one; None where nobody knows them.
        alike: Repeats of the whole baseline where none of them differs; 0 in an app that varies.
        means: Of `before` and of `after`, where they are known.
    """

    case: str
    check: Check
    scale: Scale
    before: Sequence[float]
    after: Sequence[float]
    fact: bool
    most: int = 0
    by_rate: bool = True
    moved: Movement | None = None
    alike: int = 0
    means: tuple[float, float] | None = None

    @cached_property
    def mean_before(self) -> float:
        return self.means[0] if self.means else calculate("mean", self.before)

    @cached_property
    def mean_after(self) -> float:
        return self.means[1] if self.means else calculate("mean", self.after)

    @cached_property
    def rates(self) -> PassRates:
        """How many repeats hold the check."""
        return self._rates(0, len(self.after))

    @cached_property
    def size(self) -> float:
        """
        The drop that makes a case regressed, in the metric's unit: its check's own `max_drop`, else half of
        the way from the baseline's mean to the worst score.
        """
        if self.check.max_drop is not None:
            return self.check.max_drop
        low, high = self.scale.range
        worst = max(low, 0.0) if self.scale.higher_is_better and high > 0 else low
        worst = worst if self.scale.higher_is_better else high
        return _HALF * abs(self.mean_before - worst)

    def state(self, budget: CaseBudget) -> State:
        """
        Whether it got worse beyond chance, corrected for the number of tests.

        Where repeats may be asked for, a call at one of the stages is confirmed on fresh repeats, and a
        reading that would be called if it went on as it is, is `suspect`.
        """
        known = self.__dict__.get("_state")  # of the latest budget, which hardly ever changes
        if known is None or known[0] != budget:
            known = self.__dict__["_state"] = (budget, self._find_state(budget.bound))
        state: State = known[1]
        return state

    def _find_state(self, bound: float) -> State:  # noqa: PLR0911 - a return a state
        if self.fact:
            if not self._has_dropped():
                return "clear"
            return "regressed" if len(self.after) >= CONFIRMED else "called"
        if not self.most:
            return "regressed" if self.p_value() <= bound else self._ahead(bound, _STAGES[-1])
        fresh = min(FRESH, self.most // 2)
        for stage in _STAGES:
            if stage > min(len(self.after), self.most - fresh):
                break
            if self.p_value(0, stage) <= bound:
                if len(self.after) < stage + fresh:
                    return "called"
                again = self.p_value(stage, stage + fresh) <= _CONFIRM
                return "regressed" if again else "refuted"
        if len(self.after) >= self.most - fresh:
            return "clear"
        return self._ahead(bound, self.most - fresh)

    def wants(self, budget: CaseBudget) -> int:
        """New repeats that would take it further; 0 where none would."""
        done = len(self.after)
        fresh = min(FRESH, self.most // 2)
        state = self.state(budget)
        if state == "called":
            if self.fact:
                return min(self.most, CONFIRMED)
            called_at = next(stage for stage in _STAGES if self.p_value(0, stage) <= budget.bound)
            return min(self.most, called_at + fresh)
        if state == "suspect" or (self._seems_dead and not self.fact and done < min(_DEAD, self.most)):
            return min(self.most, next((stage for stage in _STAGES if stage > done), self.most))
        return 0

    def improved(self) -> bool:
        """Whether it is a fact that it was missed and holds now."""
        return self.fact and self.rates.held_before == 0 and self.rates.held == self.rates.repeats

    @property
    def was_steady(self) -> bool:
        """Whether it held in each repeat of an app of which no repeat differed."""
        every = self.rates.held_before == self.rates.repeats_before
        return self.alike > 0 and every and self.scale.bounded

    @property
    def deviates(self) -> bool:
        """Whether it was steady and misses its check more often than an app deviates now and then."""
        return self.was_steady and deviation_p_value(self.rates, self.alike) <= _DOUBT

    @property
    def is_dead(self) -> bool:
        """Whether it held mostly and never does any more, whatever a test can make of it."""
        enough = min(_DEAD, self.most) if self.most else 1
        return self._seems_dead and self.rates.repeats >= enough

    @property
    def _seems_dead(self) -> bool:
        held = self.rates.held_before >= _HALF * self.rates.repeats_before
        return self._is_counted and held and self.rates.held == 0

    @property
    def why(self) -> str:
        """Why a drop is no chance."""
        return "no repeat differs, so the app changed here" if self.fact else "the repeats rule out chance"

    def p_value(self, start: int = 0, stop: int | None = None) -> float:
        """
        How often chance leaves the new repeats from `start` to `stop` as bad: as seldom held of a check that
        is judged by its rate or says no more, as low by more than `size` of scores; the smaller of both,
        twice, where both can be read. In (0, 1].
        """
        stop = len(self.after) if stop is None else stop
        p_values = []
        if self._is_counted:
            p_values.append(self._rate_p_value(start, stop))
        if self._is_measured:
            whole = (start, stop) == (0, len(self.after))
            after = self.after[start:stop]
            counts = self._counts(self.mean_after if whole else calculate("mean", after))
            p_values.append(drop_p_value(*self._turned(after), self.size) if counts else 1.0)
        return min(1.0, len(p_values) * min(p_values))

    def _rate_p_value(self, start: int, stop: int) -> float:
        """By chance and, where other cases moved too, as one of them."""
        rates = self._rates(start, stop)
        if self.was_steady:  # a case that always deviated is known by its own repeats
            return deviation_p_value(rates, self.alike) if rates.p_value <= _OWN else 1.0
        if not rates.collapsed:
            return 1.0
        if self.moved is None:
            return rates.p_value
        prior = self.moved.priors.get(self.check.metric, (0.0, 0.0))
        return max(rates.p_value, outlier_p_value(rates, self.moved.variance, prior))

    def dropped_at_all(self, bound: float) -> bool:
        """Whether its scores dropped beyond chance by any size, or it holds less often by any number."""
        seldom = self._is_counted and self.rates.p_value <= bound
        return seldom or (self._is_measured and drop_p_value(*self._turned(self.after), 0.0) <= bound)

    def _ahead(self, bound: float, most: int) -> State:
        """`suspect` where as many repeats like these would be called, else `clear`."""
        dropped = self._is_measured and self._counts(self.mean_after) and self._drop > self.size
        if not dropped and not self.deviates and not self.rates.at(most).collapsed:
            return "clear"
        times = -(-most // len(self.after))
        ahead = replace(self, after=(list(self.after) * times)[:most], means=None)
        return "suspect" if ahead.p_value() <= bound else "clear"

    @property
    def _drop(self) -> float:
        """How much worse the mean is."""
        drop = self.mean_before - self.mean_after
        return drop if self.scale.higher_is_better else -drop

    def _has_dropped(self) -> bool:
        if self.rates.held_before == self.rates.repeats_before and self.rates.held == 0:
            return True
        return self._is_measured and self._counts(self.mean_after) and self._drop > self.size + NOISE

    @property
    def _is_counted(self) -> bool:
        """Whether what counts is how many repeats hold it: where it is judged so, or scores say no more."""
        return self.by_rate or not self._is_measured

    @cached_property
    def _is_measured(self) -> bool:
        """Whether scores say more than how many hold, and a lower one is what the check does not want."""
        wants_more = is_minimum(self.check)
        more_than_two = not {*self.before, *self.after} <= {0.0, 1.0}
        says_more = more_than_two or self.check.max_drop is not None
        return self.scale.bounded and wants_more == self.scale.higher_is_better and says_more

    def _counts(self, mean: float) -> bool:
        """A drop counts where the check is missed after it, or where the check names the drop itself."""
        return self.check.max_drop is not None or not holds(mean, self.check)

    def _turned(self, after: Sequence[float]) -> tuple[list[float], list[float]]:
        """Both sides with higher scores the better ones."""
        sign = self.scale.sign
        return [sign * value for value in self.before], [sign * value for value in after]

    @cached_property
    def _held(self) -> tuple[int, Sequence[int]]:
        """How many of the baseline's repeats hold the check, and how many of the first so many new ones."""
        before = sum(holds(value, self.check) for value in self.before)
        return before, tuple(accumulate((holds(value, self.check) for value in self.after), initial=0))

    def _rates(self, start: int, stop: int) -> PassRates:
        before, held = self._held
        return PassRates(
            held_before=before,
            repeats_before=len(self.before),
            held=held[stop] - held[start],
            repeats=stop - start,
        )


def read_case(base: CaseResult, new: CaseResult, chance: Chance) -> Iterable[Reading]:
    """
    The checks of a case that both sides have scores for, made in the same way.

    These are the checks of its golden file; for a metric that was scored and not checked, what the metric
    itself takes for good. Seconds, dollars and tokens are left out.
    """
    before, after = values_by_metric(base), values_by_metric(new)
    made, was = signatures_by_metric(new), signatures_by_metric(base)
    for check in checks_of(new, chance.scales):
        metric = check.metric
        if metric in before and metric in after and made[metric] == was[metric]:
            yield read_check(base, new, check, chance)


def read_check(base: CaseResult, new: CaseResult, check: Check, chance: Chance) -> Reading:
    """One check of a case that both sides have scores for."""
    before, after = values_by_metric(base)[check.metric], values_by_metric(new)[check.metric]
    scale = chance.scales[check.metric] or Scale(higher_is_better=is_minimum(check), bounded=False)
    return Reading(
        case=new.case,
        check=check,
        scale=scale,
        before=before,
        after=after,
        fact=scale.bounded and not chance.may_explain(base, new),
        most=new.auto,
        alike=chance.alike,
        means=(means_by_metric(base)[check.metric], means_by_metric(new)[check.metric]),
        by_rate=(
            not scale.bounded
            or is_judged_by_rate(check, lambda: scale.range[1])
            or (is_about_passing(check) and {*before, *after} <= {0.0, 1.0})
        ),
    )


def read_pairs(pairs: Pairs, chance: Chance | None = None) -> dict[str, list[Reading]]:
    """
    Case to its readings, each knowing what the others say of it; `chance` is what these pairs say of the app,
    where nothing more is known.
    """
    chance = chance or Chance([base for base, _ in pairs.shared])
    readings = {new.case: list(read_case(base, new, chance)) for base, new in pairs.shared}
    moved = find_movement(readings)
    for each in (each for of_case in readings.values() for each in of_case):
        object.__setattr__(each, "moved", moved)  # a copy would count again what it holds; nobody has it yet
    return readings


def case_budget(readings: Mapping[str, Sequence[Reading]], level: float = 0.95) -> CaseBudget:
    """The budget of a comparison that has these readings alone."""
    return CaseBudget(tests=sum(map(len, readings.values())), level=level)


def find_movement(readings: Mapping[str, Iterable[Reading]]) -> Movement:
    """What the readings of a run say together of each one."""
    return estimate_movement(
        (each.check.metric, each.rates)
        for of_case in readings.values()
        for each in of_case
        if each.by_rate and not each.fact
    )


def checks_of(result: CaseResult, scales: Scales) -> list[Check]:
    """What is asked of each bounded metric, and of leaks, by a case's golden file or by the metric itself."""
    written = [
        check
        for check in result.checks
        if not check.record_only and (scale := scales[check.metric]) and scale.bounded
    ]
    named = {check.metric for check in result.checks}
    scored = dict.fromkeys(score.metric for score in result.scores if score.metric not in named)
    own = [
        Check(metric=metric, comparison=scale.bound.comparison, threshold=scale.bound.threshold)
        for metric in scored
        if (scale := scales[metric]) is not None and scale.bound is not None
        if scale.bounded or not find_traits(metric).excusable
    ]
    return [*written, *own]

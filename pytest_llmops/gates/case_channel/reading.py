"""
The case channel's tests: did one check of one case get worse, by the case's own repeats?

Definitions, and their cost, are in docs/decisions/0019-what-a-red-run-guarantees.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from pytest_llmops.gates.case_results import signatures, values_by_metric
from pytest_llmops.gates.days import count_independent, count_repeats_worth, thin_base, thin_run
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.paired_runs import CONFIRMED, Chance, Pairs, Scale, Scales
from pytest_llmops.records import CaseResult, Check
from pytest_llmops.registry import find_traits
from pytest_llmops.statistics.p_values import drop_p_value
from pytest_llmops.statistics.summaries import NOISE, calculate

State = Literal["clear", "suspect", "called", "refuted", "regressed"]

FRESH = 8
"""Repeats on which the drop of a case is confirmed before it is reported."""

STAGES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64, 96, 128)
"""Numbers of new repeats at which a case is tested."""

_CONFIRM = 0.05  # the largest p-value of fresh repeats that confirm a drop
_OWN = 0.05  # the largest p-value of a case's own repeats that counts, in an app that was steady
_DOUBT = 0.1  # the p-value of its misses from which on such a case is run again
_HALF = 0.5
_DEAD = 8  # repeats of which none holds, after which a case is not excused as known


@dataclass(kw_only=True, eq=False)
class Reading:
    """
    One check of one case compared with its baseline.

    A check is tested by its rate, the number of repeats that hold it; by its scores, whose mean may drop by
    more than a size; or by both.

    Attributes:
        before: The baseline's scores by repeat, and `after` the new ones; of days that were merged, as many
            as are independent.
        fact: Neither side varies, so that a difference is no chance.
        most: Independent repeats that those that may be made (`auto`) are worth; 0 where they are fixed.
        day_share: Share of the variance that repeats of one run have in common.
        by_rate: The rate counts, and not only the mean.
        moved: The movement of all cases; None where it is unknown.
        alike: Repeats of the whole baseline where none of them differs; 0 in an app that varies.
        days: Runs that the baseline was merged from.
        group: Of the case; empty where it is the only one.
    """

    case: str
    check: Check
    scale: Scale
    before: Sequence[float]
    after: Sequence[float]
    fact: bool
    most: int = 0
    auto: int = 0
    day_share: float = 0.0
    by_rate: bool = True
    moved: Movement | None = None
    alike: int = 0
    days: int = 1
    group: str = ""
    _states: dict[CaseBudget, State] = field(init=False, repr=False, default_factory=dict)

    @cached_property
    def mean_before(self) -> float:
        return calculate("mean", self.before)

    @cached_property
    def mean_after(self) -> float:
        return calculate("mean", self.after)

    @cached_property
    def rates(self) -> PassRates:
        """The rates of all repeats."""
        return self._rates_of(0, len(self.after))

    def _rates_of(self, start: int, stop: int) -> PassRates:
        """The rates where only the new repeats from `start` to `stop` were made."""
        before, after = self._held
        return PassRates(
            held_before=before,
            repeats_before=len(self.before),
            held=after[stop] - after[start],
            repeats=stop - start,
        )

    @cached_property
    def _held(self) -> tuple[int, Sequence[int]]:
        """The number of the baseline's repeats that hold the check, and of the first so many new ones."""
        before = sum(holds(value, self.check) for value in self.before)
        return before, tuple(accumulate((holds(value, self.check) for value in self.after), initial=0))

    @cached_property
    def size(self) -> float:
        """
        The drop that makes a case regressed, in the metric's unit: its check's own `max_drop`, else half of
        the way from the baseline's mean to the worst score.
        """
        if self.check.max_drop is not None:
            return self.check.max_drop
        low, high = self.scale.range
        worst = high
        if self.scale.higher_is_better:
            worst = max(low, 0.0) if high > 0 else low
        return _HALF * abs(self.mean_before - worst)

    @property
    def drop(self) -> float:
        """The difference of the means, positive where the new one is worse."""
        return self.scale.sign * (self.mean_before - self.mean_after)

    @cached_property
    def tests_scores(self) -> bool:
        """True if scores are more than pass or miss, and lower ones are worse for the check, too."""
        more_than_two = not {*self.before, *self.after} <= {0.0, 1.0}
        same_direction = is_minimum(self.check) == self.scale.higher_is_better
        return self.scale.bounded and same_direction and (more_than_two or self.check.max_drop is not None)

    @cached_property
    def is_pass_or_miss(self) -> bool:
        """True if each score is the lowest or the highest there is, and the rate says all."""
        return self.by_rate and {*self.before, *self.after} <= {0.0, 1.0}

    def count_held(self, values: Sequence[float]) -> int:
        return sum(holds(value, self.check) for value in values)

    @property
    def tests_rate(self) -> bool:
        return self.by_rate or not self.tests_scores

    @property
    def never_varied(self) -> bool:
        """True if all repeats of the baseline have one score, and hold the check where its rate counts."""
        every = not self.tests_rate or self.rates.held_before == self.rates.repeats_before
        return every and min(self.before) == max(self.before) and len(self.before) > 1

    @property
    def was_steady(self) -> bool:
        """True if it held in each repeat of an app of which no repeat differed."""
        every = self.rates.held_before == self.rates.repeats_before
        return self.alike > 0 and every and self.scale.bounded

    @property
    def deviates(self) -> bool:
        """True if it was steady and misses its check more often than an app deviates now and then."""
        return self.was_steady and deviation_p_value(self.rates, self.alike) <= _DOUBT

    @property
    def seems_dead(self) -> bool:
        """True if it held mostly and does not hold in any new repeat."""
        return (
            self.tests_rate
            and self.rates.held_before >= _HALF * self.rates.repeats_before
            and self.rates.held == 0
        )

    @property
    def is_dead(self) -> bool:
        """True if it seems dead after so many repeats that it is not excused, whatever a test finds."""
        return self.seems_dead and self.rates.repeats >= (min(_DEAD, self.most) if self.most else 1)

    def p_value(self, start: int = 0, stop: int | None = None) -> float:
        """
        The p-value of the new repeats from `start` to `stop`: of a rate that is lower, of scores that dropped
        by more than `size`; the smaller of both, twice, where both are tested. In (0, 1].
        """
        stop = len(self.after) if stop is None else stop
        p_values = []
        if self.tests_rate:
            p_values.append(self._rate_p_value(self._rates_of(start, stop)))
        if self.tests_scores:
            after = self.after[start:stop]
            counts = self._drop_counts(calculate("mean", after))
            p_values.append(self._drop_p_value(after, self.size) if counts else 1.0)
        return min(1.0, len(p_values) * min(p_values))

    def _rate_p_value(self, rates: PassRates) -> float:
        """By chance and, where other cases moved too, as one of them."""
        if self.was_steady:  # a case that always deviated is known by its own repeats
            return deviation_p_value(rates, self.alike) if rates.p_value <= _OWN else 1.0
        if not rates.collapsed:
            return 1.0
        if self.moved is None:
            return rates.p_value
        prior = self.moved.priors.get(self.check.metric, (0.0, 0.0))
        return max(rates.p_value, outlier_p_value(rates, self.moved.variance, prior))

    def _drop_p_value(self, after: Sequence[float], size: float) -> float:
        sign = self.scale.sign
        return drop_p_value([sign * value for value in self.before], [sign * value for value in after], size)

    def _drop_counts(self, mean: float) -> bool:
        """A drop counts where the check is missed after it, or where the check names the drop itself."""
        return self.check.max_drop is not None or not holds(mean, self.check)

    def dropped_at_all(self, bound: float) -> bool:
        """True if its scores dropped beyond chance by any size, or it holds less often by any number."""
        seldom = self.tests_rate and self.rates.p_value <= bound
        return seldom or (self.tests_scores and self._drop_p_value(self.after, 0.0) <= bound)

    def state(self, budget: CaseBudget) -> State:
        """
        The state of the proof that it got worse beyond chance, corrected for the number of tests.

        Where repeats may be made, a drop is `called` at one of the stages and then confirmed on fresh
        repeats; a reading that would be called if it went on as it is, is `suspect`.
        """
        if budget not in self._states:
            self._states[budget] = self._find_state(budget.bound)
        return self._states[budget]

    def _find_state(self, bound: float) -> State:
        if self.fact:
            return self._find_state_of_fact()
        if not self.most:
            return "regressed" if self.p_value() <= bound else self._look_ahead(bound, STAGES[-1])
        done, fresh = len(self.after), self._fresh
        if called_at := self._find_call(bound):
            if done < called_at + fresh:
                return "called"
            return "regressed" if self.p_value(called_at, called_at + fresh) <= _CONFIRM else "refuted"
        return "clear" if done >= self.most - fresh else self._look_ahead(bound, self.most - fresh)

    def _find_state_of_fact(self) -> State:
        died = self.rates.held_before == self.rates.repeats_before and self.rates.held == 0
        beyond = self.tests_scores and self._drop_counts(self.mean_after) and self.drop > self.size + NOISE
        if not died and not beyond:
            return "clear"
        return "regressed" if len(self.after) >= CONFIRMED else "called"

    def _find_call(self, bound: float) -> int:
        """The first stage at which the repeats rule out chance, 0 where none does."""
        last = min(len(self.after), self.most - self._fresh)
        stages = (stage for stage in STAGES if stage <= last)
        return next((stage for stage in stages if self.p_value(0, stage) <= bound), 0)

    def _look_ahead(self, bound: float, most: int) -> State:
        """`suspect` where as many repeats like these would be called, else `clear`."""
        dropped = self.tests_scores and self._drop_counts(self.mean_after) and self.drop > self.size
        if not dropped and not self.deviates and not self.rates.at(most).collapsed:
            return "clear"
        times = -(-most // len(self.after))
        ahead = replace(self, after=(list(self.after) * times)[:most])
        return "suspect" if ahead.p_value() <= bound else "clear"

    @property
    def _fresh(self) -> int:
        return min(FRESH, self.most // 2)

    def wants(self, budget: CaseBudget) -> int:
        """New repeats that would take it further; 0 where none would."""
        state, done = self.state(budget), len(self.after)
        if state == "called":
            return self.made_for(CONFIRMED if self.fact else self._find_call(budget.bound) + self._fresh)
        if state == "suspect" or (self.seems_dead and not self.fact and done < min(_DEAD, self.most)):
            return self.made_for(next((stage for stage in STAGES if stage > done), self.most))
        return 0

    def made_for(self, repeats: int) -> int:
        """The repeats to be made for so many independent ones."""
        return count_repeats_worth(min(repeats, self.most), self.day_share, self.auto)


def read_case(base: CaseResult, new: CaseResult, chance: Chance) -> Iterable[Reading]:
    """
    The checks of a case that both sides have scores for, with the same signatures.

    These are the checks of its golden file; for a metric that was scored and not checked, the metric's own
    bound. Seconds, dollars and tokens are left out.
    """
    before, after = values_by_metric(base), values_by_metric(new)
    for check in checks_of(new, chance.scales):
        metric = check.metric
        if metric in before and metric in after and signatures(metric, new) == signatures(metric, base):
            yield read_check(base, new, check, chance)


def read_check(
    base: CaseResult, new: CaseResult, check: Check, chance: Chance, moved: Movement | None = None
) -> Reading:
    """One check of a case that both sides have scores for."""
    share = chance.day_shares.get(check.metric, 0.0)
    before, _ = thin_base(values_by_metric(base)[check.metric], base.runs, share)
    after = thin_run(values_by_metric(new)[check.metric], share)
    scale = chance.scales[check.metric] or Scale(higher_is_better=is_minimum(check), bounded=False)
    return Reading(
        case=new.case,
        check=check,
        scale=scale,
        before=before,
        after=after,
        fact=scale.bounded and not chance.may_explain(base, new),
        most=count_independent(new.auto, share),
        auto=new.auto,
        day_share=share,
        moved=moved,
        alike=chance.alike,
        days=max(1, len(base.runs)),
        group=new.group,
        by_rate=(
            not scale.bounded
            or is_judged_by_rate(check, scale.range[1])
            or (is_about_passing(check) and {*before, *after} <= {0.0, 1.0})
        ),
    )


def read_pairs(pairs: Pairs, chance: Chance | None = None) -> dict[str, list[Reading]]:
    """
    Case to its readings, each with the movement of all of them.

    Args:
        chance: Of the whole baseline; by default of these pairs.
    """
    chance = chance or Chance([base for base, _ in pairs.shared])
    readings = {new.case: list(read_case(base, new, chance)) for base, new in pairs.shared}
    moved = find_movement(readings)
    for of_case in readings.values():
        for reading in of_case:
            reading.moved = moved
    return readings


def find_movement(readings: Mapping[str, Iterable[Reading]]) -> Movement:
    """The movement of the cases of a run."""
    return estimate_movement(
        (reading.check.metric, reading.rates)
        for of_case in readings.values()
        for reading in of_case
        if reading.by_rate and not reading.fact
    )


def case_budget(readings: Mapping[str, Sequence[Reading]], level: float = 0.95) -> CaseBudget:
    """The budget of a comparison that has no other readings than these."""
    return CaseBudget(tests=sum(map(len, readings.values())), level=level)


def checks_of(result: CaseResult, scales: Scales) -> list[Check]:
    """The checks of bounded metrics and of leaks, by a case's golden file or the metric's own bound."""
    written = [check for check in result.checks if not check.record_only and scales.is_bounded(check.metric)]
    named = {check.metric for check in result.checks}
    scored = dict.fromkeys(score.metric for score in result.scores if score.metric not in named)
    own = [
        Check(metric=metric, comparison=scale.bound.comparison, threshold=scale.bound.threshold)
        for metric in scored
        if (scale := scales[metric]) is not None and scale.bound is not None
        if scale.bounded or not find_traits(metric).excusable
    ]
    return [*written, *own]

"""
The case channel's test: do the repeats of one case hold a check less often than they did?

The unit is the repeat. What counts is whether it holds the check, not by how much: that is for `score_drops`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import fmean
from types import MappingProxyType

from pytest_llmops.statistics.intervals import upper_bound
from pytest_llmops.statistics.p_values import binomial_p_value, fisher_p_value, poisson_binomial_p_value
from pytest_llmops.statistics.summaries import sample_variance

_HELD_MOSTLY = 0.5
_HOLDS_SELDOM = 0.2

DEVIATES = 0.05
"""Share of the answers that an app which counts as steady may have otherwise now and then."""

_RARELY = 0.05


Prior = tuple[float, float]
"""A beta distribution of pass rates, by its two counts; none where both are 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRates:
    """How many of a case's repeats hold a check, in the baseline and now."""

    held_before: int
    repeats_before: int
    held: int
    repeats: int

    @property
    def collapsed(self) -> bool:
        """Held by half of the repeats at least, and now by one in five at most."""
        return (
            self.held_before >= _HELD_MOSTLY * self.repeats_before
            and self.held <= _HOLDS_SELDOM * self.repeats
        )

    @property
    def varies(self) -> bool:
        """Whether the repeats of either side disagree with each other."""
        return 0 < self.held_before < self.repeats_before or 0 < self.held < self.repeats

    @property
    def p_value(self) -> float:
        """How often chance alone leaves as few new repeats that hold; one-sided, in (0, 1]."""
        return fisher_p_value(self.held_before, self.repeats_before, self.held, self.repeats)

    def at(self, repeats: int) -> PassRates:
        """The rates with so many new repeats, should they go on to hold as often as until now."""
        return PassRates(
            held_before=self.held_before,
            repeats_before=self.repeats_before,
            held=self.held * repeats // max(self.repeats, 1),
            repeats=repeats,
        )


@lru_cache(maxsize=65_536)
def deviation_p_value(rates: PassRates, alike: int) -> float:
    """
    How often an app that hardly ever deviates misses as many of its new repeats; one-sided, in (0, 1].

    The rate at which it deviates is taken to be `DEVIATES` or, if that is more, the largest with which one
    baseline in twenty shows no deviation.

    Args:
        rates: Of a case that held its check in each repeat of the baseline.
        alike: Repeats of the whole baseline, none of which deviated.

    """
    rate = max(DEVIATES, upper_bound(0, alike, 1 - _RARELY))
    return binomial_p_value(rates.held, rates.repeats, 1 - rate)


def outlier_p_value(rates: PassRates, moved: float, prior: Prior) -> float:
    """
    How often a case drops as far by chance and by what moves other cases; one-sided, in (0, 1].

    Args:
        moved: The variance between true rates of both runs, above 0.
        prior: Where the baseline's rates of other cases lie.
    """
    good, bad = prior
    repeats = rates.repeats_before + good + bad
    before = (rates.held_before + good) / repeats
    after = (rates.held + 1) / (rates.repeats + 2)  # keeps a rate from 0 and 1 (Agresti and Coull 1998)
    drop = before - rates.held / rates.repeats
    variance = before * (1 - before) / (repeats + 1) + after * (1 - after) / rates.repeats + moved
    return math.erfc(drop / math.sqrt(2 * variance)) / 2  # a normal tail of any length


EACH = 0.02
"""What a case's own p-value must not exceed to count."""


def count_p_value(rates: Sequence[PassRates]) -> float:
    """
    How often chance alone lets as many cases collapse as `has_collapsed` counts; in (0, 1].

    Given how often a case holds its check on both sides together, the chance that it counts is exact
    (hypergeometric), and cases are independent, so their number is Poisson-binomial.

    Source: Fisher (1935), The logic of inductive inference, JRSS 98, for the conditioning.
    """
    counted = sum(map(has_collapsed, rates))
    if not counted:
        return 1.0
    return poisson_binomial_p_value(map(_chance_to_count, rates), counted)


def has_collapsed(rates: PassRates) -> bool:
    """Whether a case counts: it held its check mostly, holds it seldom now, and chance seldom does that."""
    return rates.collapsed and rates.p_value <= EACH


def _chance_to_count(rates: PassRates) -> float:
    """The chance of `has_collapsed` over all ways to divide what held between the two sides."""
    held = rates.held_before + rates.held
    total = 0.0
    for new in range(max(0, held - rates.repeats_before), min(held, rates.repeats) + 1):
        divided = PassRates(
            held_before=held - new,
            repeats_before=rates.repeats_before,
            held=new,
            repeats=rates.repeats,
        )
        if not has_collapsed(divided):
            break  # more of the new ones hold, so that none of the further divisions counts
        total = fisher_p_value(held - new, rates.repeats_before, new, rates.repeats)
    return total


_FEWEST = 8  # cases of a metric from which a prior is estimated
_LEAST = 0.012
"""Variance of the true rates that every edit is taken to have, for few cases say little: 11 points."""
_STRONGEST = 10.0  # repeats that a prior counts for, at most
_BROKEN = 0.001  # the p-value of a case that is left out, since it is what is looked for
_NOWHERE: Mapping[str, Prior] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """
    What the other cases say of one.

    Attributes:
        variance: Of the true pass rates between both runs, over cases.
        priors: Metric to where the baseline's pass rates lie, so that a lucky record counts for less.
    """

    variance: float = _LEAST
    priors: Mapping[str, Prior] = field(default_factory=lambda: _NOWHERE)


def estimate_movement(rates: Iterable[tuple[str, PassRates]]) -> Movement:
    """
    Args:
        rates: The metric and the pass rates of each check of each case that varies.

    Source: method of moments, for the variance as in DerSimonian and Laird (1986), Meta-analysis in clinical
    trials, Controlled Clinical Trials 7; for the priors as in Casella (1985), An introduction to empirical
    Bayes data analysis, The American Statistician 39.
    """
    by_metric: dict[str, list[PassRates]] = {}
    for metric, each in rates:
        by_metric.setdefault(metric, []).append(each)
    excess = [value for of_metric in by_metric.values() for value in _excess(of_metric)]
    variance = fmean(excess) if excess else 0.0
    priors = {metric: _prior(of_metric) for metric, of_metric in by_metric.items()}
    return Movement(variance=max(variance, _LEAST), priors=priors)


def _excess(rates: Sequence[PassRates]) -> list[float]:
    """Of each case the square of what it moved against the others, less what repeats explain of it."""
    kept = [each for each in rates if each.p_value > _BROKEN]
    moves = [each.held / each.repeats - each.held_before / each.repeats_before for each in kept]
    shared = fmean(moves) if moves else 0.0
    return [(move - shared) ** 2 - _sampling(each) for move, each in zip(moves, kept, strict=True)]


def _sampling(rates: PassRates) -> float:
    pooled = (rates.held_before + rates.held) / (rates.repeats_before + rates.repeats)
    before, after = rates.held_before / rates.repeats_before, rates.held / rates.repeats
    return _variance(before, rates.repeats_before, pooled) + _variance(after, rates.repeats, pooled)


def _variance(rate: float, repeats: int, pooled: float) -> float:
    """Of a rate of so many repeats, without bias; one repeat says nothing of it, but both sides together."""
    return rate * (1 - rate) / (repeats - 1) if repeats > 1 else pooled * (1 - pooled)


def _prior(rates: Sequence[PassRates]) -> Prior:
    """A beta distribution with the mean and the variance of the baseline's true rates."""
    if len(rates) < _FEWEST:
        return (0.0, 0.0)
    before = [each.held_before / each.repeats_before for each in rates]
    mean = fmean(before)
    spread = sample_variance(before) or 0.0
    sampling = [_variance(rate, each.repeats_before, mean) for rate, each in zip(before, rates, strict=True)]
    between = spread - fmean(sampling)
    strength = mean * (1 - mean) / between - 1 if between > 0 else _STRONGEST
    strength = min(max(strength, 0.0), _STRONGEST)
    return (mean * strength, (1 - mean) * strength)

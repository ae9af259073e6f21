"""
Pass rates of single cases in two runs, the unit of which is the repeat: tests of one case, of how many
collapsed, and the movement of all.

A rewritten prompt answers some questions better and some worse. A case that dropped as far as others improved
is no regression; whether all got worse together is the suite channel's question.
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

DEVIATES = 0.05
"""Share of the answers that an app which counts as steady may have otherwise now and then."""

EACH = 0.02
"""The largest p-value of a case that counts as collapsed."""

_RARELY = 0.05
_HELD_MOSTLY = 0.5
_HOLDS_SELDOM = 0.2
_FEWEST = 8  # cases of a metric from which a prior is estimated
_LEAST = 0.012  # variance of the true rates that every edit is taken to have, for few cases: 11 points
_STRONGEST = 10.0  # repeats that a prior counts for, at most
_BROKEN = 0.001  # the p-value of a case that is left out, since it is to be found

Prior = tuple[float, float]
"""A beta distribution of pass rates, by its two counts; none where both are 0."""

_NO_PRIORS: Mapping[str, Prior] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRates:
    """The number of a case's repeats that hold a check, in the baseline and now."""

    held_before: int
    repeats_before: int
    held: int
    repeats: int

    @property
    def before(self) -> float:
        return self.held_before / self.repeats_before

    @property
    def now(self) -> float:
        return self.held / self.repeats

    @property
    def collapsed(self) -> bool:
        """Held by half of the repeats at least, and now by one in five at most."""
        return (
            self.held_before >= _HELD_MOSTLY * self.repeats_before
            and self.held <= _HOLDS_SELDOM * self.repeats
        )

    @property
    def varies(self) -> bool:
        """True if the repeats of either side disagree with each other."""
        return 0 < self.held_before < self.repeats_before or 0 < self.held < self.repeats

    @property
    def p_value(self) -> float:
        """Of "holds less often"; one-sided, in (0, 1]."""
        return fisher_p_value(self.held_before, self.repeats_before, self.held, self.repeats)

    def at(self, repeats: int) -> PassRates:
        """The rates with so many new repeats, should they go on to hold as often as until now."""
        return PassRates(
            held_before=self.held_before,
            repeats_before=self.repeats_before,
            held=self.held * repeats // max(self.repeats, 1),
            repeats=repeats,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """
    The movement of all cases between both runs, up and down, which a broken case drops beyond.

    Attributes:
        variance: Of the true pass rates between both runs, over cases.
        priors: Metric to the distribution of the baseline's pass rates, so that a lucky record counts less.
    """

    variance: float = _LEAST
    priors: Mapping[str, Prior] = field(default_factory=lambda: _NO_PRIORS)


def estimate_movement(rates: Iterable[tuple[str, PassRates]]) -> Movement:
    """
    Args:
        rates: The metric and the pass rates of each check of each case that varies.

    Source: method of moments, for the variance as in DerSimonian and Laird (1986), Meta-analysis in clinical
    trials, Controlled Clinical Trials 7; for the priors as in Casella (1985), An introduction to empirical
    Bayes data analysis, The American Statistician 39.
    """
    by_metric: dict[str, list[PassRates]] = {}
    for metric, of_case in rates:
        by_metric.setdefault(metric, []).append(of_case)
    excess = [value for of_metric in by_metric.values() for value in _excess(of_metric)]
    variance = fmean(excess) if excess else 0.0
    priors = {metric: _prior(of_metric) for metric, of_metric in by_metric.items()}
    return Movement(variance=max(variance, _LEAST), priors=priors)


def _excess(rates: Sequence[PassRates]) -> list[float]:
    """The squared move of each case against the others, less the part that its repeats explain."""
    kept = [of_case for of_case in rates if of_case.p_value > _BROKEN]
    moves = [of_case.now - of_case.before for of_case in kept]
    shared = fmean(moves) if moves else 0.0
    excess = []
    for move, of_case in zip(moves, kept, strict=True):
        pooled = (of_case.held_before + of_case.held) / (of_case.repeats_before + of_case.repeats)
        sampling = _variance(of_case.before, of_case.repeats_before, pooled)
        sampling += _variance(of_case.now, of_case.repeats, pooled)
        excess.append((move - shared) ** 2 - sampling)
    return excess


def _variance(rate: float, repeats: int, pooled: float) -> float:
    """The unbiased variance of a rate; of a single repeat, that of the pooled rate."""
    return rate * (1 - rate) / (repeats - 1) if repeats > 1 else pooled * (1 - pooled)


def _prior(rates: Sequence[PassRates]) -> Prior:
    """A beta distribution with the mean and the variance of the baseline's true rates."""
    if len(rates) < _FEWEST:
        return (0.0, 0.0)
    before = [of_case.before for of_case in rates]
    mean = fmean(before)
    spread = sample_variance(before) or 0.0
    between = spread - fmean(_variance(of_case.before, of_case.repeats_before, mean) for of_case in rates)
    strength = mean * (1 - mean) / between - 1 if between > 0 else _STRONGEST
    strength = min(max(strength, 0.0), _STRONGEST)
    return (mean * strength, (1 - mean) * strength)


@lru_cache(maxsize=65_536)
def deviation_p_value(rates: PassRates, alike: int) -> float:
    """
    The p-value of a case that misses more of its new repeats than a steady app deviates; in (0, 1].

    The rate at which the app deviates is taken to be `DEVIATES` or, if that is more, the largest with which
    one baseline in twenty shows no deviation.

    Args:
        rates: Of a case that held its check in each repeat of the baseline.
        alike: Repeats of the whole baseline, none of which deviated.
    """
    rate = max(DEVIATES, upper_bound(0, alike, 1 - _RARELY))
    return binomial_p_value(rates.held, rates.repeats, 1 - rate)


def outlier_p_value(rates: PassRates, moved: float, prior: Prior) -> float:
    """
    The p-value of a case that drops farther than chance and the movement of other cases explain; in (0, 1].

    Args:
        moved: The variance between true rates of both runs, above 0.
        prior: The distribution of the baseline's rates over the cases.
    """
    good, bad = prior
    repeats = rates.repeats_before + good + bad
    before = (rates.held_before + good) / repeats
    after = (rates.held + 1) / (rates.repeats + 2)  # keeps a rate from 0 and 1 (Agresti and Coull 1998)
    drop = before - rates.held / rates.repeats
    variance = before * (1 - before) / (repeats + 1) + after * (1 - after) / rates.repeats + moved
    return math.erfc(drop / math.sqrt(2 * variance)) / 2  # a normal tail of any length


def count_p_value(rates: Sequence[PassRates]) -> float:
    """
    The p-value of the number of cases that collapse by `has_collapsed`; in (0, 1].

    It finds a check that broke in several cases, each with too few repeats to prove it. Given the repeats of
    both sides that hold, the chance of a case to count is exact (hypergeometric), and cases are independent,
    so their number is Poisson-binomial.

    Source: Fisher (1935), The logic of inductive inference, JRSS 98, for the conditioning.
    """
    counted = sum(map(has_collapsed, rates))
    if not counted:
        return 1.0
    return poisson_binomial_p_value(map(_chance_to_collapse, rates), counted)


def has_collapsed(rates: PassRates) -> bool:
    """True if a case held its check mostly, holds it seldom now, and chance seldom does that."""
    return rates.collapsed and rates.p_value <= EACH


def _chance_to_collapse(rates: PassRates) -> float:
    """The chance of `has_collapsed` over all ways to divide the held repeats between the two sides."""
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

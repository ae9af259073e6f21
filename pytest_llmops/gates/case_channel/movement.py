"""
How far an edit moves single cases, up and down: what a case must drop beyond to have broken.

A rewritten prompt answers some questions better and some worse. A case that dropped as far as others improved
is no regression of its own; whether all got worse together is the suite's question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from types import MappingProxyType

from pytest_llmops.gates.case_channel.pass_rates import PassRates, Prior
from pytest_llmops.statistics.summaries import sample_variance

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

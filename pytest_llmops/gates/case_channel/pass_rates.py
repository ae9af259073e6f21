"""
The case channel's test: do the repeats of one case hold a check less often than they did?

The unit is the repeat. What counts is whether it holds the check, not by how much: that is for `score_drops`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from pytest_llmops.statistics.intervals import upper_bound
from pytest_llmops.statistics.significance.exact_tests import binomial_p_value, fisher_p_value

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

"""How many cases collapsed: one test for a check that broke in several cases, each too little to prove it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.gates.case_channel.pass_rates import PassRates
from pytest_llmops.statistics.significance.exact_tests import fisher_p_value, poisson_binomial_p_value

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

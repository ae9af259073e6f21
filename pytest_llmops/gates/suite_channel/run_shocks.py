"""
Variance between runs: a server, a day or a model behind an alias moves all answers of a run together.

Repeats of one run share its shock, so that no number of them shows it; runs of several days do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import NormalDist, fmean, variance

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

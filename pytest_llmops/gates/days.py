"""
Days as a level of chance: repeats of one run are more alike than repeats of several.

A day, a server or a cache moves all repeats of a case in one run together, so ten of them are not ten
independent answers. A baseline that was merged from three runs or more shows how much they share; the repeats
of each run then count as fewer, the fewer the more they share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from statistics import fmean

from pytest_llmops.gates.case_results import values_by_metric
from pytest_llmops.records import CaseResult

FEWEST_RUNS = 3
"""Runs in a baseline from which on the variance between them is estimated."""

_SURE = 0.01  # the largest p-value of a variance between runs that is believed


def find_day_shares(results: Iterable[CaseResult]) -> dict[str, float]:
    """
    Metric to the share of a case's variance that all repeats of one run have in common, in (0, 1].

    Only metrics are listed whose cases vary more between runs than within them, beyond chance. One that does
    not vary at all shows nothing of that, and has the largest share of the others: it is the same app.

    Source: intraclass correlation of a one-way random effects model, pooled over cases, and its F-test;
    Searle, Casella and McCulloch (1992), Variance Components, ch. 3.
    """
    tables: dict[str, list[list[Sequence[float]]]] = {}
    for result in results:
        if len(result.runs) < FEWEST_RUNS:
            continue
        for metric, values in values_by_metric(result).items():
            if len(values) == sum(result.runs):
                tables.setdefault(metric, []).append(_split(values, result.runs))
    shares = {metric: _find_share(cases) for metric, cases in tables.items()}
    largest = max((share for share in shares.values() if share is not None), default=0.0)
    known = {metric: largest if share is None else share for metric, share in shares.items()}
    return {metric: share for metric, share in known.items() if share > 0}


def _split(values: Sequence[float], runs: Sequence[int]) -> list[Sequence[float]]:
    return [values[start:stop] for start, stop in pairwise(accumulate(runs, initial=0))]


def _find_share(cases: Sequence[Sequence[Sequence[float]]]) -> float | None:
    """The share of one metric, 0 where it may be chance; None where no score differs from another."""
    from scipy.special import fdtrc

    between, within, runs, spare, repeats = 0.0, 0.0, 0, 0, 0
    for parts in cases:
        center = fmean([value for part in parts for value in part])
        means = [fmean(part) for part in parts]
        between += math.fsum(
            len(part) * (mean - center) ** 2 for part, mean in zip(parts, means, strict=True)
        )
        within += math.fsum(
            (value - mean) ** 2 for part, mean in zip(parts, means, strict=True) for value in part
        )
        runs += len(parts)
        repeats += sum(map(len, parts))
        spare += sum(len(part) - 1 for part in parts)
    freedom = runs - len(cases)
    if not between and not within:
        return None
    if not spare:
        return 0.0
    of_run, of_repeat = between / freedom, within / spare
    if of_repeat and fdtrc(freedom, spare, of_run / of_repeat) > _SURE:
        return 0.0
    size = repeats / runs
    return max(0.0, (of_run - of_repeat) / (of_run + (size - 1) * of_repeat))


def count_independent(repeats: int, share: float) -> int:
    """
    The number of independent repeats that those of one run are worth, 1 at least where there are any.

    Source: the design effect of a cluster sample, Kish (1965), Survey Sampling, section 5.4.
    """
    if not share or repeats < 2:  # noqa: PLR2004 - one is one
        return repeats
    return max(1, round(repeats / (1 + (repeats - 1) * share)))


def count_repeats_worth(independent: int, share: float, most: int) -> int:
    """The repeats of one run, `most` at most, that are worth so many independent ones, or come nearest."""
    enough = (
        number for number in range(independent, most) if count_independent(number, share) >= independent
    )
    return next(enough, most)


def thin_base(
    values: Sequence[float], runs: Sequence[int], share: float
) -> tuple[Sequence[float], Sequence[int]]:
    """The scores of a merged baseline, as many of each run as are independent, and their number by run."""
    if not share or sum(runs) != len(values):
        return values, runs
    parts = [part[: count_independent(len(part), share)] for part in _split(values, runs)]
    return tuple(value for part in parts for value in part), tuple(map(len, parts))


def thin_run(values: Sequence[float], share: float) -> Sequence[float]:
    """The scores of one run, as many as are independent."""
    return values[: count_independent(len(values), share)]

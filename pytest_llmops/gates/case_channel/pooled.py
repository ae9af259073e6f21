"""
The evidence of one check pooled over cases: did several break, each with too few repeats to prove it?

Three cases in thirty that become a flip of a coin change the mean by less than most suites tolerate, and none
of them by itself beyond doubt. Together they are more than chance and the movement of an edit explain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import NormalDist, fmean, median

from pytest_llmops.bounds import describe_check
from pytest_llmops.gates.case_channel.pass_rates import Prior
from pytest_llmops.gates.case_channel.reading import STAGES, Reading, State
from pytest_llmops.gates.error_budget import COUNT_SHARE, SUITE_SHARE, CaseBudget
from pytest_llmops.golden.identity import file_of
from pytest_llmops.statistics.codes import Floats
from pytest_llmops.statistics.multiplicity import few_smallest_p_value
from pytest_llmops.statistics.summaries import mean, sample_variance

TESTED = (4, 8, 16, 24)
"""New repeats at which the pooled evidence is tested, where repeats may be made."""

MOVED = 0.15**2
"""
Variance that the rates of single cases are taken to have from an edit without effect: sd 15 points.

It is also that of scores, as a share of their range.
"""

SCREEN = 0.5
"""The p-value, over the checks of a file, at which cases stand out, to be run on by themselves."""

SUSPECT = 0.2
"""The p-value of one case, over the checks of a file and against chance alone, at which it is run again."""

STANDS_OUT = 0.05
"""The p-value of one case that would add to the evidence."""

FRESH = (8, 16)
"""Repeats of these cases that decide; after the first of them, those that do not drop are left."""

_PROMISING = 0.5  # standard errors of a drop in the first fresh repeats
_LENIENT = 2  # times the channel's share, of which fresh repeats confirm one in twenty in an unchanged app
_CONFIRMS = 1.645  # and in all of them: 5 % by chance
_JEFFREYS = 0.5
_TO_SD = 1.4826  # of a median absolute deviation of normal values
_FEWEST_SUSPECTS = 2
_FEWEST = 8  # moves from which their variance is estimated
_NORMAL = NormalDist()


@dataclass(kw_only=True, eq=False)
class Pool:
    """
    The readings of one check in one golden file.

    Attributes:
        moved: The variance of the moves of single cases, as a share of the range, squared.
        checks: The number of pools in this file.
        tests: Equal parts that the error budget is cut into, one for each pool of the run.
        budget: Of the single cases, which are tested by themselves before.
    """

    readings: Sequence[Reading]
    moved: float
    checks: int
    tests: float
    budget: CaseBudget

    @cached_property
    def units(self) -> list[list[Reading]]:
        """The readings by group: paraphrases of one question move together."""
        grouped: dict[str, list[Reading]] = {}
        for reading in self.readings:
            grouped.setdefault(reading.group or f"::{reading.case}", []).append(reading)
        return list(grouped.values())

    @cached_property
    def found(self) -> _Found:
        """The first look at which the cases that dropped stand out, and what fresh repeats make of it."""
        most = max(len(reading.after) for reading in self.readings)
        for look in (look for look in TESTED if look <= most):
            p_value, named = self._test(look)
            if p_value * self.checks <= SCREEN:
                return self._confirm(look, named)
        return _Found(state="clear", p_value=1.0, p_adjusted=1.0)

    def _confirm(self, look: int, named: tuple[Reading, ...]) -> _Found:
        """
        What fresh repeats of the cases that stood out make of it: they have to drop in these as well, and
        then all cases and repeats are tested. The first of them end it where they do not drop.
        """
        for fresh in FRESH:
            done = look + fresh
            if any(len(reading.after) < min(done, reading.most) for reading in named):
                return _Found(state="called", p_value=1.0, p_adjusted=1.0, named=named, look=done)
            tested = [reading for reading in named if len(reading.after) > look]
            tails = [self._p_value([reading], look, done) for reading in tested]
            together = -sum(map(_quantile, tails)) / math.sqrt(len(tails)) if tails else 0.0
            if together < _PROMISING:
                break
        p_value, named = self._test(None)
        adjusted = min(1.0, p_value * self.tests)
        confirmed = together >= _CONFIRMS and adjusted <= 1 - self.budget.level
        return _Found(
            state="regressed" if confirmed else "refuted",
            p_value=p_value,
            p_adjusted=adjusted,
            named=named,
            look=look,
        )

    @cached_property
    def shared(self) -> float:
        """The drop of most cases, as a share of the range, beyond which one counts: the suite tests that."""
        return max(0.0, median([_drop_of(reading, reading.after)[0] for reading in self.readings]))

    def wants(self) -> dict[str, int]:
        """Case to the new repeats that would take it further."""
        if any(reading.state(self.budget) == "regressed" for reading in self.readings):
            return {}  # the check is red already
        found = self.found
        if found.state == "called":
            return {reading.case: reading.made_for(found.look or 0) for reading in found.named}
        if found.state != "clear":
            return {}
        suspects = [reading for reading in self.readings if self._is_suspect(reading)]
        if len(suspects) < _FEWEST_SUSPECTS:  # one by itself is the single case's test
            return {}
        return {
            reading.case: reading.made_for(next(stage for stage in STAGES if stage > len(reading.after)))
            for reading in suspects
            if len(reading.after) < min(TESTED[-1], reading.most - FRESH[-1])
        }

    def _is_suspect(self, reading: Reading) -> bool:
        """True if chance alone hardly explains a case's drop and, in time, an edit does not either."""
        if reading.fact or reading.drop <= 0 or reading.state(self.budget) != "clear":
            return False
        if self._p_value([reading], 0, None, moved=0.0) * self.checks > SUSPECT:
            return False
        few = len(reading.after) < TESTED[1]
        return few or self._p_value([reading], 0, TESTED[-1], ahead=True) <= STANDS_OUT

    def _test(self, look: int | None, *, ahead: bool = False) -> tuple[float, tuple[Reading, ...]]:
        """
        The p-value of the cases that dropped the farthest, and these.

        Args:
            ahead: With so many repeats of each, should they go on as until now.
        """
        tails = [self._p_value(unit, 0, look, ahead=ahead) for unit in self.units]
        p_value, count = few_smallest_p_value(tails)
        order = sorted(range(len(tails)), key=tails.__getitem__)[:count]
        named = (reading for place in order for reading in self.units[place] if reading.drop > 0)
        return p_value, tuple(reading for reading in named if not reading.fact)

    def _p_value(
        self,
        unit: Sequence[Reading],
        start: int,
        stop: int | None,
        *,
        ahead: bool = False,
        moved: float | None = None,
    ) -> float:
        """The p-value of a group's drop, against chance and the movement of an edit."""
        moved = self.moved if moved is None else moved
        if all(reading.fact or reading.drop <= 0 for reading in unit):
            return 1.0
        after = [_repeats(reading, start, stop, ahead=ahead) for reading in unit]
        if len(unit) == 1 and unit[0].is_pass_or_miss:
            return self._rate_p_value(unit[0], after[0], moved)
        drops, errors = [], []
        for reading, values in zip(unit, after, strict=True):
            drop, error = _drop_of(reading, values)
            drops.append(drop)
            errors.append(error)
        spread = fmean(errors) / len(unit) + moved
        tail = _NORMAL.cdf((self.shared - fmean(drops)) / math.sqrt(spread)) if spread else 0.0
        exchanges = math.prod(
            math.comb(len(reading.before) + len(values), len(values))
            for reading, values in zip(unit, after, strict=True)
        )
        return max(tail, 1 / exchanges, 1e-300)

    def _rate_p_value(self, reading: Reading, after: Sequence[float], moved: float) -> float:
        rates = reading.rates
        held = reading.count_held(after)
        prior = reading.moved.priors.get(reading.check.metric, (0.0, 0.0)) if reading.moved else (0.0, 0.0)
        return predicted_p_value(
            rates.held_before, rates.repeats_before, held, len(after), moved, prior, self.shared
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """
    What the pooled evidence comes to.

    Attributes:
        named: The readings that it rests on.
        look: New repeats at which they stood out or, where it is called, that are wanted.
    """

    state: State
    p_value: float
    p_adjusted: float
    named: tuple[Reading, ...] = ()
    look: int | None = None


def pool_readings(
    readings: Mapping[str, Sequence[Reading]], *, budget: CaseBudget, share: float = SUITE_SHARE
) -> list[Pool]:
    """
    A pool for each check of each golden file.

    Args:
        budget: Of the single cases, which are tested by themselves before.
        share: Of the budget, that the suite of each file has; a file's pools have their share in proportion.
    """
    by_check: dict[tuple[str, str, str], list[Reading]] = {}
    by_file: dict[str, int] = {}
    for reading in (reading for of_case in readings.values() for reading in of_case):
        if reading.most and reading.scale.bounded and (reading.by_rate or reading.tests_scores):
            path = file_of(reading.case) if "::" in reading.case else ""
            key = (path, reading.check.metric, describe_check(reading.check))
            by_check.setdefault(key, []).append(reading)
    for path, *_ in by_check:
        by_file[path] = by_file.get(path, 0) + 1
    moved = _estimate_moves(by_check.values())
    pools = []
    for (path, *_), of_check in by_check.items():
        tests = by_file[path] / (_LENIENT * COUNT_SHARE * share / SUITE_SHARE)
        pools.append(Pool(readings=of_check, moved=moved, checks=by_file[path], tests=tests, budget=budget))
    return pools


def _estimate_moves(checks: Iterable[Sequence[Reading]]) -> float:
    """
    The variance of the moves of all cases; `MOVED` at least.

    The smaller of two estimates: the mean square, and one by the median, which cases that broke do not
    reach.

    Source: method of moments, DerSimonian and Laird (1986), Controlled Clinical Trials 7; median absolute
    deviation, Rousseeuw and Croux (1993), JASA 88.
    """
    residuals, errors = [], []
    for of_check in checks:
        moved = [_drop_of(reading, reading.after) for reading in of_check if not reading.fact]
        if not moved:
            continue
        center = median([drop for drop, _ in moved])
        residuals += [drop - center for drop, _ in moved]
        errors += [error for _, error in moved]
    if len(residuals) < _FEWEST:
        return MOVED
    explained = fmean(errors)
    squares = fmean(residual**2 for residual in residuals) - explained
    typical = (_TO_SD * median(map(abs, residuals))) ** 2 - explained
    return max(MOVED, min(squares, typical))


def _quantile(tail: float) -> float:
    return _NORMAL.inv_cdf(min(1 - 1e-12, max(1e-300, tail)))


def _repeats(reading: Reading, start: int, stop: int | None, *, ahead: bool) -> Sequence[float]:
    """New scores from `start` to `stop`, or all where there are fewer."""
    after = reading.after
    if ahead and stop is not None and len(after) < stop:
        return (list(after) * -(-stop // len(after)))[:stop]
    return after[start:stop] or after


def _drop_of(reading: Reading, after: Sequence[float]) -> tuple[float, float]:
    """The drop of a case's mean and the variance that repeats give it, as shares of the range."""
    low, high = reading.scale.range
    before = reading.before
    drop = reading.scale.sign * (mean(before) - mean(after)) / (high - low)
    sides = [side for side in (before, after) if len(side) > 1]
    spare = sum(len(side) - 1 for side in sides)
    squares = sum((sample_variance(side) or 0.0) * (len(side) - 1) for side in sides)
    within = squares / spare / (high - low) ** 2 if spare else 0.0
    return drop, within * (1 / len(before) + 1 / len(after))


@lru_cache(maxsize=65_536)
def predicted_p_value(  # noqa: PLR0913, PLR0917 - counts of both sides, and what is known of others
    held_before: int,
    repeats_before: int,
    held: int,
    repeats: int,
    moved: float,
    prior: Prior,
    shared: float = 0.0,
) -> float:
    """
    The chance that so few of the new repeats hold or fewer, in (0, 1]: the true rate is what the baseline and
    other cases make probable, moved up or down by an edit, and is kept within 0 and 1.

    Args:
        moved: The variance of the moves.
        prior: The distribution of the baseline's rates over the cases, by two counts.
        shared: The drop that most cases have.

    Source: predictive p-values, Box (1980), Sampling and Bayes' inference, JRSS A 143; a normal mixture by
    Gauss-Hermite quadrature, Abramowitz and Stegun (1964), 25.4.46.
    """
    import numpy as np
    from scipy.special import bdtr

    good, bad = (count + _JEFFREYS for count in prior)
    total = repeats_before + good + bad
    center = (held_before + good) / total
    spread = math.sqrt(center * (1 - center) / (total + 1) + moved)
    center -= shared
    nodes, weights = _normal_nodes()
    rates = np.clip(center + spread * nodes, 0.0, 1.0)
    chances = bdtr(held, repeats, rates)
    return float(min(1.0, max(np.sum(weights * chances) / np.sum(weights), 1e-300)))


@lru_cache(maxsize=1)
def _normal_nodes() -> tuple[Floats, Floats]:
    """Values of a standard normal and their weights, for an expectation."""
    import numpy as np

    return np.polynomial.hermite_e.hermegauss(_NODES)


_NODES = 41

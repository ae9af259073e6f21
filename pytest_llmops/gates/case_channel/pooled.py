"""
The evidence of one check pooled over cases: did several break, each with too few repeats to prove it?

Three cases in thirty that become a flip of a coin change the mean by less than most suites tolerate, and none
of them by itself beyond doubt. Together they are more than chance and the movement of an edit explain.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from statistics import NormalDist, fmean, median

from pytest_llmops.bounds import describe_check
from pytest_llmops.gates.case_channel.pass_rates import PassRates, Prior
from pytest_llmops.gates.case_channel.reading import STAGES, Reading, State
from pytest_llmops.gates.error_budget import COUNT_SHARE, SUITE_SHARE, CaseBudget
from pytest_llmops.golden.identity import file_of
from pytest_llmops.statistics.codes import Floats
from pytest_llmops.statistics.multiplicity import few_smallest_p_value
from pytest_llmops.statistics.summaries import mean, sample_variance

TESTED = (4, 8, 16, 24)
"""New repeats at which the pooled evidence is tested, where repeats may be made."""

SPREADS = (0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3)
"""
Standard deviations of the moves of single cases by an edit without effect, as shares of a score's range.

How far an edit moved cases is not known. The cases of a run make one of these more probable than another.
Each stands for those from the last one up to itself, and 0 for chance alone.
"""

BEFOREHAND = (0.0, 0.35, 0.28, 0.22, 0.11, 0.035, 0.005)
"""The probability of each before any case was seen."""

SCREEN = 0.5
"""The p-value, over the checks of a file, at which cases stand out, to be run on by themselves."""

SUSPECT = 0.2
"""The p-value of one case, over the checks of a file and against chance alone, at which it is run again."""

STANDS_OUT = 0.05
"""The p-value of one case that would add to the evidence."""

FRESH = (8, 16)
"""Repeats of these cases that decide; after the first of them, those that do not drop are left."""

OTHERS = 16
"""New repeats of all cases, where it is open whether an edit moves those that did not break as far."""

_PROMISING = 0.5  # standard errors of a drop in the first fresh repeats
_LENIENT = 8  # times the channel's share, of which fresh repeats confirm one in twenty in an unchanged app
_CONFIRMS = 1.645  # and in all of them: 5 % by chance
_JEFFREYS = 0.5
_TO_SD = 1.4826  # of a median absolute deviation of normal values
_FEWEST_SUSPECTS = 2
_SEVERAL = 2  # repeats on each side, without which a fixed number says nothing of single cases
_MIDDLES = tuple((low + high) / 2 for low, high in pairwise(SPREADS))
_BROKE = {0.0: 0.3, 0.1: 0.5, 0.2: 0.2}  # share of cases that broke, and its probability
_BROKE_SPREAD = 0.5  # of the drops of these
_STEADY_RATE = 0.99  # of answers that hold, of a case that counts as one that never varies
_SHARES = tuple(percent / 100 for percent in range(0, 100, 5))
_MEANS = (0.05, *(percent / 100 for percent in range(10, 90, 5)), 0.9, 0.93, 0.95, 0.97, 0.98)
_STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0)
_FEWEST = 8  # cases from which a distribution of rates is estimated
_NODES = 41
_NORMAL = NormalDist()

Key = tuple[str, str, str]
"""A golden file, a metric and its check."""

Counts = tuple[int, int, int, int, Prior, float, float]
"""The arguments of `predicted_p_values`."""


@dataclass(kw_only=True, eq=False)
class Pool:
    """
    The readings of one check in one golden file.

    Attributes:
        spreads: Probability of each of `SPREADS`.
        shared: The drop of most cases, a share of the range, beyond which one counts: the suite's question.
        prior: The distribution of the baseline's rates over the cases that vary.
        steady: Case to the probability that it never varies, as far as the baseline shows.
        checks: The number of pools in this file.
        tests: Equal parts that the error budget is cut into, one for each pool of the run.
        budget: Of the single cases, which are tested by themselves before.
    """

    readings: Sequence[Reading]
    spreads: Sequence[float]
    shared: float
    prior: Prior
    steady: Mapping[str, float]
    checks: int
    tests: float
    budget: CaseBudget

    @cached_property
    def units(self) -> list[list[Reading]]:
        """The readings by group: paraphrases of one question move together."""
        return _group(self.readings)

    @cached_property
    def counts_passes(self) -> bool:
        """True if each score is a pass or a miss; a check with some between is tested by its means."""
        return all(reading.is_pass_or_miss for reading in self.readings)

    @cached_property
    def found(self) -> _Found:
        """The look at which the cases that dropped stand out, and what fresh repeats make of it."""
        if not any(reading.most for reading in self.readings):
            if min(min(len(reading.before), len(reading.after)) for reading in self.readings) < _SEVERAL:
                return _Found(state="clear", p_value=1.0, p_adjusted=1.0)
            return self._conclude(None, is_confirmed=True)
        found = _Found(state="clear", p_value=1.0, p_adjusted=1.0)
        most = max(len(reading.after) for reading in self.readings)
        for look in (look for look in TESTED if look <= most):
            p_value, named = self._test(look)
            if p_value * self.checks <= SCREEN:
                found = self._confirm(look, named)
                if found.state != "refuted":
                    break
        return found

    def _confirm(self, look: int, named: tuple[Reading, ...]) -> _Found:
        """
        What fresh repeats of the cases that stood out make of it: they have to drop in these as well, and
        then all cases and repeats are tested. The first of them end it where they do not drop.
        """
        together = 0.0
        for fresh in FRESH:
            done = look + fresh
            if any(len(reading.after) < min(done, reading.most) for reading in named):
                return _Found(state="called", p_value=1.0, p_adjusted=1.0, named=named, look=done)
            tested = [reading for reading in named if len(reading.after) > look]
            tails = [self._expect(self._tails([reading], look, done)) for reading in tested]
            together = -sum(map(_quantile, tails)) / math.sqrt(len(tails)) if tails else 0.0
            if together < _PROMISING:
                break
        return self._conclude(look, is_confirmed=together >= _CONFIRMS)

    def _conclude(self, look: int | None, *, is_confirmed: bool) -> _Found:
        """The test of all cases and repeats."""
        p_value, named = self._test(None)
        adjusted = min(1.0, p_value * self.tests)
        proven = is_confirmed and adjusted <= 1 - self.budget.level
        by_chance, _ = few_smallest_p_value([self._tails(unit, 0, None)[0] for unit in self.units])
        return _Found(
            state="regressed" if proven else "refuted",
            p_value=p_value,
            p_adjusted=adjusted,
            named=named,
            look=look,
            is_beyond_chance=is_confirmed and by_chance * self.tests <= 1 - self.budget.level,
        )

    def wants(self) -> dict[str, int]:
        """Case to the new repeats that would take it further."""
        if any(reading.state(self.budget) == "regressed" for reading in self.readings):
            return {}  # the check is red already
        found = self.found
        if found.state == "called":
            return {reading.case: reading.made_for(found.look or 0) for reading in found.named}
        if found.state == "regressed":
            return {}
        if found.is_beyond_chance:
            few = (reading for reading in self.readings if len(reading.after) < OTHERS and not reading.fact)
            return {reading.case: reading.made_for(OTHERS) for reading in few}
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
        if self._tails([reading], 0, None)[0] * self.checks > SUSPECT:
            return False
        few = len(reading.after) < TESTED[1]
        return few or self._expect(self._tails([reading], 0, TESTED[-1], ahead=True)) <= STANDS_OUT

    def _expect(self, tails: Sequence[float]) -> float:
        """The p-value of a case over all that an edit may have moved cases by."""
        return math.fsum(tail * share for tail, share in zip(tails, self.spreads, strict=True))

    def _test(self, look: int | None) -> tuple[float, tuple[Reading, ...]]:
        """The p-value of the cases that dropped the farthest, and these."""
        tails = [self._tails(unit, 0, look) for unit in self.units]
        p_value = self._expect([few_smallest_p_value(of_spread)[0] for of_spread in zip(*tails, strict=True)])
        expected = list(map(self._expect, tails))
        _, count = few_smallest_p_value(expected)
        order = sorted(range(len(tails)), key=expected.__getitem__)
        chosen = [place for at, place in enumerate(order) if at < count or expected[place] <= STANDS_OUT]
        named = (reading for place in chosen for reading in self.units[place] if reading.drop > 0)
        return p_value, tuple(reading for reading in named if not reading.fact)

    def _tails(
        self, unit: Sequence[Reading], start: int, stop: int | None, *, ahead: bool = False
    ) -> tuple[float, ...]:
        """The p-value of a group's drop, for each of `SPREADS`."""
        if all(reading.fact or reading.drop <= 0 for reading in unit):
            return (1.0,) * len(SPREADS)
        after = [_repeats(reading, start, stop, ahead=ahead) for reading in unit]
        if len(unit) == 1 and self.counts_passes:
            return predicted_p_values(*self._counts(unit[0], after[0]))
        drops, errors = zip(*map(_drop_of, unit, after), strict=True)
        exchanges = math.prod(
            math.comb(len(reading.before) + len(values), len(values))
            for reading, values in zip(unit, after, strict=True)
        )
        spreads = [fmean(errors) / len(unit) + spread**2 for spread in SPREADS]
        drop = fmean(drops) - self.shared
        tails = (_NORMAL.cdf(-drop / math.sqrt(spread)) if spread else float(drop <= 0) for spread in spreads)
        return tuple(max(tail, 1 / exchanges, 1e-300) for tail in tails)

    def _counts(self, reading: Reading, after: Sequence[float]) -> Counts:
        """What `predicted_p_values` has to know of a case."""
        rates = reading.rates
        counts = rates.held_before, rates.repeats_before, reading.count_held(after), len(after)
        return *counts, self.prior, self.steady.get(reading.case, 0.0), self.shared

    def find_chances(self, reading: Reading) -> Sequence[float]:
        """The chance, or its density, of a case's new scores, by each of the spreads and had it broken."""
        if self.counts_passes:
            return predicted_chances(*self._counts(reading, reading.after))
        drop, error = _drop_of(reading, reading.after)
        if not error:
            return (1.0,) * len(SPREADS)
        return _chances_of_mean(reading, drop - self.shared, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """
    What the pooled evidence comes to.

    Attributes:
        named: The readings that it rests on.
        look: New repeats at which they stood out or, where it is called, that are wanted.
        is_beyond_chance: Only an edit that moves cases without effect explains it, if that.
    """

    state: State
    p_value: float
    p_adjusted: float
    named: tuple[Reading, ...] = ()
    look: int | None = None
    is_beyond_chance: bool = False


def pool_readings(
    readings: Mapping[str, Sequence[Reading]], *, budget: CaseBudget, share: float = SUITE_SHARE
) -> list[Pool]:
    """
    A pool for each check of each golden file.

    Args:
        budget: Of the single cases, which are tested by themselves before.
        share: Of the budget, that the suite of each file has; a file's pools have their share in proportion.
    """
    by_check: dict[Key, list[Reading]] = {}
    by_file: dict[str, int] = {}
    for reading in (reading for of_case in readings.values() for reading in of_case):
        if reading.scale.bounded:
            path = file_of(reading.case) if "::" in reading.case else ""
            key = (path, reading.check.metric, describe_check(reading.check))
            by_check.setdefault(key, []).append(reading)
    by_check = {  # with the cases that stayed at 0, of which it is open whether they are a share or a score
        key: of_check
        for key, of_check in by_check.items()
        if any(reading.by_rate or reading.tests_scores for reading in of_check)
    }
    for path, *_ in by_check:
        by_file[path] = by_file.get(path, 0) + 1
    fits = {key: _fit(of_check) for key, of_check in by_check.items()}
    steady = _find_steady(readings, by_check, fits)
    pools = [
        Pool(
            readings=of_check,
            spreads=BEFOREHAND,
            shared=max(0.0, _find_center([_drop_of(reading, reading.after)[0] for reading in of_check])),
            prior=fits[key][1],
            steady=steady[key],
            checks=by_file[key[0]],
            tests=by_file[key[0]] / (_LENIENT * COUNT_SHARE * share / SUITE_SHARE),
            budget=budget,
        )
        for key, of_check in by_check.items()
    ]
    spreads = _weigh_spreads(pools)
    for pool in pools:
        pool.spreads = spreads
    return pools


def _find_center(drops: Sequence[float]) -> float:
    """The median of most drops, without those far above: cases that broke are not what all share."""
    center = median(drops)
    typical = _TO_SD * median([abs(drop - center) for drop in drops])
    return median([drop for drop in drops if drop <= center + 2 * typical])


def _find_steady(
    readings: Mapping[str, Sequence[Reading]],
    by_check: Mapping[Key, Sequence[Reading]],
    fits: Mapping[Key, tuple[float, Prior]],
) -> dict[Key, dict[str, float]]:
    """
    For each check, case to the probability that it never varies.

    All checks of a case speak for it: one that held each of eight checks in each of ten repeats is steady.

    Args:
        fits: Of each check, the share of its cases that never vary, and the rates of the others.
    """
    # How much less likely the scores of a case are, by all checks, of one that varies.
    likely = {
        case: 1.0 for case, of_case in readings.items() if all(reading.never_varied for reading in of_case)
    }
    for key, of_check in by_check.items():
        share, prior = fits[key]
        for reading in of_check:
            if share and reading.case in likely:
                likely[reading.case] *= _chance_of_all(reading.rates, prior)
    return {
        key: {
            reading.case: round(share / (share + (1 - share) * likely[reading.case]), 3)
            for reading in of_check
            if share and reading.case in likely
        }
        for key, of_check in by_check.items()
        for share, _ in [fits[key]]
    }


def _chance_of_all(rates: PassRates, prior: Prior) -> float:
    """The chance that a case which varies holds its check in each repeat of the baseline."""
    good, bad = prior
    return math.exp(_log_beta(good + rates.repeats_before, bad) - _log_beta(good, bad))


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)


def _fit(readings: Sequence[Reading]) -> tuple[float, Prior]:
    """The share of cases that never vary and the distribution of the rates of the others; see `fit_rates`."""
    rates = [reading.rates for reading in readings if reading.is_pass_or_miss]
    return fit_rates(tuple(sorted((of_case.held_before, of_case.repeats_before) for of_case in rates)))


@lru_cache(maxsize=1_024)
def fit_rates(counts: tuple[tuple[int, int], ...]) -> tuple[float, Prior]:
    """
    The share of cases that hold a check in nearly all repeats, and a beta distribution of the others' rates.

    Args:
        counts: Repeats of each case of the baseline that hold the check, and all.

    Source: maximum likelihood of an inflated beta-binomial distribution over a grid, as in Ospina and Ferrari
    (2010), Inflated beta distributions, Statistical Papers 51.
    """
    import numpy as np
    from scipy.special import betaln

    if len(counts) < _FEWEST:
        return 0.0, (_JEFFREYS, _JEFFREYS)
    kinds = Counter(counts)
    held, repeats = (np.array(side)[:, None, None, None] for side in zip(*kinds, strict=True))
    number = np.array(list(kinds.values()))
    share = np.array(_SHARES)[:, None, None]
    good, bad = (np.outer(part, _STRENGTHS) for part in (_MEANS, np.subtract(1, _MEANS)))
    varying = np.exp(betaln(good + held, bad + repeats - held) - betaln(good, bad))
    steady = _STEADY_RATE**held * (1 - _STEADY_RATE) ** (repeats - held)
    likelihood = np.tensordot(number, np.log(share * steady + (1 - share) * varying), 1)
    shares, means, strengths = np.unravel_index(int(likelihood.argmax()), likelihood.shape)
    prior = float(good[means, strengths]), float(bad[means, strengths])
    return _SHARES[shares], prior


def _weigh_spreads(pools: Sequence[Pool]) -> tuple[float, ...]:
    """
    The probability of each of `SPREADS`, by how probable it makes the scores of all cases.

    Source: Bayes' theorem over a grid; a contaminated normal distribution, so that cases that broke do not
    widen it: Huber (1964), Robust estimation of a location parameter, Annals of Mathematical Statistics 35.
    """
    logs = [0.0] * len(_MIDDLES)
    for pool in pools:
        by_share = {share: [math.log(prior)] * len(_MIDDLES) for share, prior in _BROKE.items()}
        for unit in pool.units:
            for reading in unit:
                *chances, broke = pool.find_chances(reading)
                for share, of_share in by_share.items():
                    for place, chance in enumerate(chances):
                        mixed = (1 - share) * chance + share * broke
                        of_share[place] += math.log(max(mixed, 1e-300)) / len(unit)
        for place in range(len(_MIDDLES)):
            logs[place] += _add_logs([of_share[place] for of_share in by_share.values()])
    weights = [share * math.exp(log - max(logs)) for share, log in zip(BEFOREHAND[1:], logs, strict=True)]
    return (0.0, *(weight / sum(weights) for weight in weights))


def _chances_of_mean(reading: Reading, drop: float, error: float) -> Sequence[float]:
    """The density of a case's drop, whose scores cannot leave their range, by each of the spreads."""
    import numpy as np

    low, high = reading.scale.range
    start = (reading.mean_before - low) / (high - low)
    start = start if reading.scale.higher_is_better else 1 - start
    old, new = len(reading.before), len(reading.after)
    nodes, weights = _normal_nodes()
    moves = np.square([*_MIDDLES, _BROKE_SPREAD])[:, None] + error * new / (old + new)
    means = np.clip(start + _fall_at_last(np.sqrt(moves) * nodes), 0.0, 1.0)
    apart = (start - drop - means) / math.sqrt(error * old / (old + new))
    chances: Sequence[float] = (np.exp(-(apart**2) / 2) @ weights).tolist()
    return chances


def _fall_at_last(moves: Floats) -> Floats:
    """Moves of shape (spreads, values), of which the last, those of a case that broke, are drops."""
    import numpy as np

    return np.vstack([moves[:-1], -np.abs(moves[-1:])])


def _add_logs(logs: Sequence[float]) -> float:
    largest = max(logs)
    return largest + math.log(math.fsum(math.exp(log - largest) for log in logs))


def _group(readings: Iterable[Reading]) -> list[list[Reading]]:
    grouped: dict[str, list[Reading]] = {}
    for reading in readings:
        grouped.setdefault(reading.group or f"::{reading.case}", []).append(reading)
    return list(grouped.values())


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
def predicted_p_values(  # noqa: PLR0913, PLR0917 - counts of both sides, and what is known of others
    held_before: int,
    repeats_before: int,
    held: int,
    repeats: int,
    prior: Prior,
    steady: float,
    shared: float,
) -> tuple[float, ...]:
    """
    The chance that so few of the new repeats hold or fewer, in (0, 1], for each of `SPREADS`.

    The true rate is what the baseline and other cases make probable, moved up or down by an edit, and is kept
    within 0 and 1.

    Args:
        prior: The distribution of the baseline's rates over the cases that vary, by two counts.
        steady: The probability that the case never varied.
        shared: The drop that most cases have.

    Source: predictive p-values, Box (1980), Sampling and Bayes' inference, JRSS A 143; a normal mixture by
    Gauss-Hermite quadrature, Abramowitz and Stegun (1964), 25.4.46.
    """
    from scipy.special import bdtr

    rates, weights = _predict_rates(held_before, repeats_before, prior, steady, shared, SPREADS)
    chances = bdtr(held, repeats, rates) @ weights
    return tuple(min(1.0, max(chance, 1e-300)) for chance in chances.tolist())


@lru_cache(maxsize=65_536)
def predicted_chances(  # noqa: PLR0913, PLR0917 - as above
    held_before: int,
    repeats_before: int,
    held: int,
    repeats: int,
    prior: Prior,
    steady: float,
    shared: float,
) -> tuple[float, ...]:
    """The chance that just so many hold, by each of the spreads and of a case that broke."""
    spreads = (*_MIDDLES, _BROKE_SPREAD)
    rates, weights = _predict_rates(held_before, repeats_before, prior, steady, shared, spreads)
    chances: tuple[float, ...] = tuple((rates**held * (1 - rates) ** (repeats - held) @ weights).tolist())
    return chances


@lru_cache(maxsize=4_096)
def _predict_rates(  # noqa: PLR0913, PLR0917 - as above
    held_before: int,
    repeats_before: int,
    prior: Prior,
    steady: float,
    shared: float,
    spreads: tuple[float, ...],
) -> tuple[Floats, Floats]:
    """True rates, shape (spreads, values), and the weight of each value."""
    import numpy as np

    good, bad = prior
    total = repeats_before + good + bad
    center = (held_before + good) / total
    nodes, weights = _normal_nodes()
    moves = np.square(spreads)[:, None]
    offs = [(center, np.sqrt(center * (1 - center) / (total + 1) + moves) * nodes)]
    if steady:
        offs.append((_STEADY_RATE, np.sqrt(moves) * nodes))
    if spreads[-1] == _BROKE_SPREAD:
        offs = [(start, _fall_at_last(off)) for start, off in offs]
    rates = np.hstack([start - shared + off for start, off in offs])
    if steady:
        weights = np.concatenate([(1 - steady) * weights, steady * weights])
    return np.clip(rates, 0.0, 1.0), weights


@lru_cache(maxsize=1)
def _normal_nodes() -> tuple[Floats, Floats]:
    """Values of a standard normal and their weights, for an expectation."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return nodes, weights / weights.sum()

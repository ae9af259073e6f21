"""
Which drop the suite channel would detect, estimated from how the repeats of a baseline differ.

The drop is one that all cases share. One that hits few of them is the case channel's, and an edit that
moves single cases up and down adds noise that no baseline knows of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean

from pytest_llmops.bounds import describe_check
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.case_results import LARGEST, values_by_metric
from pytest_llmops.gates.error_budget import LOOKS, SUITE_SHARE
from pytest_llmops.gates.paired_runs import Scale, find_scale
from pytest_llmops.gates.repeats import BASELINE_REPEATS
from pytest_llmops.gates.suite_channel.paired_scores import results_of, tolerated_drop
from pytest_llmops.gates.suite_channel.verdicts import POWER, smallest_drop
from pytest_llmops.records import CaseResult, SuiteCheck
from pytest_llmops.statistics.codes import group_codes, sum_weights
from pytest_llmops.statistics.p_values import binomial_cdf, student_quantile
from pytest_llmops.statistics.paired import FEWEST
from pytest_llmops.statistics.summaries import NOISE, sample_variance

RECORD = f"record the baseline with --llm-repeats auto or {BASELINE_REPEATS}"

_SURE = NormalDist().inv_cdf(POWER)
"""Standard errors between what is called half of the time and what is called four times in five."""

_FEWEST_CASES = 2  # of one alone nobody knows how others moved
_WORTH = 0.95  # of a drop: advice that does not get below it is none


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectableDrop:
    """
    The drop that a suite check would detect.

    Attributes:
        check: As its verdict names it.
        smallest_drop: Called `regressed` by about four in five runs, in the unit of the statistic; 0 where
            any drop is. None where no drop would be or none can be estimated: the advice says why.
        advice: What would see a smaller one.
    """

    check: str
    metric: str
    smallest_drop: float | None
    advice: str


def find_detectable_drops(
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    *,
    repeats: int,
    steady: bool,
    level: float = 0.95,
) -> tuple[DetectableDrop, ...]:
    """
    What each suite check would see in a new run with so many repeats of a case, 1 at least.

    Args:
        results: Those of `find_scored`.
        steady: The app does not vary, so that a single case which no longer holds what it held is a fact.
    """
    measured: list[tuple[str, SuiteCheck, _Noise | str]] = []
    for path, checks in suite.items():
        noted = _note({check.metric for check in checks}, results_of(path, results))
        for check in checks:
            name = describe_check(check)
            noise = _read(check, noted[check.metric], steady=steady)
            measured.append((f"{path}: {name}" if len(suite) > 1 else name, check, noise))
    tests = sum(isinstance(noise, _Noise) for _, _, noise in measured) / SUITE_SHARE
    return tuple(
        DetectableDrop(check=name, metric=check.metric, smallest_drop=None, advice=noise)
        if isinstance(noise, str)
        else DetectableDrop(
            check=name,
            metric=check.metric,
            smallest_drop=noise.smallest(tests, level, repeats),
            advice=_advise(noise, tests, level, repeats),
        )
        for name, check, noise in measured
    )


def find_scored(results: Iterable[CaseResult]) -> tuple[list[CaseResult], tuple[str, ...]]:
    """The results, sorted by case, that broke nowhere and have scores that can be judged; ids of others."""
    by_case = {result.case: result for result in results}
    scored = {
        case: result
        for case, result in by_case.items()
        if result.scores
        and not result.failures
        and all(abs(score.value) <= LARGEST for score in result.scores)  # false of NaN, too
    }
    return [scored[case] for case in sorted(scored)], tuple(sorted(by_case.keys() - scored.keys()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    """
    How the repeats of a check's cases differ.

    Attributes:
        cases: How many there are.
        recorded: Repeats that the baseline has of a case, the fewest.
        once: Sum over the cases of the variance of a repeat; `kept` of that of the baseline's mean, `paid`
            the same were there `BASELINE_REPEATS` in it at least.
        held: Where each score is pass or miss, the share that passes: a drop of it makes new noise, since
            a case that always passed then passes now and then. None for other scores, which keep theirs.
        tolerated: The drop of the mean that passes.
        unit: Of the statistic, for one of the mean: a sum has as many as there are cases.
        fact: One case that drops is enough.
    """

    cases: int
    recorded: int
    once: float
    kept: float
    paid: float
    held: float | None
    tolerated: float
    unit: int
    fact: bool

    def smallest(
        self, tests: float, level: float, repeats: int, *, paid: bool = False, times: int = 1
    ) -> float | None:
        """
        The smallest drop seen; None where even the largest would not be.

        Args:
            paid: With `BASELINE_REPEATS` in the baseline.
            times: With so many times the cases, which are like those there are.
        """
        if self.fact:
            return self.unit / self.cases
        reach = _reach(times * self.cases, tests, level)
        if reach is None:
            return None
        noise = ((self.paid if paid else self.kept) + self.once / repeats) / (self.cases**2 * times)
        answers = times * self.cases * repeats
        called = self._find_drop(reach, 0.0, noise, answers)
        above = self._find_drop(_SURE, self.tolerated, noise, answers)
        return None if called is None or above is None else max(called, above) * self.unit

    def _find_drop(self, reach: float, tolerated: float, noise: float, answers: int) -> float | None:
        """
        The drop of a mean that is so many of its standard errors above what is tolerated.

        A share `held` that falls by `drop` has by that alone the variance `held * (1 - held) + drop *
        (2 * held - 1) - drop**2`, the first part of which is in the noise; this is the root for `drop`.

        Args:
            noise: Square of the standard error of the mean difference, were nothing changed.
            answers: New answers of all cases together.

        Source: the score interval of a proportion, which takes the variance at the value that is asked for
        and solves the square equation for it; Wilson (1927), Probable inference; Agresti (2013), Categorical
        Data Analysis, section 1.4. The drop and the variance of a mean of cases in its place are ours.
        """
        if self.held is None:
            return tolerated + reach * math.sqrt(noise)
        own = reach**2 / answers
        linear = 2 * tolerated + own * (2 * self.held - 1)
        square = linear**2 - 4 * (1 + own) * (tolerated**2 - reach**2 * noise)
        drop = (linear + math.sqrt(max(square, 0.0))) / (2 * (1 + own))
        return drop if square >= 0 and drop <= self.held else None


def _reach(cases: int, tests: float, level: float) -> float | None:
    """
    How many standard errors a mean has to drop to be called; None where so few cases call nothing.

    Fewer than `FEWEST` cases are held against Student's t. For more it is that of `smallest_drop`, but that
    the test compares with the root of the mean square, which the drop is
    part of: with few cases that counts. A statistic t of differences about 0, `mean / sqrt(mean square /
    cases)`, that has to reach `called` asks for a mean of `called / sqrt(1 - called**2 / cases)` standard
    errors about the mean.

    Source: power of a one-sided z-test, the quantile of the level plus that of the power, as in Chow, Shao
    and Wang (2008), Sample Size Calculations in Clinical Research, section 3.1; the step from a sum of
    squares about 0 to one about the mean is algebra: mean square = variance + mean**2.
    """
    if cases < _FEWEST_CASES:
        return None
    if cases < FEWEST:
        return student_quantile((1 - level) / tests, cases - 1) + _SURE
    called = smallest_drop(1.0, tests=tests, level=level) - _SURE
    if cases <= called**2:
        return None
    return called / math.sqrt(1 - called**2 / cases) + _SURE


def _note(metrics: Iterable[str], results: Sequence[CaseResult]) -> dict[str, list[Sequence[float]]]:
    """Metric to the scores of each case that has any, by repeat."""
    noted: dict[str, list[Sequence[float]]] = {metric: [] for metric in metrics}
    for result in results:
        for metric, values in values_by_metric(result).items():
            if metric in noted:
                noted[metric].append(values)
    return noted


def _read(check: SuiteCheck, cases: Sequence[Sequence[float]], *, steady: bool) -> _Noise | str:
    """The noise of a check, or why no drop can be estimated for it."""
    try:
        scale = find_scale(check.metric, check.options)
    except LLMOpsError as error:
        return str(error)
    tolerated = tolerated_drop(check, scale)
    variances = [sample_variance(values) for values in cases]
    known = [variance for variance in variances if variance is not None]
    held = _share_held(cases, scale)
    if tolerated is None:
        return "it is not watched for a drop: give it a max_drop"
    if check.statistic not in {"mean", "sum"}:
        return f"a drop of {check.statistic} cannot be foretold, only one of a mean or a sum"
    if not known:
        return f"no case has two repeats that {check.metric} scored"
    if held == 0:
        return "no case holds it, so that none can fall"
    typical = fmean(known)
    noise = [
        (len(values), typical if own is None else own) for values, own in zip(cases, variances, strict=True)
    ]
    unit = len(cases) if check.statistic == "sum" else 1
    return _Noise(
        cases=len(cases),
        recorded=min(repeats for repeats, _ in noise),
        once=math.fsum(variance for _, variance in noise),
        kept=math.fsum(variance / repeats for repeats, variance in noise),
        paid=math.fsum(variance / max(repeats, BASELINE_REPEATS) for repeats, variance in noise),
        held=held,
        tolerated=tolerated / unit,
        unit=unit,
        fact=steady and held is not None and scale.bound is not None,
    )


def _share_held(cases: Sequence[Sequence[float]], scale: Scale) -> float | None:
    """Of scores that are all 0 or 1, the share that is good, each case counting once; None of others."""
    if not cases or not all(value in {0.0, 1.0} for values in cases for value in values):
        return None
    share = fmean(map(fmean, cases))
    return share if scale.higher_is_better else 1 - share


def _advise(noise: _Noise, tests: float, level: float, repeats: int) -> str:
    """With what a smaller drop would be seen."""
    if noise.fact:
        return "no repeat differs, so that one case that falls is a fact"
    now = noise.smallest(tests, level, repeats)
    more = max(2 * repeats, LOOKS[-1])
    offers = [
        (f"with {more} new repeats instead of {repeats}", noise.smallest(tests, level, more)),
        (
            f"with {BASELINE_REPEATS} recorded repeats instead of {noise.recorded}",
            noise.smallest(tests, level, repeats, paid=True),
        ),
        (f"with {2 * noise.cases} cases", noise.smallest(tests, level, repeats, times=2)),
    ]
    worth = [
        f"{drop:.2g} {what}"
        for what, drop in offers
        if drop is not None and (now is None or drop < _WORTH * now)
    ]
    seen = f"would see {', '.join(worth)}" if worth else ""
    if now is not None:
        return seen or (f"its max_drop lets {noise.tolerated * noise.unit:g} pass" if noise.tolerated else "")
    if noise.cases < _FEWEST_CASES:
        return f"too few cases to call any drop: {noise.cases}, where {_FEWEST_CASES} are needed"
    return f"no drop is large enough to be seen{f'; {seen}' if seen else ''}"


_FAR = 1_000  # times the units: more is no advice
_TWO = 2  # sides of the test
_REACH = 5  # standard deviations of the number of discordant units, beyond which there are none


def count_further_cases(differences: Sequence[float], units: Sequence[str], *, alpha: float) -> int | None:
    """
    The fewest further cases with which the observed difference is found by four in five runs.

    Pass-or-miss scores are held against the exact test of the discordant units, of which further cases have
    the share that these have; others against the normal distribution of the mean.

    Args:
        differences: One a case, first candidate less second.
        units: The group of each case.
        alpha: What the two-sided p-value must not exceed.

    Returns:
        None where more cases of this kind decide nothing: the candidates are level, or a thousand times the
        cases would be too few.

    Source: Duffy (1984), Asymptotic and exact power for the McNemar test and its analogue with R controls per
    case, Biometrics 40.
    """
    import numpy as np

    codes = group_codes(units, len(differences))
    count = int(codes.max(initial=-1)) + 1
    summed = [float(each) for each in sum_weights(codes, np.asarray(differences, float), count)]
    largest = max(map(abs, summed), default=0.0)
    moved = [each for each in summed if abs(each) > NOISE * largest]
    mean = fmean(summed) if summed else 0.0
    if abs(mean) <= NOISE * largest:
        return None
    fewest = 1 + math.log2(1 / alpha)  # units that have a sign pattern as rare
    if max(map(abs, moved)) - min(map(abs, moved)) <= NOISE * largest:
        ahead = sum(each * mean > 0 for each in moved) / len(moved)
        needed = _count_units(len(moved) / count, ahead, alpha, most=_FAR * count)
    else:
        spread = math.sqrt(sample_variance(summed) or 0.0)
        needed = (smallest_drop(spread, tests=_TWO, level=1 - alpha) / mean) ** 2
    needed = max(needed, fewest)
    if needed > _FAR * count:
        return None
    return math.ceil(max(1.0, math.ceil(needed) - count) * len(differences) / count)


def _count_units(moved: float, ahead: float, alpha: float, *, most: int) -> float:
    """
    The fewest units with which the exact test calls the winner often enough; infinite beyond `most`.

    Power rises with the units but for small steps back, which the search does not look for.

    Args:
        moved: The share of units that are discordant; `ahead` the share of these that one candidate wins.
    """
    if _power(most, moved, ahead, alpha) < POWER:
        return math.inf
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if _power(middle, moved, ahead, alpha) >= POWER:
            high = middle
        else:
            low = middle + 1
    return low


def _power(units: int, moved: float, ahead: float, alpha: float) -> float:
    """How often the exact test calls the winner: over how many discordant units there may be."""
    centre, reach = units * moved, _REACH * math.sqrt(units * moved * (1 - moved)) + 1
    found = 0.0
    for pairs in range(max(0, int(centre - reach)), min(units, math.ceil(centre + reach)) + 1):
        if (losses := _most_losses(pairs, alpha)) >= 0:
            chance = binomial_cdf(pairs, units, moved) - (
                binomial_cdf(pairs - 1, units, moved) if pairs else 0
            )
            found += chance * binomial_cdf(losses, pairs, 1 - ahead)
    return found


@lru_cache(maxsize=65_536)
def _most_losses(pairs: int, alpha: float) -> int:
    """With how many lost pairs at most the exact two-sided test still calls the winner; -1 for never."""
    low, high = -1, pairs // 2
    while low < high:
        middle = (low + high + 1) // 2
        if _TWO * binomial_cdf(middle, pairs, 0.5) <= alpha:
            low = middle
        else:
            high = middle - 1
    return low

"""
The smallest drop that the suite channel would detect: in `llmops selfcheck`, a run's summary and verdicts.

It is estimated from the repeats of a baseline, and is a drop that all cases share. One that hits few of them
is the case channel's. An edit that moves single cases up and down adds noise that no baseline shows; a
verdict, which has both sides, adds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist, fmean

from pytest_llmops.bounds import describe_check
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.case_results import LARGEST, values_by_metric
from pytest_llmops.gates.error_budget import BASELINE_REPEATS, LOOKS, Looks, divide_suite_share, plan_looks
from pytest_llmops.gates.paired_runs import Scale, find_scale
from pytest_llmops.gates.suite_channel.paired_scores import results_of, tolerated_drop
from pytest_llmops.gates.suite_channel.progress import (
    BEYOND,
    BEYOND_OF_FEW,
    CONFIRM,
    CONFIRM_BEYOND,
    FAIR_CHANCE,
)
from pytest_llmops.records import CaseResult, SuiteCheck
from pytest_llmops.statistics.codes import Floats
from pytest_llmops.statistics.p_values import student_quantile
from pytest_llmops.statistics.paired import FEWEST
from pytest_llmops.statistics.summaries import LINEAR, NOISE, sample_variance

POWER = 0.8
"""Share of runs in which a drop is called that counts as detectable."""

RECORD = f"record the baseline with --llm-repeats auto or {BASELINE_REPEATS}"

_SURE = NormalDist().inv_cdf(POWER)
"""Standard errors between a drop that is called half of the time and one called four times in five."""

_FEWEST_CASES = 2  # the movement of a single case has no spread
_WORTH = 0.95  # of a drop: advice that does not get below it is none
_NORMAL = NormalDist()
_SIMULATED = 500  # runs, which tell a power of 80 % to within 4 points
_SIMULATED_HALVINGS = 12
_FAR = 30.0
_HALVINGS = 50  # of the range in which a drop is searched


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectableDrop:
    """
    The drop that a suite check would detect.

    Attributes:
        check: As its verdict names it.
        smallest_drop: Called `regressed` by about four in five runs, in the unit of the statistic; 0 where
            any drop is. None where no drop would be or none can be estimated: the advice gives the reason.
        advice: Changes by which a smaller one would be detected.
    """

    check: str
    metric: str
    smallest_drop: float | None
    advice: str


def find_detectable_drops(  # noqa: PLR0913 - a baseline, and the run
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    *,
    repeats: int,
    steady: bool,
    level: float = 0.95,
    most: int = 0,
) -> tuple[DetectableDrop, ...]:
    """
    The detectable drop of each suite check in a new run with so many repeats of a case, 1 at least.

    Args:
        results: Those of `find_scored`.
        most: The most repeats of a case that is run look by look, `repeats` being those of the last look; 0
            where their number is fixed.
        steady: The app does not vary, so that a single case that fails a check which it passed is a fact.
    """
    share = divide_suite_share(suite.values())
    drops = []
    for path, checks in suite.items():
        values = [values_by_metric(result) for result in results_of(path, results)]
        estimates = []
        for check in checks:
            cases = [of_case[check.metric] for of_case in values if check.metric in of_case]
            estimates.append((check, _read_noise(check, cases, steady=steady)))
        tests = sum(isinstance(noise, _Noise) for _, noise in estimates) / share
        for check, noise in estimates:
            name = f"{path}: {describe_check(check)}" if len(suite) > 1 else describe_check(check)
            looks = plan_looks(most) if most else None
            drops.append(
                _detect(name, check.metric, noise, tests=tests, repeats=repeats, level=level, looks=looks)
            )
    return tuple(drops)


def find_detectable_drop(  # noqa: PLR0913 - a check, its baseline, and the run
    check: SuiteCheck,
    cases: Sequence[Sequence[float]],
    *,
    error: float,
    repeats: int,
    steady: bool,
    tests: float,
    level: float,
    looks: Looks | None = None,
) -> DetectableDrop:
    """
    The detectable drop of a suite check in a run that was made.

    Args:
        cases: The baseline's scores of each case, by repeat.
        error: Standard error of the statistic's difference, estimated from the cases' differences. It counts
            where it is larger than the repeats explain, since then an edit moved single cases.
        tests: Equal parts that the error budget is cut into, one for each check that watches.
        looks: Of a run that was made look by look.
    """
    noise = _read_noise(check, cases, steady=steady, error=error, repeats=repeats)
    return _detect(
        describe_check(check),
        check.metric,
        noise,
        tests=tests,
        repeats=repeats,
        level=level,
        looks=None if looks is None or looks.is_fixed else looks,
    )


def find_scored(results: Iterable[CaseResult]) -> tuple[list[CaseResult], tuple[str, ...]]:
    """The results, sorted by case, that broke nowhere and have scores that can be judged; ids of others."""
    by_case = {result.case: result for result in results}
    scored = {
        case: result
        for case, result in by_case.items()
        if result.scores
        and not result.breakages
        and all(abs(score.value) <= LARGEST for score in result.scores)  # false of NaN, too
    }
    return [scored[case] for case in sorted(scored)], tuple(sorted(by_case.keys() - scored.keys()))


def smallest_drop(error: float, *, tests: float, level: float) -> float:
    """
    The drop of a mean that is called `regressed` four times in five, in the metric's unit.

    Args:
        error: Standard error of the mean difference.
        tests: Equal parts that the error budget is cut into, one for each check that watches.

    Source: power of a one-sided z-test, the quantile of the level plus that of the power, as in Chow, Shao
    and Wang (2008), Sample Size Calculations in Clinical Research, section 3.1.
    """
    return (NormalDist().inv_cdf(1 - (1 - level) / tests) + _SURE) * error


def _hopeful(look: int, looks: Looks, budget: float) -> float:
    """The standard errors of a drop at which the next test has a fair chance; see `conditional_power`."""
    following = next(tested for tested in looks.tested if tested > look)
    time = look / following
    needed = -_NORMAL.inv_cdf(budget * looks.part(following))
    return math.sqrt(time) * (needed + math.sqrt(1 - time) * _NORMAL.inv_cdf(FAIR_CHANCE))


@lru_cache(maxsize=8)
def _draw_runs(repeats: int) -> tuple[Floats, Floats]:
    """
    The chance of simulated runs, in standard deviations: sums of so many repeats, shape (runs, repeats), and
    the baseline's, shape (runs, 1).
    """
    import numpy as np

    random = np.random.default_rng(0)
    walk = random.standard_normal((_SIMULATED, repeats)).cumsum(axis=1)
    return walk, random.standard_normal((_SIMULATED, 1))


def _ratio(variance: float, count: int) -> float:
    return variance / count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    """
    The chance variation of a check's mean.

    Attributes:
        recorded: Repeats of each case in the baseline.
        variances: Variance of one repeat of each case.
        moved: Variance of the moves of single cases by an edit; 0 where it is unknown.
        held: Where each score is pass or miss, the share that passes; None where a drop makes no new noise.
        tolerated: The drop of the mean that passes.
        unit: Of the statistic, for one of the mean: a sum has as many as there are cases.
        fact: One case that drops is enough.
    """

    recorded: Sequence[int]
    variances: Sequence[float]
    moved: float
    held: float | None
    tolerated: float
    unit: int
    fact: bool

    @property
    def cases(self) -> int:
        return len(self.recorded)

    def error(self, repeats: int, recorded: int = 0) -> float:
        """
        The standard error of the mean difference, were nothing changed in general.

        Args:
            repeats: New repeats of a case.
            recorded: Repeats that each case of the baseline has at least.
        """
        sampling = math.fsum(
            variance / max(count, recorded) + variance / repeats
            for variance, count in zip(self.variances, self.recorded, strict=True)
        )
        return math.sqrt(sampling / self.cases**2 + self.moved / self.cases)

    def smallest(
        self, tests: float, level: float, repeats: int, *, recorded: int = 0, times: int = 1
    ) -> float | None:
        """
        The smallest detectable drop; None where even the largest would not be called.

        Args:
            times: With so many times the cases, which are like the present ones.
        """
        if self.fact:
            return self.unit / self.cases
        cases = times * self.cases
        reach = _reach(cases, tests, level)
        if reach is None:
            return None
        error = self.error(repeats, recorded) / math.sqrt(times)
        called = self._find_drop(0.0, reach, error, cases * repeats)
        beyond = (
            _SURE - _NORMAL.inv_cdf(BEYOND if cases >= FEWEST else BEYOND_OF_FEW) if self.tolerated else _SURE
        )
        above = self._find_drop(self.tolerated, beyond, error, cases * repeats)
        return None if called is None or above is None else max(called, above) * self.unit

    def smallest_planned(self, tests: float, level: float, looks: Looks) -> float | None:
        """
        The smallest drop that a run which is made look by look detects; None where none would be.

        Runs are simulated: the mean of the new repeats wanders about the drop, and is cleared, called and
        confirmed as by `Progress`, with normal tails for its tests.
        """
        if self.fact:
            return self.unit / self.cases
        if self.cases < _FEWEST_CASES:
            return None
        low, high = self.tolerated, self.held if self.held is not None else self.tolerated + self._far(looks)
        if low >= high or self._power(high, tests, level, looks) < POWER:
            return None
        for _ in range(_SIMULATED_HALVINGS):
            middle = (low + high) / 2
            is_enough = self._power(middle, tests, level, looks) >= POWER
            low, high = (low, middle) if is_enough else (middle, high)
        return high * self.unit

    def _far(self, looks: Looks) -> float:
        """A drop beyond any that is not detected, in standard errors of single repeats."""
        return _FAR * self.error(1) + NOISE * (1 + self.tolerated) * looks.planned[-1]

    def _power(self, drop: float, tests: float, level: float, looks: Looks) -> float:
        """The share of simulated runs with this drop that end `regressed`."""
        import numpy as np

        once = math.fsum(self.variances) / self.cases**2  # the variance of the mean of one repeat each
        if self.held is not None:
            once = max(0.0, once + drop * (2 * self.held - 1 - drop) / self.cases)
        recorded = math.fsum(map(_ratio, self.variances, self.recorded)) / self.cases**2
        moved = self.moved / self.cases
        walk, bases = _draw_runs(looks.planned[-1] + looks.fresh)
        own = drop + math.sqrt(recorded + moved) * bases
        look = np.array(looks.planned)
        sums = math.sqrt(once) * walk[:, look - 1]
        mean = own + sums / look  # shape (runs, looks)
        narrow = np.sqrt(once / look + recorded)
        wide = np.sqrt(once / look + recorded + moved)
        narrow[narrow == 0] = wide[wide == 0] = NOISE
        parts = [looks.part(each) if looks.is_tested(each) else 0.0 for each in looks.planned]
        bars = [-_NORMAL.inv_cdf((1 - level) / tests * part) if part else math.inf for part in parts]
        over = mean >= bars * (narrow if self.tolerated else wide)
        if self.tolerated:
            edge = BEYOND if self.cases >= FEWEST else BEYOND_OF_FEW
            over &= mean - self.tolerated >= -_NORMAL.inv_cdf(edge) * wide
            kept = mean > np.where(look == 1, 0.0, self.tolerated)
        else:
            over &= mean > 0
            further = [looks.is_tested(each) and each < looks.tested[-1] for each in looks.planned]
            hopes = [
                _hopeful(each, looks, (1 - level) / tests) if hoped else -math.inf
                for each, hoped in zip(looks.planned, further, strict=True)
            ]
            kept = mean / wide >= hopes
        stays = np.cumprod(kept & ~over, axis=1, dtype=bool)
        called = over
        called[:, 1:] &= stays[:, :-1]
        if looks.fresh:
            ahead = math.sqrt(once) * walk[:, look + looks.fresh - 1]
            new = own + (ahead - sums) / looks.fresh
            again = math.sqrt(once / looks.fresh + recorded + moved) or NOISE
            called &= new >= -_NORMAL.inv_cdf(CONFIRM) * again
            if self.tolerated:
                called &= new - self.tolerated >= -_NORMAL.inv_cdf(CONFIRM_BEYOND) * again
        return float(called.any(axis=1).mean())

    def _find_drop(self, tolerated: float, reach: float, error: float, answers: int) -> float | None:
        """
        The drop of the mean that is `reach` of its standard errors above the tolerated one; None where
        there is none.

        A share that drops makes noise by that: a case that always passed then passes now and then. The
        variance is therefore taken at the drop that is searched.

        Args:
            answers: New answers of all cases together.

        Source: the score interval of a proportion, Wilson (1927), Probable inference; Agresti (2013),
        Categorical Data Analysis, section 1.4. The drop and the variance of a mean of cases are ours.
        """
        held = self.held
        if held is None:
            return tolerated + reach * error

        def is_enough(drop: float) -> bool:
            variance = error**2 + drop * (2 * held - 1 - drop) / answers
            return drop - tolerated >= reach * math.sqrt(max(variance, 0.0))

        low, high = tolerated, held
        if low > high or not is_enough(high):
            return None
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if is_enough(middle) else (middle, high)
        return tolerated if high - tolerated <= NOISE * held else high


def _reach(cases: int, tests: float, level: float) -> float | None:
    """
    The standard errors that a mean has to drop by to be called; None where so few cases call nothing.

    Fewer than `FEWEST` cases are tested by Student's t. For more it is that of `smallest_drop`, but that
    the test compares with the root of the mean square, which the drop is part of: with few cases that counts.
    A statistic t of differences about 0, `mean / sqrt(mean square / cases)`, that has to reach `called` needs
    a mean of `called / sqrt(1 - called**2 / cases)` standard errors about the mean, by algebra: mean square
    = variance + mean**2.
    """
    if cases < _FEWEST_CASES:
        return None
    if cases < FEWEST:
        return student_quantile((1 - level) / tests, cases - 1) + _SURE
    called = smallest_drop(1.0, tests=tests, level=level) - _SURE
    if cases <= called**2:
        return None
    return called / math.sqrt(1 - called**2 / cases) + _SURE


def _read_noise(
    check: SuiteCheck, cases: Sequence[Sequence[float]], *, steady: bool, error: float = 0.0, repeats: int = 1
) -> _Noise | str:
    """The noise of a check, or the reason why no drop can be estimated for it."""
    try:
        scale = find_scale(check.metric, check.options)
    except LLMOpsError as failure:
        return str(failure)
    tolerated = tolerated_drop(check, scale)
    is_linear = check.statistic in LINEAR
    variances = [sample_variance(values) if is_linear else None for values in cases]
    known = [variance for variance in variances if variance is not None]
    held = _share_held(cases, scale) if is_linear else None
    if tolerated is None:
        return "it is not watched for a drop: give it a max_drop"
    if not known and not error:
        if not is_linear:
            return f"a drop of {check.statistic} cannot be foretold, only one of a mean or a sum"
        return f"no case has two repeats that {check.metric} scored"
    if held == 0:
        return "no case holds it, so that none can fall"
    typical = fmean(known) if known else 0.0
    unit = len(cases) if check.statistic == "sum" else 1
    noise = _Noise(
        recorded=[len(values) for values in cases],
        variances=[typical if variance is None else variance for variance in variances],
        moved=0.0,
        held=held,
        tolerated=tolerated / unit,
        unit=unit,
        fact=steady and held is not None and scale.bound is not None,
    )
    explained, observed = noise.error(repeats) ** 2, (error / unit) ** 2
    # An estimated variance is off by this share of itself, with two standard errors.
    unsure = 2 * math.sqrt(2 / max(1, len(cases) - 1))
    if observed > (1 + unsure) * explained:
        # The observed differences have the noise of their own drop already.
        noise = replace(noise, moved=(observed - explained) * len(cases), held=None)
    return noise


def _share_held(cases: Sequence[Sequence[float]], scale: Scale) -> float | None:
    """Of scores that are all 0 or 1, the share that is good, each case counting once; None of others."""
    if not cases or not all(value in {0.0, 1.0} for values in cases for value in values):
        return None
    share = fmean(map(fmean, cases))
    return share if scale.higher_is_better else 1 - share


def _detect(  # noqa: PLR0913 - a check, its noise, and the run
    name: str,
    metric: str,
    noise: _Noise | str,
    *,
    tests: float,
    repeats: int,
    level: float,
    looks: Looks | None = None,
) -> DetectableDrop:
    """The drop of a check with this noise, and the advice on a smaller one."""
    if isinstance(noise, str):
        return DetectableDrop(check=name, metric=metric, smallest_drop=None, advice=noise)
    if looks is not None:
        planned = noise.smallest_planned(tests, level, looks)
        advice = "" if planned is not None else "no drop is large enough to be seen"
        if noise.fact:
            advice = _advise(noise, planned, tests, level, repeats)
        return DetectableDrop(check=name, metric=metric, smallest_drop=planned, advice=advice)
    now = noise.smallest(tests, level, repeats)
    return DetectableDrop(
        check=name, metric=metric, smallest_drop=now, advice=_advise(noise, now, tests, level, repeats)
    )


def _advise(noise: _Noise, now: float | None, tests: float, level: float, repeats: int) -> str:
    if noise.fact:
        return "no repeat differs, so that one case that falls is a fact"
    more = max(2 * repeats, LOOKS[-1])
    offers = {
        f"with {more} new repeats instead of {repeats}": noise.smallest(tests, level, more),
        f"with {BASELINE_REPEATS} recorded repeats instead of {min(noise.recorded)}": noise.smallest(
            tests, level, repeats, recorded=BASELINE_REPEATS
        ),
        f"with {2 * noise.cases} cases": noise.smallest(tests, level, repeats, times=2),
    }
    worth = [
        f"{drop:.2g} {offer}"
        for offer, drop in offers.items()
        if drop is not None and (now is None or drop < _WORTH * now)
    ]
    seen = f"would see {', '.join(worth)}" if worth else ""
    if now is not None:
        return seen or (f"its max_drop lets {noise.tolerated * noise.unit:g} pass" if noise.tolerated else "")
    if noise.cases < _FEWEST_CASES:
        return f"too few cases to call any drop: {noise.cases}, where {_FEWEST_CASES} are needed"
    return f"no drop is large enough to be seen{f'; {seen}' if seen else ''}"

"""
The suite channel: is a metric worse in general, beyond what chance explains?

The unit is the case. Definitions, and what they cost, are in
docs/decisions/0019-what-a-red-run-guarantees.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from pytest_llmops.gates.error_budget import divide_suite_share
from pytest_llmops.gates.paired_runs import Chance, Scales
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, PairedSuites, Values, results_of
from pytest_llmops.gates.suite_channel.progress import Progress, track_checks
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import GAIN, CaseResult, Golden, Run, SuiteCheck, Verdict
from pytest_llmops.registry import find_traits
from pytest_llmops.statistics.bootstrap import Spread, paired_interval
from pytest_llmops.statistics.summaries import calculate, mean, sample_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredDrop:
    """
    A suite check compared with its baseline, for its verdict.

    Attributes:
        dropped: The pairs that got worse, the farthest first.
        repeats: New repeats of a case, the fewest.
        noise: Variance between the new repeats of a case, the mean over the cases; 0 where unknown.
    """

    baseline: float
    difference: float
    spread: Spread
    dropped: tuple[dict[str, object], ...]
    cases: int
    repeats: int
    noise: float

    @classmethod
    def of(cls, scores: PairedScores, values: Values, *, level: float, seed: int) -> MeasuredDrop:
        before, after = (dict(zip(values, means, strict=True)) for means in scores.means(values))
        worst = sorted((scores.sign * (after[case] - before[case]), case) for case in before)
        base = list(before.values())
        return cls(
            baseline=calculate(scores.check.statistic, base),
            difference=scores.difference(values),
            spread=paired_interval(
                scores.check.statistic, base, list(after.values()), level=level, seed=seed, units=scores.units
            ),
            dropped=tuple(
                {"case": case, "before": before[case], "after": after[case]} for by, case in worst if by < 0
            ),
            cases=len(before),
            repeats=min(len(new) for _, new in values.values()),
            noise=mean([sample_variance(new) or 0.0 for _, new in values.values()]),
        )


POWER = 0.8
"""Share of runs in which a drop is called that is said to be seen."""

_MORE = 4  # times the repeats that advice speaks of
_NAMED = 5
_FAR = 1_000  # times what is tolerated: a million times the cases is no advice


def judge_suites_against(  # noqa: PLR0913 - what the channel is held to
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    level: float = 0.95,
    seed: int = 0,
    share: float | None = None,
    chance: Chance | None = None,
) -> dict[str, tuple[Verdict, ...]]:
    """
    A verdict for each suite check, in its place: threshold, then baseline.

    Golden files share the suite's part of the error budget evenly, and within each Holm's correction runs
    over the checks that watch for a drop.

    - `error`: a case could not be scored, the scores of a case were made in unlike ways, or nobody knows
      the metric.
    - `regressed`: the observed drop is above what is tolerated, and `p_adjusted` of any drop at all is
      at most `1 - level`, and that of a drop beyond `max_drop` at most `BEYOND`, of few cases
      `BEYOND_OF_FEW`; or it is above `max_drop` in an app that does not vary. Tolerated is `max_drop`;
      without one it is nothing for a bounded metric, and an unbounded one (seconds, dollars, tokens) is not
      watched. Where repeats may be asked for, fresh ones have confirmed it.
    - `failed`: the threshold is missed; `known` when the baseline missed it too.
    - `undecided`: the observed drop is above `max_drop`, and chance may explain it; or there is nothing to
      compare with, or cases of the baseline are lost.
    - `passed`: none of these. What cannot be ruled out is advice.

    Args:
        suite: Golden file to its checks; they look at the cases whose ids start with it, or at all for "".
        level: Coverage of the intervals, between 0 and 1.
        seed: Fixes every resample, so that one pair of runs always meets one verdict.
        share: Of the error budget, for each of these files; by default they are all that the run has.
        chance: What the whole baseline says of the app; by default what these results say.
    """
    share = share or divide_suite_share(suite.values())
    chance = chance or Chance(base_results)
    verdicts: dict[str, tuple[Verdict, ...]] = {}
    for path, checks in suite.items():
        paired = PairedSuites.of(results_of(path, results), results_of(path, base_results), chance)
        judged = [paired.judge(check, level) for check in checks]
        watched = [each for each in judged if isinstance(each, PairedScores) and each.tolerated is not None]
        progress = iter(track_checks(watched, paired.looks, share=share, level=level, seed=seed))
        tests = len(watched) / share
        verdicts[path] = tuple(
            each
            if isinstance(each, Verdict)
            else _judge(each, None if each.tolerated is None else next(progress), tests, level, seed)
            for each in judged
        )
    return verdicts


def track_suites(  # noqa: PLR0913 - what the channel is held to
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    share: float,
    chance: Chance,
    level: float = 0.95,
) -> list[tuple[PairedScores, Progress]]:
    """
    For each check that watches for a drop: its scores, and its progress over the looks taken.

    Checks that cannot be measured are left out: no further repeat would help them.
    """
    tracked: list[tuple[PairedScores, Progress]] = []
    for path, checks in suite.items():
        paired = PairedSuites.of(results_of(path, results), results_of(path, base_results), chance)
        broken = any(result.failures for result in paired.results)
        judged = (
            paired.judge(check, level) if broken else paired.find(check)
            for check in checks
            if check.statistic != GAIN and not check.record_only
        )
        watched = [each for each in judged if isinstance(each, PairedScores) and each.tolerated is not None]
        tracked += zip(watched, track_checks(watched, paired.looks, share=share, level=level), strict=True)
    return tracked


def watch_means(golden: Golden, base: Run | None) -> Golden:
    """
    A golden file that names no suite, with the mean of each metric that its cases check, for the baseline.
    Gains over a rival are no such suite.

    Whether answers got worse in general is asked of every golden file that has a baseline.
    """
    named = any(check.statistic != GAIN for check in golden.suite)
    if named or base is None or not results_of(golden.path, base.results):
        return golden
    scales = Scales()
    metrics = dict.fromkeys(
        check.metric for case in golden.cases for check in case.checks if not check.record_only
    )
    watched = [metric for metric in metrics if (scale := scales[metric]) is not None and scale.bounded]
    return replace(
        golden,
        suite=(*golden.suite, *map(watch_mean, watched)),
    )


def watch_mean(metric: str) -> SuiteCheck:
    """A check of the mean that asks for no value, only for no drop."""
    return SuiteCheck(metric=metric, statistic="mean", comparison=None, threshold=None)


def tolerated_drops(suite: Mapping[str, Sequence[SuiteCheck]]) -> dict[str, float]:
    """Metric to the drop of its mean that is let pass, the smallest where several files name one."""
    drops: dict[str, float] = {}
    for checks in suite.values():
        for check in checks:
            if check.max_drop is not None and check.statistic == "mean":
                drops[check.metric] = min(check.max_drop, drops.get(check.metric, check.max_drop))
    return drops


def _judge(scores: PairedScores, progress: Progress | None, tests: float, level: float, seed: int) -> Verdict:
    check, values = scores.check, scores.at(None)
    measured = MeasuredDrop.of(scores, values, level=level, seed=seed)
    drop = scores.drop(values)
    verdict = replace(
        scores.absolute,
        baseline=measured.baseline,
        difference=measured.difference,
        interval=(measured.spread.low, measured.spread.high),
        p_value=None if progress is None or scores.fact else progress.p_value,
        p_adjusted=None if progress is None or scores.fact else progress.p_adjusted,
        cases=measured.cases,
    )
    failed = scores.absolute.outcome == "failed"
    power = _describe_power(scores, measured, tests, level)
    if progress is not None and progress.state == "regressed":
        tolerated = f", more than max_drop {check.max_drop:g}" if check.max_drop else ""
        reason = f"worse than the baseline by {drop:.3g}{tolerated}"
        advice = "no repeat differs, so the app changed here" if scores.fact else verdict.advice
        return replace(
            verdict, outcome="regressed", reason=reason, evidence=measured.dropped[:_NAMED], advice=advice
        )
    if failed and (not scores.missed_before or not find_traits(check.metric).excusable):
        then = "missed it too, which excuses no leak" if scores.missed_before else "held it"
        return replace(verdict, reason=f"the baseline {then}", evidence=measured.dropped[:_NAMED])
    if scores.lost:
        return replace(verdict, outcome="undecided", reason=_lost(scores.lost), evidence=(), advice=_ACCEPT)
    if progress is not None and _is_open(scores, progress):
        few = "1 case is" if measured.cases == 1 else f"{measured.cases} cases are"
        reason = f"dropped by {drop:.3g}; {few} too few to prove it"
        if progress.state == "refuted":
            reason = f"dropped by {drop:.3g}, which fresh repeats did not confirm"
        elif progress.state == "called":
            reason = f"dropped by {drop:.3g}, not confirmed: the repeats for it were not made"
        reason += "; the threshold is missed, as in the baseline" if failed else ""
        return replace(
            verdict, outcome="undecided", reason=reason, evidence=measured.dropped[:_NAMED], advice=power
        )
    if failed:
        return replace(verdict, known=True, reason="the baseline missed it too", advice=power)
    fixed = "fixed: failed in the baseline" if scores.missed_before else ""
    return replace(verdict, advice="; ".join(filter(None, (fixed, power))))


def _is_open(scores: PairedScores, progress: Progress) -> bool:
    """
    Whether the observed drop is more than what is tolerated, and nothing says that it is chance. Without a
    `max_drop` any drop is more, and counts where a test called it.
    """
    counts = scores.check.max_drop is not None or progress.state == "called"
    return counts and progress.state != "cleared" and not scores.is_tolerated(scores.at(None))


_ACCEPT = "run all cases; if they were changed on purpose, make this run the baseline"


def _lost(cases: Sequence[str]) -> str:
    return f"{len(cases)} of the baseline's cases cannot be compared: {name_some(cases, _NAMED)}"


def _describe_power(scores: PairedScores, measured: MeasuredDrop, tests: float, level: float) -> str:
    """
    The drop that four in five such runs would have called `regressed`, by the normal approximation, and
    what more repeats or more cases would see. The strictest step of Holm's correction is assumed.
    """
    tolerated = scores.tolerated
    if tolerated is None or not measured.spread.error:
        return ""
    smallest = smallest_drop(measured.spread.error, tests=tests, level=level)
    advice = f"this run could see a drop of {smallest:.2g}"
    if not tolerated or smallest <= tolerated or scores.check.statistic != "mean":
        return advice
    if measured.noise:
        repeats = _MORE * measured.repeats
        saved = measured.noise * (1 / measured.repeats - 1 / repeats) / measured.cases
        if (left := measured.spread.error**2 - saved) > 0:
            fewer = smallest * math.sqrt(left) / measured.spread.error
            advice += f"; {counted(repeats, 'repeat')} would see {fewer:.2g}"
    if smallest > _FAR * tolerated:
        return advice
    cases = math.ceil(measured.cases * (smallest / tolerated) ** 2)
    return f"{advice}; about {counted(cases, 'case')} would see one of {tolerated:g}"


def smallest_drop(error: float, *, tests: float, level: float) -> float:
    """
    The drop of a mean that is called `regressed` four times in five, in the metric's unit.

    Args:
        error: Standard error of the mean difference.
        tests: How many equal parts the error budget has to be cut into, one for each check that watches.
    """
    normal = NormalDist()
    reach = normal.inv_cdf(1 - (1 - level) / tests) + normal.inv_cdf(POWER)
    return reach * error

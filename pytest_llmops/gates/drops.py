"""
The suite channel: is a metric worse in general, beyond what chance explains?

The unit is the case. Definitions, and what they cost, are in
docs/decisions/0007-two-channels-one-budget.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

from pytest_llmops.gates.inference.families import adjust_holm
from pytest_llmops.gates.inference.resampling import NOISE
from pytest_llmops.gates.inference.spending import divide_suite_share, sequential_p_value
from pytest_llmops.gates.measuring import Beside, Measured, results_of, tolerated_drop
from pytest_llmops.gates.pairing import Chance, Scales
from pytest_llmops.gates.thresholds import NEVER_EXCUSED, judge_suite
from pytest_llmops.printable import name_some
from pytest_llmops.records import GAIN, CaseResult, Golden, Run, SuiteCheck, Verdict

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

    - `error`: a case could not be scored, nothing can be paired, the scores of a case were made in
      unlike ways, or nobody knows the metric.
    - `regressed`: the observed drop is above what is tolerated, and `p_adjusted` of any drop at all is
      at most `1 - level`. Tolerated is `max_drop`; without one it is nothing for a bounded metric, and
      an unbounded one (seconds, dollars, tokens) is not watched.
    - `failed`: the threshold is missed; `known` when the baseline missed it too.
    - `undecided`: the interval holds a drop above `max_drop`, or cases of the baseline are lost.
    - `passed`: none of these.

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
        beside = Beside.of(results_of(path, results), results_of(path, base_results), chance)
        measured = [
            judge_suite(check, results_of(path, results))
            if check.record_only
            else beside.measure(check, level=level, seed=seed)
            for check in checks
        ]
        watched = {
            place: each.p_value
            for place, each in enumerate(measured)
            if isinstance(each, Measured) and each.tolerated is not None
        }
        holm = dict(zip(watched, adjust_holm(list(watched.values())), strict=True))
        verdicts[path] = tuple(
            each
            if isinstance(each, Verdict)
            else _judge(
                each,
                min(1.0, holm[place] / share) if place in holm else None,
                len(watched) / share,
                level,
            )
            for place, each in enumerate(measured)
        )
    return verdicts


def look_at_suites(
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    share: float,
    chance: Chance,
) -> list[tuple[float, float]]:
    """
    For each check that watches for a drop: the p-value of the last look, and `p_adjusted` over all looks.

    Checks that cannot be measured are left out: no further repeat would help them.
    """
    last, over_looks = [], []
    for path, checks in suite.items():
        beside = Beside.of(results_of(path, results), results_of(path, base_results), chance)
        for check in (each for each in checks if each.statistic != GAIN and not each.record_only):
            found = beside.find(check)
            if not isinstance(found, Verdict) and tolerated_drop(check, found.scale) is not None:
                p_values = found.p_values(seed=0)
                last.append(p_values[-1])
                over_looks.append(sequential_p_value(p_values, beside.looks.times))
    adjusted = (min(1.0, p / share) for p in adjust_holm(over_looks))
    return list(zip(last, adjusted, strict=True))


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


def _judge(each: Measured, p_adjusted: float | None, tests: float, level: float) -> Verdict:
    verdict = replace(
        each.absolute,
        baseline=each.baseline,
        difference=each.difference,
        interval=(each.spread.low, each.spread.high),
        p_value=each.p_value,
        p_adjusted=p_adjusted,
        cases=each.cases,
    )
    tolerated = each.tolerated
    failed = each.absolute.outcome == "failed"
    noise = NOISE * max(abs(each.baseline), abs(each.baseline + each.difference))  # dollars are small
    seen = _seen(each, tests, level)
    if (
        tolerated is not None
        and p_adjusted is not None
        and p_adjusted <= 1 - level
        and each.drop > tolerated + noise
    ):
        reason = f"worse than the baseline by {each.drop:.3g}"
        reason += f", more than max_drop {tolerated:g}" if tolerated else ""
        return replace(verdict, outcome="regressed", reason=reason, evidence=each.fell[:_NAMED])
    if failed and (not each.missed_before or each.check.metric == NEVER_EXCUSED):
        then = "missed it too, which excuses no leak" if each.missed_before else "held it"
        return replace(verdict, reason=f"the baseline {then}", evidence=each.fell[:_NAMED])
    if each.lost:
        return replace(verdict, outcome="undecided", reason=_lost(each.lost), evidence=(), advice=_ACCEPT)
    if each.check.max_drop is not None and each.largest_drop > each.check.max_drop + noise:
        reason = f"a drop of {each.largest_drop:.3g} cannot be ruled out"
        reason += "; the threshold is missed, as in the baseline" if failed else ""
        return replace(verdict, outcome="undecided", reason=reason, evidence=each.fell[:_NAMED], advice=seen)
    if failed:
        return replace(verdict, known=True, reason="the baseline missed it too", advice=seen)
    fixed = "fixed: failed in the baseline" if each.missed_before else ""
    return replace(verdict, advice="; ".join(filter(None, (fixed, seen))))


_ACCEPT = "run all cases; if they were changed on purpose, make this run the baseline"


def _lost(cases: Sequence[str]) -> str:
    return f"{len(cases)} of the baseline's cases cannot be compared: {name_some(cases, _NAMED)}"


def _seen(each: Measured, tests: float, level: float) -> str:
    """
    The drop that four in five such runs would have called `regressed`, by the normal approximation, and
    what more repeats or more cases would see. The strictest step of Holm's correction is assumed.
    """
    if each.tolerated is None or not each.spread.error:
        return ""
    smallest = smallest_drop(each.spread.error, tests=tests, level=level)
    advice = f"this run could see a drop of {smallest:.2g}"
    if not each.tolerated or smallest <= each.tolerated or each.check.statistic != "mean":
        return advice
    if each.noise:
        repeats = _MORE * each.repeats
        saved = each.noise * (1 / each.repeats - 1 / repeats) / each.cases
        fewer = smallest * math.sqrt(max(each.spread.error**2 - saved, 0.0)) / each.spread.error
        advice += f"; {repeats} repeats would see {fewer:.2g}"
    if smallest > _FAR * each.tolerated:
        return advice
    cases = math.ceil(each.cases * (smallest / each.tolerated) ** 2)
    return f"{advice}; about {cases:,} cases would see one of {each.tolerated:g}"


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

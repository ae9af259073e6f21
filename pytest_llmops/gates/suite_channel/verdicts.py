"""
The suite channel's verdicts: is a metric worse in general, beyond what chance explains?

The unit is the case. Definitions, and their cost, are in docs/decisions/0019-what-a-red-run-guarantees.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.gates.absolute import judge_suite
from pytest_llmops.gates.baseline import ACCEPT
from pytest_llmops.gates.error_budget import Looks, divide_suite_share
from pytest_llmops.gates.paired_runs import Chance, Scales, describe_fact, shared_repeats
from pytest_llmops.gates.suite_channel.detectable_drops import find_detectable_drop
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, PairedSuites, results_of
from pytest_llmops.gates.suite_channel.progress import Progress, track_checks
from pytest_llmops.printable import name_some
from pytest_llmops.records import GAIN, CaseResult, Check, Golden, Run, SuiteCheck, Verdict
from pytest_llmops.registry import find_traits
from pytest_llmops.statistics.summaries import LINEAR

_ACCEPT = "run all cases; if they were changed on purpose, make this run the baseline"
_NAMED = 5


def judge_and_track(  # noqa: PLR0913 - both sides, and the rest of the run
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    level: float = 0.95,
    seed: int = 0,
    share: float | None = None,
    chance: Chance | None = None,
) -> dict[str, tuple[tuple[Verdict, Progress | None], ...]]:
    """
    A verdict for each suite check, in its place, with the progress of one that watches for a drop.

    Golden files share the suite's part of the error budget evenly, and within each Holm's correction runs
    over the checks that watch for a drop.

    - `error`: a case could not be scored, the scores of a case were made in unlike ways, or the metric is
      unknown.
    - `regressed`: the observed drop is above the tolerated one, and `p_adjusted` of any drop at all is
      at most `1 - level`, and that of a drop beyond `max_drop` at most `BEYOND`, of few cases
      `BEYOND_OF_FEW`; or it is above `max_drop` in an app that does not vary. Tolerated is `max_drop`;
      without one it is nothing for a bounded metric, and an unbounded one (seconds, dollars, tokens) is not
      watched. Where repeats may be made, fresh ones have confirmed it.
    - `failed`: the threshold is missed; `known` when the baseline missed it too.
    - `undecided`: the observed drop is above `max_drop`, and chance may explain it; or there is nothing to
      compare with, or cases of the baseline are lost.
    - `passed`: none of these. A drop that cannot be ruled out is advice.

    Args:
        suite: Golden file to its checks; they look at the cases whose ids start with it, or at all for "".
        level: Coverage of the intervals, between 0 and 1.
        seed: Fixes every resample, so that one pair of runs always meets one verdict.
        share: Of the error budget, for each of these files; by default they are all that the run has.
        chance: Of the whole baseline; by default of these results.
    """
    share = share or divide_suite_share(suite.values())
    chance = chance or Chance(base_results)
    verdicts: dict[str, tuple[tuple[Verdict, Progress | None], ...]] = {}
    for path, checks in suite.items():
        paired = PairedSuites(results_of(path, results), results_of(path, base_results), chance)
        judged = [paired.judge(check, level) for check in checks]
        watched = [item for item in judged if isinstance(item, PairedScores) and item.tolerated is not None]
        tracked = iter(track_checks(watched, paired.looks, share=share, level=level, seed=seed))
        tests = len(watched) / share
        of_file: list[tuple[Verdict, Progress | None]] = []
        for item in judged:
            if isinstance(item, Verdict):
                of_file.append((item, None))
                continue
            progress = None if item.tolerated is None else next(tracked)
            of_file.append((_judge(item, progress, tests=tests, level=level, seed=seed), progress))
        verdicts[path] = tuple(of_file)
    return verdicts


def judge_new_suite(checks: Sequence[SuiteCheck], results: Sequence[CaseResult]) -> tuple[Verdict, ...]:
    """The verdicts of a file without a baseline, by its thresholds; undecided where one only watches."""
    shared = shared_repeats(results)
    verdicts = []
    for check in checks:
        verdict = judge_suite(check, shared)
        if verdict.outcome == "passed" and check.comparison is None:
            reason = "nothing to compare with: there is no baseline of this file"
            verdict = replace(verdict, outcome="undecided", reason=reason, advice=f"accept one: {ACCEPT}")
        verdicts.append(verdict)
    return tuple(verdicts)


def track_suites(  # noqa: PLR0913 - both sides, and the rest of the run
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    share: float,
    chance: Chance,
    level: float = 0.95,
) -> list[Progress]:
    """
    The progress over the looks taken of each check that watches for a drop.

    Checks that cannot be measured are left out: no further repeat would help them.
    """
    tracked: list[Progress] = []
    for path, checks in suite.items():
        paired = PairedSuites(results_of(path, results), results_of(path, base_results), chance)
        broken = any(result.breakages for result in paired.results)
        judged = (
            paired.judge(check, level) if broken else paired.find(check)
            for check in checks
            if check.statistic != GAIN and not check.record_only
        )
        watched = [item for item in judged if isinstance(item, PairedScores) and item.tolerated is not None]
        tracked += track_checks(watched, paired.looks, share=share, level=level)
    return tracked


def watch_means(golden: Golden, base: Run | None) -> Golden:
    """
    A golden file that has a baseline, its suite with the mean of each metric that it or its cases check.

    A metric that the suite names by other statistics is watched like one that it does not name, unless
    `watch: false` is written, or the suite only records what no case checks.
    """
    if base is None or not results_of(golden.path, base.results):
        return golden
    checks: list[Check | SuiteCheck] = [check for case in golden.cases for check in case.checks]
    checks += golden.suite
    metrics = (check.metric for check in checks if not check.record_only)
    return replace(golden, suite=add_means(golden.suite, metrics))


def add_means(suite: Sequence[SuiteCheck], metrics: Iterable[str]) -> tuple[SuiteCheck, ...]:
    """A suite, with a check of the mean for each bounded one of these metrics whose mean it leaves open."""
    decided = decided_metrics(suite)
    scales = Scales()
    open_ones = (metric for metric in dict.fromkeys(metrics) if metric not in decided)
    return (*suite, *map(watch_mean, filter(scales.is_bounded, open_ones)))


def decided_metrics(suite: Iterable[SuiteCheck]) -> frozenset[str]:
    """Metrics of whose watch a suite decides; a sum that only records leaves it open."""
    return frozenset(
        check.metric
        for check in suite
        if not check.watch
        or check.statistic == "mean"
        or (check.statistic in LINEAR and not check.record_only)
    )


def watch_mean(metric: str) -> SuiteCheck:
    """A check of the mean without a threshold, which fails by a drop only."""
    return SuiteCheck(metric=metric, statistic="mean", comparison=None, threshold=None)


def tolerated_drops(suite: Mapping[str, Sequence[SuiteCheck]]) -> dict[str, float]:
    """Metric to the drop of its mean that passes, the smallest where several files name one."""
    drops: dict[str, float] = {}
    for checks in suite.values():
        for check in checks:
            if check.max_drop is not None and check.statistic == "mean":
                drops[check.metric] = min(check.max_drop, drops.get(check.metric, check.max_drop))
    return drops


def recorded_metrics(checks: Iterable[Check | SuiteCheck]) -> frozenset[str]:
    """Metrics that checks of suites or cases only record: none of these can drop by one."""
    checks = list(checks)
    recorded = {check.metric for check in checks if check.record_only}
    return frozenset(recorded - {check.metric for check in checks if not check.record_only})


def _judge(
    scores: PairedScores, progress: Progress | None, *, tests: float, level: float, seed: int
) -> Verdict:
    check, compared = scores.check, scores.at(None)
    spread = compared.interval(level=level, seed=seed)
    interval = spread.low, spread.high
    if scores.shocks is not None and check.statistic == "mean":
        interval = scores.shocks.widen(compared.difference, *interval, level)
    tested = progress if progress is not None and not scores.fact else None
    verdict = replace(
        scores.absolute,
        baseline=compared.values[0],
        difference=compared.difference,
        interval=interval,
        p_value=None if tested is None else tested.decisive[0],
        p_adjusted=None if tested is None else tested.decisive[1],
        cases=len(scores.values),
    )
    failed = scores.absolute.outcome == "failed"
    dropped = _name_dropped(scores)
    if progress is not None and progress.state == "regressed":
        tolerated = f", more than max_drop {check.max_drop:g}" if check.max_drop else ""
        reason = f"worse than the baseline by {compared.drop:.3g}{tolerated}"
        days = min((len(base.runs) for base, _ in scores.pairs), default=1)
        advice = describe_fact(days) if scores.fact else verdict.advice
        return replace(verdict, outcome="regressed", reason=reason, evidence=dropped, advice=advice)
    if failed and (not scores.missed_before or not find_traits(check.metric).excusable):
        then = "missed it too, which excuses no leak" if scores.missed_before else "held it"
        return replace(verdict, reason=f"the baseline {then}", evidence=dropped)
    if scores.lost:
        named = name_some(scores.lost, _NAMED)
        reason = f"{len(scores.lost)} of the baseline's cases cannot be compared: {named}"
        return replace(verdict, outcome="undecided", reason=reason, evidence=(), advice=_ACCEPT)
    power = _describe_power(scores, spread.error, tests, level, progress.looks) if progress else ""
    if progress is not None and _is_open(progress):
        reason = _describe_open(progress)
        reason += "; the threshold is missed, as in the baseline" if failed else ""
        return replace(verdict, outcome="undecided", reason=reason, evidence=dropped, advice=power)
    if failed:
        return replace(verdict, known=True, reason="the baseline missed it too", advice=power)
    fixed = "fixed: failed in the baseline" if scores.missed_before else ""
    return replace(verdict, advice="; ".join(filter(None, (fixed, power))))


def _name_dropped(scores: PairedScores) -> tuple[dict[str, object], ...]:
    """The cases that got worse the farthest, with their means on both sides."""
    sides = zip(scores.values, *scores.at(None).means, strict=True)
    worst = sorted(
        (scores.scale.sign * (after - before), case, before, after) for case, before, after in sides
    )
    dropped = [
        {"case": case, "before": before, "after": after} for by, case, before, after in worst if by < 0
    ]
    return tuple(dropped[:_NAMED])


def _is_open(progress: Progress) -> bool:
    """
    True if the observed drop is more than the tolerated one, and no test attributes it to chance. Without a
    `max_drop` any drop is more, and counts where a test called it.
    """
    counts = progress.scores.check.max_drop is not None or progress.state == "called"
    return counts and progress.state != "cleared" and progress.is_beyond_tolerance


def _describe_open(progress: Progress) -> str:
    cases = len(progress.scores.values)
    reason = f"dropped by {progress.scores.at(None).drop:.3g}"
    if progress.state == "refuted":
        return f"{reason}, which fresh repeats did not confirm"
    if progress.state == "called":
        return f"{reason}, not confirmed: the repeats for it were not made"
    return f"{reason}; {'1 case is' if cases == 1 else f'{cases} cases are'} too few to prove it"


def _describe_power(scores: PairedScores, error: float, tests: float, level: float, looks: Looks) -> str:
    """The drop that four in five such runs would call `regressed`, and the way to a smaller one."""
    if not error:
        return ""
    drop = find_detectable_drop(
        scores.check,
        [old for old, _ in scores.values.values()],
        error=error,
        repeats=min(map(len, scores.at(None).new)),
        steady=scores.fact,
        tests=tests,
        level=level,
        looks=looks,
    )
    if drop.smallest_drop is None:
        return drop.advice
    advice = f"this run could see a drop of {drop.smallest_drop:.2g}"
    more = drop.advice if scores.tolerated and scores.check.statistic in LINEAR else ""
    return "; ".join(filter(None, (advice, more)))

"""
The suite channel: is a metric worse in general, beyond what chance explains?

The unit is the case. Definitions, and what they cost, are in docs/decisions/0005-first-gate.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates import statistic as statistics
from pytest_llmops.gates.pairing import Scale, find_scale, pair_cases, signatures
from pytest_llmops.gates.resampling import Spread, adjust_holm, paired_interval, paired_p_value
from pytest_llmops.gates.thresholds import (
    case_means,
    judge_suite,
    scoring_breakage,
)
from pytest_llmops.records import CaseResult, SuiteCheck, Verdict

_POWER = 0.8
_ROUNDING = 1e-9
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """
    A suite check beside its baseline, before the tests of all checks are set against each other.

    Attributes:
        absolute: What the threshold alone says.
        missed_before: The baseline missed the threshold too.
        lost: Cases of the baseline that could not be paired.
        fell: The pairs that got worse, the farthest first.
    """

    check: SuiteCheck
    absolute: Verdict
    scale: Scale
    baseline: float
    difference: float
    spread: Spread
    p_value: float
    missed_before: bool
    lost: tuple[str, ...]
    fell: tuple[dict[str, object], ...]
    cases: int

    @property
    def tolerated(self) -> float | None:
        """The drop that passes, in the metric's unit; None when no drop is watched for."""
        if self.check.max_drop is None and self.scale.bounded:
            return 0.0
        return self.check.max_drop

    @property
    def drop(self) -> float:
        """How much worse the observed value is; negative when better."""
        return -self.difference if self.scale.higher_is_better else self.difference

    @property
    def largest_drop(self) -> float:
        """The worse end of the interval, as a drop."""
        return -self.spread.low if self.scale.higher_is_better else self.spread.high


def judge_suites_against(
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[Verdict, ...]]:
    """
    A verdict for each suite check, in its place: threshold, then baseline.

    Holm's correction runs over the checks that watch for a drop, so that the chance of any false
    `regressed` among them is at most `1 - level`.

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
    """
    measured = {
        (path, index): _measure(check, _of(path, results), _of(path, base_results), level=level, seed=seed)
        for path, checks in suite.items()
        for index, check in enumerate(checks)
    }
    watched = {
        place: each.p_value
        for place, each in measured.items()
        if isinstance(each, _Measured) and each.tolerated is not None
    }
    adjusted = dict(zip(watched, adjust_holm(list(watched.values())), strict=True))
    verdicts = {
        place: each if isinstance(each, Verdict) else _judge(each, adjusted.get(place), len(watched), level)
        for place, each in measured.items()
    }
    return {
        path: tuple(verdicts[path, index] for index in range(len(checks))) for path, checks in suite.items()
    }


def _of(path: str, results: Sequence[CaseResult]) -> list[CaseResult]:
    return [result for result in results if not path or result.case.startswith(f"{path}::")]


def _measure(
    check: SuiteCheck,
    results: Sequence[CaseResult],
    base_results: Sequence[CaseResult],
    *,
    level: float,
    seed: int,
) -> _Measured | Verdict:
    absolute = judge_suite(check, results)
    if absolute.outcome == "error":
        return absolute
    try:
        scale = find_scale(check.metric, check.options)
    except LLMOpsError as error:
        return _error(absolute, str(error))
    pairs = pair_cases(base_results, results)
    sound = [
        (base, new)
        for base, new in pairs.shared
        if not scoring_breakage(check.metric, base) and not scoring_breakage(check.metric, new)
    ]
    before = case_means(check.metric, [base for base, _ in sound])
    after = case_means(check.metric, [new for _, new in sound])
    if not before:
        return _error(
            absolute, f"no case was scored by {check.metric} in both runs, so nothing can be compared"
        )
    for base, new in sound:
        made, was = signatures(check.metric, new), signatures(check.metric, base)
        if made != was:
            reason = f"{new.case}: scored by {' and '.join(made)}, in the baseline by {' and '.join(was)}"
            return replace(
                _error(absolute, f"{reason}; unlike scores are not compared"),
                advice="record the baseline again",
            )
    had = {result.case for result in base_results if _says(check.metric, result)}
    base_values, values = list(before.values()), list(after.values())
    baseline = statistics.calculate(check.statistic, base_values)
    sign = 1.0 if scale.higher_is_better else -1.0
    fell = sorted((sign * (after[case] - before[case]), case) for case in before)
    return _Measured(
        check=check,
        absolute=absolute,
        scale=scale,
        baseline=baseline,
        difference=statistics.calculate(check.statistic, values) - baseline,
        spread=paired_interval(check.statistic, base_values, values, level=level, seed=seed),
        p_value=paired_p_value(
            check.statistic,
            base_values,
            values,
            worse="less" if scale.higher_is_better else "greater",
            seed=seed,
        ),
        missed_before=judge_suite(check, [base for base, _ in sound]).outcome == "failed",
        lost=tuple(sorted(had - before.keys())),
        fell=tuple(
            {"case": case, "before": before[case], "after": after[case]} for by, case in fell if by < 0
        ),
        cases=len(before),
    )


def _says(metric: str, result: CaseResult) -> bool:
    """Whether a metric has to do with a case: it scored it, or should have."""
    return any(score.metric == metric for score in result.scores) or any(
        failure.metric in {"", metric} for failure in result.failures
    )


def _error(absolute: Verdict, reason: str) -> Verdict:
    return replace(absolute, outcome="error", reason=reason)


def _judge(each: _Measured, p_adjusted: float | None, watched: int, level: float) -> Verdict:
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
    seen = _seen(each, watched, level)
    if (
        tolerated is not None
        and p_adjusted is not None
        and p_adjusted <= 1 - level + _ROUNDING
        and each.drop > tolerated + _ROUNDING
    ):
        reason = f"worse than the baseline by {each.drop:.3g}"
        reason += f", more than max_drop {tolerated:g}" if tolerated else ""
        return replace(verdict, outcome="regressed", reason=reason, evidence=each.fell[:_NAMED])
    if failed and not each.missed_before:
        return replace(verdict, reason="the baseline held it", evidence=each.fell[:_NAMED])
    if each.lost:
        return replace(verdict, outcome="undecided", reason=_lost(each.lost), evidence=(), advice=_ACCEPT)
    if each.check.max_drop is not None and each.largest_drop > each.check.max_drop + _ROUNDING:
        reason = f"a drop of {each.largest_drop:.3g} cannot be ruled out"
        reason += "; the threshold is missed, as in the baseline" if failed else ""
        return replace(verdict, outcome="undecided", reason=reason, evidence=each.fell[:_NAMED], advice=seen)
    if failed:
        return replace(verdict, known=True, reason="the baseline missed it too", advice=seen)
    fixed = "fixed: failed in the baseline" if each.missed_before else ""
    return replace(verdict, advice="; ".join(filter(None, (fixed, seen))))


_ACCEPT = "run all cases; if they were changed on purpose, make this run the baseline"


def _lost(cases: Sequence[str]) -> str:
    named = ", ".join(cases[:_NAMED]) + (f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else "")
    return f"{len(cases)} of the baseline's cases cannot be compared: {named}"


def _seen(each: _Measured, watched: int, level: float) -> str:
    """
    The drop that four in five such runs would have called `regressed`, by the normal approximation, and
    the cases that it would take to see `max_drop`. The strictest step of Holm's correction is assumed.
    """
    if each.tolerated is None or not each.spread.error:
        return ""
    normal = NormalDist()
    reach = normal.inv_cdf(1 - (1 - level) / watched) + normal.inv_cdf(_POWER)
    smallest = reach * each.spread.error
    advice = f"this run could see a drop of {smallest:.2g}"
    if each.tolerated and smallest > each.tolerated and each.check.statistic == "mean":
        advice += f"; about {math.ceil(each.cases * (smallest / each.tolerated) ** 2):,} cases"
        advice += f" would see one of {each.tolerated:g}"
    return advice

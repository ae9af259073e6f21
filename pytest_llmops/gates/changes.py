"""
The case channel: is a metric worse on this case, by its own repeats?

The unit is the repeat. A case that is reported here fell further than its repeats scatter, which the
mean over many cases may hide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates import statistic
from pytest_llmops.gates.pairing import (
    Pairs,
    ask_the_same,
    find_scale,
    is_fact,
    signatures,
    values_by_metric,
)
from pytest_llmops.gates.resampling import Worse, adjust_holm, repeats_p_values, smallest_p_value
from pytest_llmops.gates.thresholds import judge_case
from pytest_llmops.records import Case, CaseResult, Change, Check, Verdict


def judge_against(
    case: Case, result: CaseResult, base: CaseResult | None, *, level: float = 0.95, tests: int = 1
) -> tuple[Verdict, ...]:
    """
    A verdict for each check of a case: its threshold decides, and the baseline says what that means.

    - It holds now: `passed`; where the baseline missed it the advice says `fixed`.
    - It is missed now and was before: `failed`, and `known`.
    - It held before: `regressed` when the fall is a fact (`is_fact`) or the repeats show it at the
      level, corrected for the number of tests; otherwise `failed`, for a threshold is missed either way.

    A case that the baseline lacks, could not score, asked otherwise or scored otherwise is judged by
    its thresholds alone, and the advice says so.

    Args:
        level: One minus the chance of a false `regressed`, between 0 and 1.
        tests: How many case checks the run has; each p-value counts that many times (Bonferroni).
    """
    verdicts = judge_case(case, result)
    if base is None or not ask_the_same(base, result):
        return tuple(_alone(verdict, "the baseline has no such case") for verdict in verdicts)
    before = judge_case(case, base)
    return tuple(
        _call(_compare(check, now, then, base, result), level, tests)
        for check, now, then in zip(case.checks, verdicts, before, strict=False)
    ) or tuple(verdicts)


def list_changes(pairs: Pairs, *, level: float = 0.95) -> tuple[Change, ...]:
    """
    The readings of shared cases that differ from the baseline's, each the mean of its repeats.

    `confirmed` are facts (`is_fact`) in either direction, and falls that the repeats show at the level
    with Holm's correction over all readings that could have fallen. Readings that were made in unlike
    ways are left out, and so are metrics without bounds (seconds, dollars, tokens).
    """
    changes: list[Change] = []
    open_readings: list[_Reading] = []
    tested = 0
    scales: dict[str, Worse | None] = {}
    for base, new in pairs.shared:
        before, after = values_by_metric(base), values_by_metric(new)
        for metric in sorted(before.keys() & after.keys()):
            if metric not in scales:
                scales[metric] = _worse_side(metric)
            worse = scales[metric]
            if worse is None or signatures(metric, base) != signatures(metric, new):
                continue
            fact = is_fact(base, new, before[metric], after[metric])
            tested += not fact
            change = Change(
                case=new.case,
                metric=metric,
                before=statistic.calculate("mean", before[metric]),
                after=statistic.calculate("mean", after[metric]),
                confirmed=fact,
            )
            if change.before == change.after:
                continue
            fell = (change.after < change.before) == (worse == "less")
            changes.append(change)
            if fell and not fact:
                open_readings.append((len(changes) - 1, before[metric], after[metric], worse))
    for index in _confirmed(open_readings, tested, level):
        changes[index] = replace(changes[index], confirmed=True)
    return tuple(changes)


_NEVER_KNOWN = "pii_leak"  # a leak is none the less one for being old
_Reading = tuple[int, list[float], list[float], Worse]


def _confirmed(readings: Sequence[_Reading], tested: int, level: float) -> list[int]:
    """Which of the falls are no chance, by their index."""
    import numpy as np

    shapes: dict[tuple[int, int, Worse], list[_Reading]] = defaultdict(list)
    for reading in readings:
        before, after = len(reading[1]), len(reading[2])
        if smallest_p_value(before, after) <= 1 - level:
            shapes[before, after, reading[3]].append(reading)
    p_values: dict[int, float] = {}
    for (_, _, worse), alike in shapes.items():
        base = np.array([before for _, before, _, _ in alike])
        new = np.array([after for _, _, after, _ in alike])
        p_values.update(
            zip((index for index, *_ in alike), repeats_p_values(base, new, worse=worse), strict=True)
        )
    # What did not fall, or has too few repeats to tell, takes part in the correction with nothing to show.
    family = [*p_values.values(), *([1.0] * (tested - len(p_values)))]
    adjusted = dict(zip(p_values, adjust_holm(family), strict=False))
    return [index for index, p_value in adjusted.items() if p_value <= 1 - level]


def _worse_side(metric: str) -> Worse | None:
    """The side on which a metric is worse; None when its changes are not listed."""
    try:
        scale = find_scale(metric)
    except LLMOpsError:
        return None
    if not scale.bounded:
        return None
    return "less" if scale.higher_is_better else "greater"


def _compare(check: Check, now: Verdict, then: Verdict, base: CaseResult, new: CaseResult) -> Verdict:
    """The verdict beside its baseline; a fall that may be chance has its p-value and awaits `_call`."""
    if now.outcome == "error":
        return now
    if then.observed is None or now.observed is None:
        return _alone(now, f"the baseline has no score: {then.reason}")
    made, was = signatures(check.metric, new), signatures(check.metric, base)
    if made != was:
        how = f"scored by {' and '.join(made)}, in the baseline by {' and '.join(was)}"
        return replace(now, outcome="error", reason=f"{how}: not comparable; make the baseline again")
    known = now.outcome == "failed" == then.outcome and check.metric != _NEVER_KNOWN
    advice = "failed in the baseline too" if known else ""
    if now.outcome == "passed" and then.outcome == "failed":
        advice = "fixed: failed in the baseline"
    verdict = replace(
        now, baseline=then.observed, difference=now.observed - then.observed, known=known, advice=advice
    )
    return verdict if known or now.outcome == "passed" else _weigh(check, verdict, base, new)


def _weigh(check: Check, verdict: Verdict, base: CaseResult, new: CaseResult) -> Verdict:
    import numpy as np

    before, after = values_by_metric(base)[check.metric], values_by_metric(new)[check.metric]
    if is_fact(base, new, before, after):
        return replace(verdict, outcome="regressed", advice="no repeat differs, so the app changed here")
    worse: Worse = "less" if check.comparison in {">=", ">"} else "greater"
    return replace(verdict, p_value=repeats_p_values(np.array([before]), np.array([after]), worse=worse)[0])


def _call(verdict: Verdict, level: float, tests: int) -> Verdict:
    if verdict.p_value is None:
        return verdict
    p_adjusted = min(1.0, verdict.p_value * max(1, tests))
    if p_adjusted <= 1 - level:
        advice = "held in the baseline; the repeats rule out chance"
        return replace(verdict, outcome="regressed", p_adjusted=p_adjusted, advice=advice)
    advice = "held in the baseline; the repeats do not rule out chance"
    return replace(verdict, p_adjusted=p_adjusted, advice=advice)


def _alone(verdict: Verdict, why: str) -> Verdict:
    """A verdict that stands on the threshold alone; told where somebody will read it."""
    return verdict if verdict.outcome == "error" else replace(verdict, advice=why)

"""The readings of the case channel for two runs: which checks of which cases can be read on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_llmops.bounds import is_minimum
from pytest_llmops.gates.absolute.repeated_checks import is_about_passing, is_judged_by_rate
from pytest_llmops.gates.case_channel.check_reading import Reading
from pytest_llmops.gates.case_channel.movement import Movement, estimate_movement
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.paired_runs.index import means_by_metric, signatures_by_metric, values_by_metric
from pytest_llmops.gates.paired_runs.pairing import Chance, Pairs, Scale, Scales
from pytest_llmops.records import CaseResult, Check
from pytest_llmops.registry import find_traits


def read_case(base: CaseResult, new: CaseResult, chance: Chance) -> Iterable[Reading]:
    """
    The checks of a case that both sides have scores for, made in the same way.

    These are the checks of its golden file; for a metric that was scored and not checked, what the metric
    itself takes for good. Seconds, dollars and tokens are left out.
    """
    before, after = values_by_metric(base), values_by_metric(new)
    made, was = signatures_by_metric(new), signatures_by_metric(base)
    for check in checks_of(new, chance.scales):
        metric = check.metric
        if metric in before and metric in after and made[metric] == was[metric]:
            yield read_check(base, new, check, chance)


def read_check(base: CaseResult, new: CaseResult, check: Check, chance: Chance) -> Reading:
    """One check of a case that both sides have scores for."""
    before, after = values_by_metric(base)[check.metric], values_by_metric(new)[check.metric]
    scale = chance.scales[check.metric] or Scale(higher_is_better=is_minimum(check), bounded=False)
    return Reading(
        case=new.case,
        check=check,
        scale=scale,
        before=before,
        after=after,
        fact=scale.bounded and not chance.may_explain(base, new),
        most=new.auto,
        alike=chance.alike,
        means=(means_by_metric(base)[check.metric], means_by_metric(new)[check.metric]),
        by_rate=(
            not scale.bounded
            or is_judged_by_rate(check, lambda: scale.range[1])
            or (is_about_passing(check) and {*before, *after} <= {0.0, 1.0})
        ),
    )


def read_pairs(pairs: Pairs, chance: Chance | None = None) -> dict[str, list[Reading]]:
    """
    Case to its readings, each knowing what the others say of it; `chance` is what these pairs say of the app,
    where nothing more is known.
    """
    chance = chance or Chance([base for base, _ in pairs.shared])
    readings = {new.case: list(read_case(base, new, chance)) for base, new in pairs.shared}
    moved = find_movement(readings)
    for each in (each for of_case in readings.values() for each in of_case):
        object.__setattr__(each, "moved", moved)  # a copy would count again what it holds; nobody has it yet
    return readings


def case_budget(readings: Mapping[str, Sequence[Reading]], level: float = 0.95) -> CaseBudget:
    """The budget of a comparison that has these readings alone."""
    return CaseBudget(tests=sum(map(len, readings.values())), level=level)


def find_movement(readings: Mapping[str, Iterable[Reading]]) -> Movement:
    """What the readings of a run say together of each one."""
    return estimate_movement(
        (each.check.metric, each.rates)
        for of_case in readings.values()
        for each in of_case
        if each.by_rate and not each.fact
    )


def checks_of(result: CaseResult, scales: Scales) -> list[Check]:
    """What is asked of each bounded metric, and of leaks, by a case's golden file or by the metric itself."""
    written = [
        check
        for check in result.checks
        if not check.record_only and (scale := scales[check.metric]) and scale.bounded
    ]
    named = {check.metric for check in result.checks}
    scored = dict.fromkeys(score.metric for score in result.scores if score.metric not in named)
    own = [
        Check(metric=metric, comparison=scale.bound.comparison, threshold=scale.bound.threshold)
        for metric in scored
        if (scale := scales[metric]) is not None and scale.bound is not None
        if scale.bounded or not find_traits(metric).excusable
    ]
    return [*written, *own]

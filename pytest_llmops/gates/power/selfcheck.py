"""What a baseline's own repeats say of the gate: how often it is red for nothing, and which drop it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from pytest_llmops.errors import SelfCheckError
from pytest_llmops.gates.case_channel.check_reading import Reading
from pytest_llmops.gates.case_channel.paired_readings import checks_of
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.looks import plan_looks
from pytest_llmops.gates.paired_runs.pairing import Chance, Scale
from pytest_llmops.gates.power.detectable_drops import (
    RECORD,
    DetectableDrop,
    find_detectable_drops,
    find_scored,
)
from pytest_llmops.gates.power.false_alarms import FalseAlarms, count_false_alarms, scored_repeats
from pytest_llmops.gates.power.recorded_cases import Recorded, sort_cases
from pytest_llmops.gates.suite_channel.drops import watch_mean
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.records import GAIN, CaseResult, Check, Golden, Run, SuiteCheck
from pytest_llmops.settings import Settings

RUNS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """
    What the gate is worth against a baseline: its false alarms, and the drops that it would see.

    Attributes:
        level: One minus the chance of a false alarm that the gate allows itself.
        repeats: New repeats of a case that the drops are estimated for.
        false_alarms: None where no case has two repeats.
        broken_case: New repeats after which a case that always held and never does any more is named; None
            where the most that is allowed is too few, or where no case has a check.
        unscored: Cases left out: the app or a metric broke in them, or nothing was scored.
    """

    level: float
    repeats: int
    false_alarms: FalseAlarms | None
    checks: tuple[DetectableDrop, ...]
    cases: Recorded
    broken_case: int | None
    unscored: tuple[str, ...]


def check_itself(  # noqa: PLR0913 - what was recorded, and what the gate will be held to
    base: Run,
    goldens: Iterable[Golden] = (),
    *,
    repeats: int,
    most: int,
    runs: int = RUNS,
    seed: int = 0,
    level: float = 0.95,
) -> SelfCheck:
    """
    Hold the gate against a baseline's own repeats.

    Args:
        goldens: They have the checks of the cases and of the suite.
        repeats: How often a new run runs each case; `most` is the limit of `auto`.
        runs: Pairs of halves to compare, 1 at least; `seed` fixes them.

    Raises:
        SelfCheckError: Nothing in the baseline was scored.
    """
    goldens = tuple(goldens)
    written = {id_: case.checks for id_, case in cases_by_id(*goldens).items()}
    scored, unscored = find_scored(base.results)
    if not scored:
        raise SelfCheckError(f"nothing in the baseline was scored, so nothing can be checked; {RECORD}")
    results = [replace(each, checks=written.get(each.case, each.checks)) for each in scored]
    chance = Chance(results)
    suite = find_suite({**base.suite, **{each.path: each.suite for each in goldens}}, results, chance)
    cases = sort_cases(results, chance)
    checks = find_detectable_drops(suite, results, repeats=repeats, steady=cases.app_is_steady, level=level)
    return SelfCheck(
        level=level,
        repeats=repeats,
        false_alarms=count_false_alarms(suite, results, chance, runs=runs, seed=seed, level=level),
        checks=checks,
        cases=cases,
        broken_case=_repeats_to_name(results, chance, cases, most, level),
        unscored=unscored,
    )


def plan_repeats(settings: Settings) -> int:
    """How often a run will run a varying case; where that is decided look by look, by the last one."""
    if isinstance(settings.repeats, int):
        return settings.repeats
    return plan_looks(settings.max_repeats).planned[-1]


def find_suite(
    known: Mapping[str, Sequence[SuiteCheck]], results: Sequence[CaseResult], chance: Chance
) -> dict[str, tuple[SuiteCheck, ...]]:
    """
    Golden file to its suite checks: those known, for it or under "" for all, else the mean of each bounded
    metric of its cases. Where no file has any, the mean of each bounded metric. Gains are left out: a
    baseline holds no rival's answers.
    """
    known = {
        path: tuple(check for check in checks if check.statistic != GAIN)
        for path, checks in known.items()
        if not checks or any(check.statistic != GAIN for check in checks)
    }
    by_path: dict[str, list[CaseResult]] = {}
    for result in results:
        by_path.setdefault(result.case.rpartition("::")[0], []).append(result)
    everywhere = tuple(known.get("", ()))
    suite = {
        path: tuple(known.get(path, () if everywhere else _means(of_file, chance)))
        for path, of_file in sorted(by_path.items())
    }
    suite[""] = suite.get("", ()) or everywhere
    return {path: checks for path, checks in suite.items() if checks} or {"": _means(results, chance)}


def _means(results: Iterable[CaseResult], chance: Chance) -> tuple[SuiteCheck, ...]:
    metrics = sorted({score.metric for result in results for score in result.scores})
    return tuple(
        watch_mean(metric)
        for metric in metrics
        if (scale := chance.scales[metric]) is not None and scale.bounded
    )


def _repeats_to_name(
    results: Sequence[CaseResult], chance: Chance, cases: Recorded, most: int, level: float
) -> int | None:
    """New repeats that name a case which held each of the recorded ones, of which it has the usual number."""
    budget = CaseBudget(tests=sum(len(checks_of(result, chance.scales)) for result in results), level=level)
    recorded = median_low(len(scored_repeats(result)) for result in results)
    for repeats in range(1, most + 1) if budget.tests else ():
        broken = Reading(
            case="",
            check=Check(metric="", comparison=">=", threshold=1.0),
            scale=Scale(higher_is_better=True, bounded=True, range=(0.0, 1.0)),
            before=[1.0] * recorded,
            after=[0.0] * repeats,
            fact=cases.app_is_steady,
        )
        if broken.state(budget) == "regressed":
            return repeats
    return None

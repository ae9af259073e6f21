"""
What a baseline's own repeats say of the gate: how often it is red for nothing, and which drop it sees.

Random halves of the repeats are two runs of one and the same app, so each time the gate calls one half
worse than the other is a false alarm.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pytest_llmops.errors import SelfCheckError
from pytest_llmops.gates.answers import digest
from pytest_llmops.gates.changes import Reading, checks_of
from pytest_llmops.gates.comparison import compare
from pytest_llmops.gates.looks import BASELINE_REPEATS, LOOKS
from pytest_llmops.gates.pairing import STEADY, Chance
from pytest_llmops.gates.pass_rates import PassRates
from pytest_llmops.gates.sight import Sight, foresee_drops
from pytest_llmops.records import CaseResult, Check, Golden, Run, SuiteCheck
from pytest_llmops.settings import Settings

RUNS = 200
RECORD = f"record the baseline with --llm-repeats auto or {BASELINE_REPEATS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """
    The scored cases of a baseline by what their repeats say; ids, sorted.

    Attributes:
        varying: Two repeats differ in the answer or in a score.
        steady: Two repeats or more, all alike.
        single: One repeat: nobody knows how the next would be.
    """

    varying: tuple[str, ...] = ()
    steady: tuple[str, ...] = ()
    single: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.varying) + len(self.steady) + len(self.single)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """
    The share of pairs of halves that were `regressed`, with its 95 % interval, all in [0, 1].

    Attributes:
        runs: Pairs compared; 0 where no half can differ from another, so that the rate is 0 as a fact.
    """

    rate: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """
    Attributes:
        repeats: New repeats of a case that the drops are foreseen for.
        false_alarms: None where no case has two repeats.
        broken_case: New repeats after which a case that always held and never does any more is named;
            None where the most that is allowed is not enough.
        unscored: Cases left out, since the app or a metric broke in them or nothing was scored.
    """

    repeats: int
    false_alarms: FalseAlarms | None
    checks: tuple[Sight, ...]
    cases: Recorded
    broken_case: int | None
    unscored: tuple[str, ...] = ()


def check_itself(  # noqa: PLR0913 - what was recorded, and how it will be used
    base: Run,
    goldens: Iterable[Golden] = (),
    *,
    repeats: int = 1,
    most: int = Settings.max_repeats,
    runs: int = RUNS,
    seed: int = 0,
    level: float = 0.95,
) -> SelfCheck:
    """
    Hold the gate against a baseline's own repeats.

    Args:
        goldens: They say what is asked of cases and suite. Where none tells it, that is the mean of each
            bounded metric.
        repeats: How often a new run will ask each case; `most` is what `auto` may ask at most.
        runs: Pairs of halves to compare.

    Raises:
        SelfCheckError: Nothing in the baseline was scored.
    """
    goldens = tuple(goldens)
    scored, unscored = _scored(base.results)
    if not scored:
        raise SelfCheckError(f"nothing in the baseline was scored, so nothing can be checked; {RECORD}")
    asked = {f"{golden.path}::{case.id}": case.checks for golden in goldens for case in golden.cases}
    results = [replace(each, checks=asked.get(each.case, each.checks)) for each in scored]
    chance = Chance(results)
    suite = find_suite(replace(base, results=tuple(results)), goldens, chance)
    recorded = sort_cases(results, chance)
    foreseen = foresee_drops(suite, results, repeats=repeats, level=level)
    return SelfCheck(
        repeats=repeats,
        false_alarms=_measure(recorded, foreseen, results, partial(_is_red, suite, level), runs, seed),
        checks=foreseen,
        cases=recorded,
        broken_case=_repeats_to_name(results, chance, most, level),
        unscored=unscored,
    )


def planned_repeats(settings: Settings) -> int:
    """How often a run will ask each varying case; with `auto` at the last look at the suite."""
    return min(LOOKS[-1], settings.max_repeats) if settings.repeats == "auto" else settings.repeats


def sort_cases(results: Iterable[CaseResult], chance: Chance) -> Recorded:
    sorted_by: dict[str, list[str]] = {"varying": [], "steady": [], "single": []}
    for result in results:
        if not chance.is_alike(result):
            sorted_by["varying"].append(result.case)
        elif len(result.answers or result.outputs) >= STEADY:
            sorted_by["steady"].append(result.case)
        else:
            sorted_by["single"].append(result.case)
    return Recorded(**{name: tuple(sorted(cases)) for name, cases in sorted_by.items()})


def find_suite(base: Run, goldens: Iterable[Golden], chance: Chance) -> dict[str, tuple[SuiteCheck, ...]]:
    """
    Golden file to its suite checks: its own, else those of the run that the baseline is, else the mean of
    each bounded metric of its cases. Where no file has any, the mean of each bounded metric of all cases.
    """
    known = {**base.suite, **{golden.path: golden.suite for golden in goldens}}
    paths = {_path(result.case) for result in base.results}
    means = {
        path: _means((each for each in base.results if _path(each.case) == path), chance)
        for path in sorted(paths - known.keys())
    }
    suite = {path: tuple(checks) for path, checks in known.items() if path in paths | {""}} | means
    return suite if any(suite.values()) else {"": _means(base.results, chance)}

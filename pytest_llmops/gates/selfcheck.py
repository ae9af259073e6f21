"""The gate checked against a baseline's own repeats: its false alarms, and the drops that it would detect."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from pytest_llmops.errors import SelfCheckError
from pytest_llmops.gates.case_channel.reading import Reading, checks_of
from pytest_llmops.gates.case_results import answer_digests, values_by_metric
from pytest_llmops.gates.comparison import compare
from pytest_llmops.gates.error_budget import CaseBudget, plan_looks
from pytest_llmops.gates.paired_runs import STEADY, Chance, Scale
from pytest_llmops.gates.suite_channel.detectable_drops import (
    RECORD,
    DetectableDrop,
    find_detectable_drops,
    find_scored,
)
from pytest_llmops.gates.suite_channel.paired_scores import tolerated_drop
from pytest_llmops.gates.suite_channel.verdicts import watch_mean
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.records import GAIN, CaseResult, Check, Golden, Run, SuiteCheck
from pytest_llmops.settings import Settings
from pytest_llmops.statistics.intervals import exact_interval

RUNS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """
    The share of pairs of halves that were `regressed`, with its 95 % interval, all in [0, 1].

    Random halves of the repeats are two runs of one and the same app: whenever the gate calls one half worse
    than the other, that is a false alarm.

    Attributes:
        runs: Pairs compared; 0 where no half can differ from another, so that the rate is 0 by itself.
    """

    rate: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviations:
    """
    Answers that differ from their case's most frequent one, of all repeats but one of each case.

    Attributes:
        high: The upper end of the 95 % interval of the rate, in [0, 1], exact (Clopper and Pearson 1934).
    """

    deviating: int
    repeats: int
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """
    The scored cases of a baseline by their repeats; ids, sorted.

    Attributes:
        varying: Two repeats differ in the answer or in a score.
        steady: Two repeats or more, all alike.
        single: One repeat: whether it varies is unknown.
        deviations: The rate of answers that differ from their case's most frequent one; None without repeats.
        left_out: Repeats that are not counted, since a cache answered them with an earlier one's answer.
    """

    varying: tuple[str, ...]
    steady: tuple[str, ...]
    single: tuple[str, ...]
    deviations: Deviations | None = None
    left_out: int = 0

    @property
    def count(self) -> int:
        return len(self.varying) + len(self.steady) + len(self.single)

    @property
    def app_is_steady(self) -> bool:
        return not self.varying and not self.single


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """
    The worth of the gate against a baseline: its false alarms, and the drops that it would detect.

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


def check_itself(  # noqa: PLR0913 - the baseline, and the settings of a run
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
    Check the gate against a baseline's own repeats.

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
    results = [replace(result, checks=written.get(result.case, result.checks)) for result in scored]
    chance = Chance(results)
    suite = find_suite({**base.suite, **{golden.path: golden.suite for golden in goldens}}, results, chance)
    cases = sort_cases(results, chance)
    by_looks = most if repeats == plan_looks(most).planned[-1] else 0
    checks = find_detectable_drops(
        suite, results, repeats=repeats, steady=cases.app_is_steady, level=level, most=by_looks
    )
    return SelfCheck(
        level=level,
        repeats=repeats,
        false_alarms=_count_false_alarms(suite, results, chance, runs=runs, seed=seed, level=level),
        checks=checks,
        cases=cases,
        broken_case=_repeats_to_name(results, chance, cases, most, level),
        unscored=unscored,
    )


def plan_repeats(settings: Settings) -> int:
    """The new repeats of a varying case in a run; those at the last look where it is run look by look."""
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
        path: tuple(known.get(path, () if everywhere else _watch_bounded(of_file, chance)))
        for path, of_file in sorted(by_path.items())
    }
    suite[""] = suite.get("", ()) or everywhere
    return {path: checks for path, checks in suite.items() if checks} or {"": _watch_bounded(results, chance)}


def _watch_bounded(results: Iterable[CaseResult], chance: Chance) -> tuple[SuiteCheck, ...]:
    metrics = sorted({score.metric for result in results for score in result.scores})
    return tuple(map(watch_mean, filter(chance.scales.is_bounded, metrics)))


def sort_cases(results: Sequence[CaseResult], chance: Chance) -> Recorded:
    """
    Sort the cases by their repeats.

    Args:
        results: Sorted by case.
        chance: Of just these results.
    """
    varying: list[str] = []
    steady: list[str] = []
    single: list[str] = []
    answers = [answer_digests(result) for result in results]
    for result, digests in zip(results, answers, strict=True):
        if chance.app_varies and not chance.is_alike(result):
            varying.append(result.case)
        else:
            (steady if len(digests) >= STEADY else single).append(result.case)
    deviations = None
    if repeats := sum(len(digests) - 1 for digests in answers if digests):
        most_frequent = (Counter(digests).most_common(1)[0][1] for digests in answers if digests)
        deviating = sum(map(len, answers)) - sum(most_frequent)
        deviations = Deviations(
            deviating=deviating, repeats=repeats, high=exact_interval(deviating, repeats)[1]
        )
    return Recorded(
        varying=tuple(varying),
        steady=tuple(steady),
        single=tuple(single),
        deviations=deviations,
        left_out=sum(result.left_out for result in results),
    )


def _count_false_alarms(  # noqa: PLR0913 - the baseline, and the halves that are drawn
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Iterable[CaseResult],
    chance: Chance,
    *,
    runs: int,
    seed: int,
    level: float,
) -> FalseAlarms | None:
    halved = [result for result in results if len(_scored_repeats(result)) >= STEADY]
    if not halved:
        return None
    watched = {
        path: tuple(
            check
            for check in checks
            if (scale := chance.scales[check.metric]) and tolerated_drop(check, scale) is not None
        )
        for path, checks in suite.items()
    }
    if any(watched.values()):
        suite = watched  # the others cannot be red, and only take time
    metrics = {check.metric for checks in watched.values() for check in checks}
    if not any(_differs(result, metrics, chance) for result in halved):
        return FalseAlarms(rate=0.0, low=0.0, high=0.0, runs=0)
    draw = random.Random(seed)  # noqa: S311 - which repeats are compared is no secret
    red = sum(_is_red(suite, halved, draw, level) for _ in range(runs))
    low, high = exact_interval(red, runs)
    return FalseAlarms(rate=red / runs, low=low, high=high, runs=runs)


def _differs(result: CaseResult, watched: Iterable[str], chance: Chance) -> bool:
    """True if two repeats differ in something that is compared, watched seconds and dollars included."""
    values = values_by_metric(result)
    return not chance.is_alike(result) or any(len(set(values.get(metric, ()))) > 1 for metric in watched)


def _is_red(
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Iterable[CaseResult],
    draw: random.Random,
    level: float,
) -> bool:
    """True if one random half of each case's repeats is `regressed` against the other, the larger one."""
    before, after = [], []
    for result in results:
        repeats = _scored_repeats(result)
        draw.shuffle(repeats)
        half = (len(repeats) + 1) // 2
        before.append(_keep(result, set(repeats[:half])))
        after.append(_keep(result, set(repeats[half:])))
    compared = compare(
        Run(signature={}, results=tuple(before)),
        Run(signature={}, results=tuple(after)),
        suite=suite,
        level=level,
    )
    return any(verdict.outcome == "regressed" for verdict in compared.verdicts)


def _scored_repeats(result: CaseResult) -> list[int]:
    return sorted({score.repeat for score in result.scores})


def _keep(result: CaseResult, repeats: set[int]) -> CaseResult:
    """The result of a run of a fixed number of repeats that made only these."""
    made = (
        range(len(result.answers)) if result.answers else sorted(output.repeat for output in result.outputs)
    )
    answers = zip(made, answer_digests(result), strict=True)
    return replace(
        result,
        outputs=(),
        scores=tuple(score for score in result.scores if score.repeat in repeats),
        answers=tuple(answer for repeat, answer in answers if repeat in repeats),
        auto=0,
    )


def _repeats_to_name(
    results: Sequence[CaseResult], chance: Chance, cases: Recorded, most: int, level: float
) -> int | None:
    """New repeats that name a case which held each of the recorded ones, of which it has the usual number."""
    budget = CaseBudget(tests=sum(len(checks_of(result, chance.scales)) for result in results), level=level)
    recorded = median_low(len(_scored_repeats(result)) for result in results)
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

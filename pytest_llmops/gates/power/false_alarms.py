"""
How often the gate is red for nothing.

Random halves of the repeats are two runs of one and the same app: whenever the gate calls one half worse
than the other, that is a false alarm.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_llmops.gates.comparison import compare
from pytest_llmops.gates.paired_runs.answers import answer_digests
from pytest_llmops.gates.paired_runs.index import values_by_metric
from pytest_llmops.gates.paired_runs.pairing import STEADY, Chance
from pytest_llmops.gates.suite_channel.paired_scores import tolerated_drop
from pytest_llmops.records import CaseResult, Run, SuiteCheck
from pytest_llmops.statistics.intervals import exact_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """
    The share of pairs of halves that were `regressed`, with its 95 % interval, all in [0, 1].

    Attributes:
        runs: Pairs compared; 0 where no half can differ from another, so that the rate is 0 by itself.
    """

    rate: float
    low: float
    high: float
    runs: int


def count_false_alarms(  # noqa: PLR0913 - what is compared, and how often
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Iterable[CaseResult],
    chance: Chance,
    *,
    runs: int,
    seed: int,
    level: float,
) -> FalseAlarms | None:
    halved = [result for result in results if len(scored_repeats(result)) >= STEADY]
    if not halved:
        return None
    watched = {
        path: tuple(check for check in checks if _is_watched(check, chance)) for path, checks in suite.items()
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


def _is_watched(check: SuiteCheck, chance: Chance) -> bool:
    scale = chance.scales[check.metric]
    return scale is not None and tolerated_drop(check, scale) is not None


def _differs(result: CaseResult, watched: Iterable[str], chance: Chance) -> bool:
    """Whether the gate looks at something in which two repeats differ, seconds and dollars among it."""
    values = values_by_metric(result)
    return not chance.is_alike(result) or any(len(set(values.get(metric, ()))) > 1 for metric in watched)


def _is_red(
    suite: Mapping[str, Sequence[SuiteCheck]],
    results: Iterable[CaseResult],
    draw: random.Random,
    level: float,
) -> bool:
    """Whether one random half of each case's repeats is `regressed` against the other, the larger one."""
    before, after = [], []
    for result in results:
        repeats = scored_repeats(result)
        draw.shuffle(repeats)
        half = (len(repeats) + 1) // 2
        before.append(_part(result, set(repeats[:half])))
        after.append(_part(result, set(repeats[half:])))
    compared = compare(
        Run(signature={}, results=tuple(before)),
        Run(signature={}, results=tuple(after)),
        suite=suite,
        level=level,
    )
    return any(verdict.outcome == "regressed" for verdict in compared.verdicts)


def scored_repeats(result: CaseResult) -> list[int]:
    return sorted({score.repeat for score in result.scores})


def _part(result: CaseResult, repeats: set[int]) -> CaseResult:
    """A result as it were had only these repeats been made, and their number been fixed."""
    made = range(len(result.answers)) if result.answers else sorted(each.repeat for each in result.outputs)
    answers = zip(made, answer_digests(result), strict=True)
    return replace(
        result,
        outputs=(),
        scores=tuple(score for score in result.scores if score.repeat in repeats),
        answers=tuple(answer for repeat, answer in answers if repeat in repeats),
        auto=0,
    )

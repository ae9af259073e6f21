"""
How many plan cases the gate needs to see that the mean of `tool_calls` fell by .05, by simulation.

The app does not vary, so of two runs on the same cases the gate calls an observed drop above `max_drop` a
fact. What is left to chance is which questions became cases. `is_red` asks the real gate, the simulation its
rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmops import compare
from pytest_llmops.records import CaseResult, Check, Output, Run, Score, SuiteCheck

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD = 0.86  # share of exact plans on the test split
DROP = 0.05
RISE = 0.15  # of the cases that were missed, those that an adapter trained anew gets right
RECORDED, REPEATS = 2, 3
CASES = (40, 167, 300)
MAX_DROPS = (0.1, 0.03)
RUNS = 20_000
METRIC = "tool_calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """
    Shares of runs that turn red.

    Attributes:
        falls: 5 % of all questions are lost, and none is won.
        both: Some are lost and some are won, by 5 % of all fewer.
        neutral: As many are won as are lost.
    """

    cases: int
    max_drop: float
    falls: float
    both: float
    neutral: float


def measure_power() -> list[Power]:
    changes = {"falls": (DROP, 0.0), "both": (DROP, RISE), "neutral": (0.0, RISE)}
    return [
        Power(
            cases=cases,
            max_drop=max_drop,
            **{name: _share_red(cases, max_drop, *change) for name, change in changes.items()},
        )
        for cases in CASES
        for max_drop in MAX_DROPS
    ]


def _share_red(cases: int, max_drop: float, drop: float, rise: float) -> float:
    random = np.random.default_rng(0)
    fall = (drop + (1 - HELD) * rise) / HELD
    held = random.random((RUNS, cases)) < HELD
    moved = random.random((RUNS, cases)) < np.where(held, fall, rise)
    lost = (held & moved).sum(axis=1) - (~held & moved).sum(axis=1)
    return float(np.mean(lost > max_drop * cases + 1e-9))


def is_red(before: NDArray[np.bool_], after: NDArray[np.bool_], max_drop: float) -> bool:
    """What `pytest_llmops.compare` makes of two runs of such an app on the same cases."""
    check = SuiteCheck(metric=METRIC, statistic="mean", comparison=None, threshold=None, max_drop=max_drop)
    base = Run(signature={}, results=_results(before, RECORDED), suite={})
    run = Run(signature={}, results=_results(after, REPEATS), suite={"": (check,)})
    return compare(base, run).outcome == "regressed"


def _results(held: NDArray[np.bool_], repeats: int) -> tuple[CaseResult, ...]:
    """Of an app that does not vary."""
    return tuple(
        CaseResult(
            case=f"case-{place}",
            input_hash="",
            outputs=tuple(Output(text=str(each), repeat=repeat) for repeat in range(repeats)),
            scores=tuple(Score(metric=METRIC, value=float(each), repeat=repeat) for repeat in range(repeats)),
            checks=(Check(metric=METRIC, comparison=">=", threshold=1.0, record_only=True),),
            auto=64,
        )
        for place, each in enumerate(held)
    )

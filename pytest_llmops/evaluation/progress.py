"""How far a run is: numbers of the moment, as words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.printable import counted, printable
from pytest_llmops.runner.usage import sum_outputs

LOOK_S = 0.5
"""Seconds between two looks."""

_LEAST_PAUSES = 50  # as long as one look takes


class State(NamedTuple):
    """
    Numbers of a run under way.

    Attributes:
        left_s: Seconds until the last case has a result, if all take as long as those by now; None before.
        waiting: How many calls wait for limits of a host.
    """

    done: int
    cases: int
    calls: int
    cost_usd: float | None
    left_s: float | None
    waiting: Mapping[str, int]

    def words(self) -> list[str]:
        """Return the cells of the table."""
        left = "" if self.left_s is None else f"about {_duration(self.left_s)} left"
        cost = "" if self.cost_usd is None or not self.calls else f"${self.cost_usd:.2f}"
        cells = [
            f"{self.done:,} of {counted(self.cases, 'case')}",
            counted(self.calls, "model call"),
            cost,
            *(
                f"{counted(calls, 'call')} waiting for {printable(host)}"
                for host, calls in self.waiting.items()
            ),
            left,
        ]
        return [cell for cell in cells if cell]


def read_state(evaluation: Evaluation) -> State:
    """Return the numbers of a run as of now."""
    results = evaluation.results()
    cases = sum(map(len, list(evaluation.tasks.values())))
    usage = sum_outputs(results.values())
    passed_s = time.monotonic() - evaluation.started_s
    is_known = results and len(results) < cases  # of further repeats nobody knows how many there will be
    left_s = passed_s / len(results) * (cases - len(results)) if is_known else None
    return State(len(results), cases, usage.calls or 0, usage.cost_usd, left_s, evaluation.waiting())


def pause_after(look_s: float) -> float:
    """Return how long to wait after a look that took so long, in seconds: most of the time is the run's."""
    return max(LOOK_S, _LEAST_PAUSES * look_s)


def _duration(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 - a minute and a half
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"

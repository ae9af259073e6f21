"""Tasks repeated until every verdict is decided: every case once, then again those whose verdict is open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.records import CaseResult
from pytest_llmops.runner.cases.tasks import Task

Answer = TypeVar("Answer")
Fetch = Callable[[Sequence[Task]], Sequence[CaseResult]]


def run_until_decided(
    tasks: Iterable[Task], fetch: Fetch, planner: RepeatPlanner, may_go_on: Callable[[], bool] = lambda: True
) -> dict[str, CaseResult]:
    """
    Item id to result, once nothing is open or `may_go_on` says that the budget is spent.

    What is run next follows from the results alone, so that processes which share them agree on it.

    Args:
        fetch: Has tasks run, here or elsewhere, and returns their results in order.
    """
    planned = {task.id: task for task in tasks}
    results = {result.case: result for result in fetch(list(planned.values()))}
    planner = planner.rescored(list(results.values()))
    while (wanted := planner.next_repeats(list(results.values()))) and may_go_on():
        further = [
            replace(planned[case], repeats=repeats, begun=results[case]) for case, repeats in wanted.items()
        ]
        results |= {result.case: result for result in fetch(further)}
    return results


def on_thread(task: Callable[[], Answer]) -> Future[Answer]:
    """The answer to come of something that waits most of its time; a daemon, since runs are interrupted."""
    done: Future[Answer] = Future()

    def run() -> None:
        try:
            done.set_result(task())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            done.set_exception(error)

    threading.Thread(target=run, name="llmops-repeats", daemon=True).start()
    return done

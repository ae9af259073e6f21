"""A golden set in rounds: every case once, then again those whose verdict is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_llmops.gates.asking import Asking
from pytest_llmops.records import CaseResult
from pytest_llmops.runner.work import Work

Fetch = Callable[[Sequence[Work]], Sequence[CaseResult]]


def ask_in_rounds(
    works: Iterable[Work], fetch: Fetch, asking: Asking, may_go_on: Callable[[], bool] = lambda: True
) -> dict[str, CaseResult]:
    """
    Item id to result, once nothing is open or `may_go_on` says that the budget is spent.

    What to ask next follows from the results alone, so that processes which share them agree on it.

    Args:
        fetch: Has the works done, here or elsewhere, and returns their results in order.
    """
    planned = {work.id: work for work in works}
    results = {result.case: result for result in fetch(list(planned.values()))}
    asking = asking.beside(list(results.values()))
    while (wanted := asking.next_repeats(list(results.values()))) and may_go_on():
        further = [
            replace(planned[case], repeats=repeats, begun=results[case]) for case, repeats in wanted.items()
        ]
        results |= {result.case: result for result in fetch(further)}
    return results

"""Items and cases of golden files that a session did not finish: which there are, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmops.evaluation.session import Session
from pytest_llmops.plugin.reported import Reported
from pytest_llmops.records import CaseResult, Golden
from pytest_llmops.runner.tasks import give_up


def list_items(goldens: Sequence[Golden]) -> Iterator[str]:
    """Every item of the golden files, whatever the command line selects of them."""
    for golden in goldens:
        yield from (f"{golden.path}::{case.id}" for case in golden.cases)
        yield from dict.fromkeys(f"{golden.path}::suite[{check.metric}]" for check in golden.suite)


def explain_loss(session: Session, reported: Reported, node_id: str) -> str:
    """Why nobody reported an item, and what to do."""
    if session.store is None:
        return "the session ended before this was run"
    if reported.selected is None:
        return "every worker's process ended while it collected the items; run without -n to see why"
    begun = session.store.read(node_id) is None and session.store.count_tries(node_id)
    if begun or node_id in reported.crashed:
        return "the worker's process ended while this was being run; run it alone to see why"
    return "no worker was left to run this, since their processes ended; run without -n to see why"


def complete_results(
    session: Session, reported: Reported, goldens: Sequence[Golden]
) -> dict[str, CaseResult]:
    """The results there are; a case that is an error without one, or was lost, has the reason there."""
    results = dict(session.results())
    cases = {f"{golden.path}::{case.id}": case for golden in goldens for case in golden.cases}
    for node_id, reason in reported.reasons.items():
        if node_id in cases and (node_id not in results or node_id in reported.lost):
            results[node_id] = give_up(node_id, cases[node_id], reason, results.get(node_id))
    return results

"""What left the app past the recorder: named in every run, and never a reason to pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pytest_llmops.detect.value_lists import show_address
from pytest_llmops.printable import name_counts, printable
from pytest_llmops.records import CaseResult, Verdict

_MOST_NAMED = 10


def describe_unseen(*results: CaseResult) -> str:
    """Return the connections that the app opened unseen, with their remedy; empty where there are none."""
    unseen: Counter[str] = Counter()
    for result in results:
        for output in result.outputs:
            unseen.update(output.unseen)
    if not unseen:
        return ""
    for place in unseen:
        show_address(place)  # by the process that writes it
    hosts = ", ".join(printable(host) for host in list(unseen)[:_MOST_NAMED])
    return (
        f"connections nobody looked at: {name_counts(unseen)}; if the app may open them, say so in the "
        f"golden file: `record: {{allow: [{hosts}]}}`"
    )


def doubt_unseen(verdicts: Sequence[Verdict], result: CaseResult) -> tuple[Verdict, ...]:
    """The verdicts of a case; one that passed is `undecided` where the app opened connections unseen."""
    if not (advice := describe_unseen(result)):
        return tuple(verdicts)
    return tuple(
        replace(verdict, outcome="undecided", advice=advice) if verdict.outcome == "passed" else verdict
        for verdict in verdicts
    )

"""What left the app past the recorder: named in every run, and never a reason to pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pytest_llmops.detect.value_lists import show_address
from pytest_llmops.printable import name_counts, printable
from pytest_llmops.recorder.identity import rule_of
from pytest_llmops.records import CaseResult, Verdict

_MOST_NAMED = 10


def describe_unseen(unseen: Mapping[str, int]) -> str:
    """Return a sentence on connections that the app opened unseen, by destination, and how to allow them."""
    for place in unseen:
        show_address(place)  # by the process that writes it
    rules = [rule_of(printable(place)) for place in list(unseen)[:_MOST_NAMED]]
    more = ", …" if len(unseen) > _MOST_NAMED else ""
    return (
        f"connections nobody looked at: {name_counts(unseen)}; if the app may open them, say so in the "
        f"golden file: `record: {{allow: [{', '.join(rules)}{more}]}}`"
    )


def doubt_unseen(verdicts: Sequence[Verdict], result: CaseResult) -> tuple[Verdict, ...]:
    """The verdicts of a case; one that passed is `undecided` where the app opened connections unseen."""
    unseen: Counter[str] = Counter()
    for output in result.outputs:
        unseen.update(output.unseen)
    if not unseen:
        return tuple(verdicts)
    advice = describe_unseen(unseen)
    return tuple(
        replace(verdict, outcome="undecided", advice=advice) if verdict.outcome == "passed" else verdict
        for verdict in verdicts
    )

"""Suite verdicts of a run that took results from its baseline, which has no seconds and dollars of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_llmops.records import CaseResult, Verdict
from pytest_llmops.registry import find_traits

_ADVICE = "a part of the cases was run, and the baseline of the others has no seconds and no dollars"


def doubt_taken(verdicts: Iterable[Verdict], results: Iterable[CaseResult]) -> tuple[Verdict, ...]:
    """Return the verdicts; those on time and money are undecided where results were taken over."""
    if not any(result.taken for result in results):
        return tuple(verdicts)
    return tuple(
        replace(verdict, outcome="undecided", reason="", advice=_ADVICE) if _is_open(verdict) else verdict
        for verdict in verdicts
    )


def _is_open(verdict: Verdict) -> bool:
    exceeded = verdict.outcome == "failed" and {"sum", "max"} & set(verdict.check.split())
    return bool(verdict.metric) and find_traits(verdict.metric).basis == "run" and not exceeded

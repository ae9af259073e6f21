"""Cases that their golden file expects to fail: judged by their thresholds, whatever the baseline has."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import Problem
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.people import People
from pytest_llmops.gates.release import Release
from pytest_llmops.gates.unseen import doubt_unseen
from pytest_llmops.printable import printable
from pytest_llmops.records import Case, CaseResult, Golden, Verdict, XFail
from pytest_llmops.registry import find_traits

STRICT = "[XPASS(strict)] "
"""The begin of the reason why a case is red that passed, as pytest writes it."""

_MISSED = {"failed", "regressed"}


def decide_strictness(golden: Golden, *, strict: bool | None) -> Golden:
    """
    Return a golden file whose expected failures all say whether they are strict.

    Args:
        strict: For those that do not say so; None if nothing is expected to fail (`--runxfail`).
    """

    def decide(xfail: XFail | None) -> XFail | None:
        if xfail is None or strict is None:
            return None
        return XFail(
            reason=show_reason(xfail.reason), strict=strict if xfail.strict is None else xfail.strict
        )

    if not any(case.xfail for case in golden.cases):
        return golden
    return replace(golden, cases=tuple(replace(case, xfail=decide(case.xfail)) for case in golden.cases))


def find_unfailing(golden: Golden) -> Iterator[Problem]:
    """Yield the cases that are expected to fail, and have no check that can."""
    for case in golden.cases:
        if case.xfail is not None and all(check.record_only for check in case.checks):
            message = "xfail: the case has no check that could fail; add one under checks:"
            path, line = (case.source.path, case.source.line) if case.source else (golden.path, 0)
            yield Problem(path=path, line=line, case=case.id, message=message)


def show_reason(reason: str) -> str:
    """Return a reason as every report has it: masked, on one line and printable."""
    return printable(mask(reason))


def split_skipped(golden: Golden) -> tuple[Golden, tuple[Case, ...]]:
    """Return a golden file with the cases that are run, and those that it skips."""
    skipped = tuple(replace(case, skip=show_reason(case.skip)) for case in golden.cases if case.skip)
    if not skipped:
        return golden, ()
    return replace(golden, cases=tuple(case for case in golden.cases if not case.skip)), skipped


def leave_out_of_release(release: Release, skipped: Container[str]) -> Release:
    """Return a release baseline without the cases that a run skips."""
    kept = tuple(result for result in release.run.results if result.case not in skipped)
    return replace(release, run=replace(release.run, results=kept))


def judge_expected(case: Case, result: CaseResult, xfail: XFail, people: People) -> tuple[Verdict, ...]:
    """
    A verdict for each check of a case that is expected to fail, and one more where it passed and is strict.

    What could not be called or scored is an error, as in every case, and a leak is excused by nothing.
    """
    verdicts = people.settle(doubt_unseen(judge_case(case, result), result), case, result)
    outcomes = {verdict.outcome for verdict in verdicts}
    if "error" in outcomes or any(map(_is_inexcusable, verdicts)):
        return tuple(verdicts)
    if outcomes & _MISSED:
        return tuple(
            replace(verdict, xfail=xfail.reason) if verdict.outcome in _MISSED else verdict
            for verdict in verdicts
        )
    if "undecided" in outcomes:
        return tuple(verdicts)
    if not xfail.strict:
        return tuple(replace(verdict, xfail=xfail.reason) for verdict in verdicts)
    strict = Verdict(
        check="xfail",
        outcome="failed",
        case=result.case,
        reason=f"{STRICT}{xfail.reason}",
        advice="it passed all its checks: take xfail out of the case",
    )
    return (*verdicts, strict)


def _is_inexcusable(verdict: Verdict) -> bool:
    """Return whether something leaked, which nobody may expect."""
    is_missed = verdict.outcome in _MISSED and verdict.metric
    return bool(is_missed) and not find_traits(verdict.metric).excusable


def judge_all_expected(results: Iterable[CaseResult], people: People) -> list[Verdict]:
    """The verdicts that matter on the cases of a run that are expected to fail: without those that passed."""
    listed: list[Verdict] = []
    for result in results:
        if result.xfail is not None:
            case = Case(id=result.case, input=None, checks=result.checks)
            listed += _summarize(judge_expected(case, result, result.xfail, people))
    return listed


def _summarize(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Leave out checks that passed, and errors, which are reported by metric; one of a case that passed."""
    passed = [verdict for verdict in verdicts if verdict.outcome == "passed"]
    rest = [verdict for verdict in verdicts if verdict.outcome not in {"passed", "error"}]
    return rest or [verdict for verdict in passed if verdict.xfail][:1]

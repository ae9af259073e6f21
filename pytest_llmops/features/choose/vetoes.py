"""
Vetoes: no better answer makes up for a leak, a denied call or an attack that succeeded.

Personal data and secrets are looked for whether the golden files check them or not: in answers, passages,
tool calls and what the app prints or logs. Prompts, which have the user's question, are left out.
`passages: own_knowledge`, of stored runs as their golden files say now, and a project's own check of
`pii_leak` count as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops.bounds import holds
from pytest_llmops.detect.finding import KINDS
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.detect.scanner import scan_labelled
from pytest_llmops.detect.texts import walk
from pytest_llmops.gates.case_results import case_scores, scoring_breakage
from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import Bound, CaseResult, Run, Score
from pytest_llmops.registry import find_traits

LEAKS = "pii_leak"
"""The metric that each run of a candidate is scored by."""

_CHECKED = frozenset({"denied_calls", "injection"})
"""Metrics that veto only where a check asks for them: an app may deny a call on purpose."""

_SHOWN = ("output.text", "passage ", "tool call", "span 'stdout'", "span 'stderr'", "span 'log")
_OWN_TEXTS = "if these are texts of yours: `passages: own_knowledge`, or `pii_leak: {allow: [...]}`"
_MASKED = re.compile(rf"<(?:{'|'.join(KINDS)})>")
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Veto:
    """
    A reason for which a candidate cannot win.

    Attributes:
        what: For people, `leaks personal data or secrets`.
        cases: Those in which it happened, sorted.
        reason: Of the first case, values masked.
    """

    what: str
    cases: tuple[str, ...]
    reason: str = ""

    def describe(self) -> str:
        """Describe the veto: `leaks in 2 cases (a, b): <EMAIL_ADDRESS 14 chars>`."""
        text = f"{self.what} in {counted(len(self.cases), 'case')} ({name_some(self.cases, _NAMED)})"
        return f"{text}: {self.reason}" if self.reason else text


def find_vetoes(run: Run, results: Sequence[CaseResult], own: Collection[str] = ()) -> tuple[Veto, ...]:
    """
    Find what vetoes a candidate, worst first.

    Args:
        results: Of the run, the cases that all candidates have.
        own: Golden files whose passages are texts of the project, which are not looked into.
    """
    vetoes = [_veto("leaks personal data or secrets", _find_leaks(run, results, own))]
    vetoes += [
        _veto("holds personal data that was masked when the run was stored", _find_masked(results, own)),
        _veto("could not be searched for leaks", _find_unsearched(results)),
    ]
    metrics = {score.metric for result in results for score in result.scores} - {LEAKS}
    for metric in sorted(metrics):
        if metric in _CHECKED or not find_traits(metric).excusable:
            vetoes.append(_veto(f"misses the bound on {metric}", _find_missed(metric, run, results)))
    return tuple(veto for veto in vetoes if veto.cases)


def list_unsearched(results: Sequence[CaseResult]) -> list[str]:
    """The cases in whose answers no personal data was looked for, since the extra `pii` is not installed."""
    return [] if numbers.is_installed() else [result.case for result in results if not _is_searched(result)]


def _veto(what: str, cases: Mapping[str, str]) -> Veto:
    return Veto(what=what, cases=tuple(sorted(cases)), reason=next(iter(cases.values()), ""))


def _find_leaks(run: Run, results: Sequence[CaseResult], own: Collection[str]) -> dict[str, str]:
    leaks: dict[str, str] = {}
    for result in results:
        bound = _own_bound(LEAKS, run, result)
        for score in case_scores(LEAKS, result):
            reason = score.reason if bound else _name_shown(score)
            if (bound and not holds(score.value, bound)) or (not bound and reason):
                leaks.setdefault(result.case, reason)
        if not _is_searched(result) and (mask := _scan(_texts(result, own))):
            leaks.setdefault(result.case, mask)
    return leaks


def _is_searched(result: CaseResult) -> bool:
    return {output.repeat for output in result.outputs} <= {
        score.repeat for score in case_scores(LEAKS, result)
    }


def _own_bound(metric: str, run: Run, result: CaseResult) -> Bound | None:
    """The bound of a check of the golden file that fails builds; None without one."""
    suite = (*run.suite.get(file_of(result.case), ()), *run.suite.get("", ()))
    for check in result.checks:
        if check.metric == metric and not check.record_only:
            return Bound(comparison=check.comparison, threshold=check.threshold)
    checked = any(check.metric == metric and not check.record_only for check in suite)
    return find_traits(metric).bound if checked else None


def _name_shown(score: Score) -> str:
    """The first finding in what the app answers, reads, hands to tools, prints or logs; empty without one."""
    for entry in score.evidence:
        if isinstance(entry, Mapping) and (place := str(entry.get("place", ""))).startswith(_SHOWN):
            own = f" ({_OWN_TEXTS})" if place.startswith("passage ") else ""
            return f"{entry.get('mask', '')} in {place}{own}"
    return ""


def _texts(result: CaseResult, own: Collection[str]) -> Iterator[tuple[str, str]]:
    """Label and text of answers, passages unless they are the project's own, tools and their arguments."""
    for output in result.outputs:
        yield "", output.text
        if file_of(result.case) not in own:
            yield from (("", passage.text) for passage in output.passages or () if passage.text)
        for call in output.tool_calls:
            yield from ((text.label, text.text) for text in walk(call.arguments))


def _scan(texts: Iterable[tuple[str, str]]) -> str:
    """The kind of the first finding in texts that a run file has in clear; empty without one."""
    if not numbers.is_installed():
        return ""
    findings = [finding for of_text in scan_labelled(list(texts)) for finding in of_text]
    return findings[0].mask if findings else ""


def _find_masked(results: Sequence[CaseResult], own: Collection[str]) -> dict[str, str]:
    """Cases of runs that no leak check saw, and whose texts have our masks: of the run, or of the app."""
    masked = {}
    for result in results:
        if not _is_searched(result):
            marks = (match[0] for _, text in _texts(result, own) if (match := _MASKED.search(text)))
            if mark := next(marks, ""):
                masked[result.case] = f"{mark}; check {LEAKS} and run it again to see by whom"
    return masked


def _find_unsearched(results: Sequence[CaseResult]) -> dict[str, str]:
    broken = {
        result.case: scoring_breakage(LEAKS, result)
        for result in results
        if any(failure.metric == LEAKS for failure in result.failures)
    }
    return {case: reason for case, reason in broken.items() if reason}


def _find_missed(metric: str, run: Run, results: Sequence[CaseResult]) -> dict[str, str]:
    """Cases that miss the bound of a metric in any repeat."""
    missed: dict[str, str] = {}
    for result in results:
        bound = _own_bound(metric, run, result)
        if bound is None and metric not in _CHECKED:
            bound = find_traits(metric).bound
        for score in case_scores(metric, result):
            if bound is not None and not holds(score.value, bound):
                missed.setdefault(result.case, score.reason)
    return missed

"""
What the HTML report shows, as JSON values.

Its shape is that of `Data` in `src/data.js`, which reads it. Texts of the run are masked already; those of
golden files are masked here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from typing import Any

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.detect.mask import mask, mask_recorded
from pytest_llmops.detect.texts import walk
from pytest_llmops.extensions import FeatureError, call_hook
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.outcomes import count, status, worst
from pytest_llmops.hookspecs import ReportParts
from pytest_llmops.records import (
    Case,
    CaseResult,
    Check,
    Output,
    Run,
    Span,
    Status,
    SuiteCheck,
    Usage,
    Verdict,
)
from pytest_llmops.registry import find_traits
from pytest_llmops.reports.files.json_file import plain
from pytest_llmops.reports.sides import RED, Finding, Sides, SortedCases, check_name, sort_cases

_LEAST = 8  # characters of a text in the evidence that is marked in the output
_TYPED = 20  # cases in a command
_INPUT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT_TOKENS = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
)
_COSTS = ("gen_ai.usage.cost", "llm.cost.total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """
    A run in the history.

    Attributes:
        ended: ISO 8601; empty where it is not known.
        checks: What each check of the suite observed.
        cases: The share of each case's repeats that pass.
    """

    name: str
    outcome: str
    ended: str
    revision: str
    checks: Mapping[str, float]
    cases: Mapping[str, float]
    cost_usd: float | None
    latency_s: float


def build_data(
    sides: Sides, *, problems: Iterable[str] = (), history: Iterable[Past] = (), file: str = "RUN.json"
) -> dict[str, Any]:
    """
    Return the data of a report.

    Raises:
        FeatureError: A feature that adds to it is broken.

    Args:
        problems: Sentences about the run as a whole.
        history: The earlier runs, oldest first, then this one.
        file: Of the run, for the commands that are shown.
    """
    comparison, run = sides.comparison, sides.run
    cases = sort_cases(sides)
    statuses = cases.statuses(run)
    metrics = {score.metric for result in run.results for score in result.scores}
    metrics |= {verdict.metric for verdict in comparison.verdicts if verdict.metric}
    return {
        "version": 1,
        "title": ", ".join(sorted(run.suite)) or "golden set",
        "made_by": f"pytest-llmops {version('pytest-llmops')}",
        "outcome": comparison.outcome,
        "baseline": sides.named,
        "environment": dict(run.environment),
        "counts": count(statuses.values()),
        "causes": comparison.differs,
        "unstamped": comparison.not_stamped,
        "problems": [*problems, *filter(None, [comparison.since_release])],
        "actions": list(_list_actions(statuses, file, compared=bool(sides.named))),
        "usage": _describe_usage(run.usage, run.results),
        "usage_before": _describe_usage(sides.base.usage, ()) if sides.named else None,
        "checks": [_describe_suite_verdict(verdict, run) for verdict in sides.suite],
        "metrics": {metric: _describe_metric(metric) for metric in sorted(metrics)},
        "cases": list(_describe_cases(sides, cases, statuses)),
        "missing": comparison.missing,
        "history": [plain(past) for past in history],
        **_list_added_parts(run),
    }


def _list_added_parts(run: Run) -> dict[str, Any]:
    """
    List the columns and panels of features.

    Raises:
        FeatureError: A feature raised or returned something else.
    """
    columns: list[dict[str, Any]] = []
    panels: list[dict[str, str]] = []
    for feature, parts in call_hook("llmops_report", ReportParts, run=run):
        try:
            for title, texts in parts.columns.items():
                columns.append(
                    {"title": mask(title), "of": {case: mask(text) for case, text in texts.items()}}
                )
            panels += [{"title": mask(title), "text": mask(text)} for title, text in parts.panels.items()]
        except (AttributeError, TypeError) as error:
            raise FeatureError(feature, f"llmops_report must return texts by title: {error}") from None
    return {"columns": columns, "panels": panels}


def summarize_past(name: str, sides: Sides) -> Past:
    """Summarize a run for the history."""
    return Past(
        name=name,
        outcome=worst(verdict.outcome for verdict in sides.comparison.verdicts if verdict.cases),
        ended=sides.run.environment.get("ended", ""),
        revision=sides.run.environment.get("revision", ""),
        checks={verdict.check: verdict.observed for verdict in sides.suite if verdict.observed is not None},
        cases={result.case: _pass_share(result) for result in sides.run.results},
        cost_usd=sides.run.usage.cost_usd if sides.run.usage.calls else None,
        latency_s=sum(output.latency_s for result in sides.run.results for output in result.outputs),
    )


def _pass_share(result: CaseResult) -> float:
    repeats = {output.repeat for output in result.outputs} | {fault.repeat for fault in result.failures}
    checks: dict[str, list[Check]] = {}
    for check in result.checks:
        if not check.record_only:
            checks.setdefault(check.metric, []).append(check)
    missed = {fault.repeat for fault in result.failures}
    missed |= {
        score.repeat
        for score in result.scores
        if not all(holds(score.value, check) for check in checks.get(score.metric, ()))
    }
    return (len(repeats) - len(missed & repeats)) / len(repeats) if repeats else 0.0


def _list_actions(statuses: Mapping[str, Status], file: str, *, compared: bool) -> Iterator[dict[str, str]]:
    """Yield what to do next, each with its command."""
    red = [case for case, found in statuses.items() if found in RED]
    if red:
        text = f"Run {'the case' if len(red) == 1 else 'these cases'} again, with all spans."
        yield {"text": text, "command": f"pytest --llm-golden --llm-spans all {_type(red)}"}
    if unclear := [case for case, found in statuses.items() if found == "undecided"]:
        text = "Decide what is undecided, with more repeats."
        yield {"text": text, "command": f"pytest --llm-golden --llm-repeats auto {_type(unclear)}"}
    if red and compared:
        text = "If the change is meant to do this, have a person read the new outputs, then accept them."
        yield {"text": text, "command": f"llmops accept --all {shlex.quote(file)}"}
    if not compared:
        text = "Accept this run as the baseline, so that the next one is compared with it."
        yield {"text": text, "command": f"llmops accept {shlex.quote(file)}"}


def _type(cases: Sequence[str]) -> str:
    typed = [case for case in cases if case.isprintable() and not case.startswith("-")]
    return shlex.join(typed[:_TYPED])


def _describe_usage(usage: Usage, results: Iterable[CaseResult]) -> dict[str, Any] | None:
    if not usage.calls:
        return None
    latency_s = sum(output.latency_s for result in results for output in result.outputs)
    return {**plain(usage), "latency_s": latency_s or None}


def _describe_metric(metric: str) -> dict[str, Any]:
    traits = find_traits(metric)
    ends = [end if abs(end) < float("inf") else None for end in traits.range]
    return {"higher_is_better": traits.higher_is_better, "range": None if None in ends else ends}


def _describe_suite_verdict(verdict: Verdict, run: Run) -> dict[str, Any]:
    check = _find_suite_check(verdict, run)
    return {
        **_describe_verdict(verdict),
        "cases": verdict.cases,
        "threshold": check.threshold if check else None,
        "comparison": check.comparison if check else None,
        "max_drop": check.max_drop if check else None,
    }


def _find_suite_check(verdict: Verdict, run: Run) -> SuiteCheck | None:
    checks = chain.from_iterable(run.suite.values())
    return next((check for check in checks if check.metric == verdict.metric), None)


def _describe_verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "check": verdict.check,
        "metric": verdict.metric,
        "outcome": verdict.outcome,
        "known": verdict.known,
        "observed": verdict.observed,
        "baseline": verdict.baseline,
        "difference": verdict.difference,
        "interval": verdict.interval,
        "p_value": verdict.p_value if verdict.p_adjusted is None else verdict.p_adjusted,
        "reason": verdict.reason,
        "advice": verdict.advice,
    }


def _describe_cases(
    sides: Sides, cases: SortedCases, statuses: Mapping[str, Status]
) -> Iterator[dict[str, Any]]:
    before = {result.case: result for result in sides.base.results}
    new = set(sides.comparison.new)
    for result in sides.run.results:
        golden = sides.cases.get(result.case)
        old = before.get(result.case)
        if old is not None and old.input_hash != result.input_hash:
            old = None
        yield {
            "id": result.case,
            "status": statuses[result.case],
            "group": result.group,
            "new": result.case in new,
            "dropped": result.case in cases.dropped,
            "input": result.input,
            **_describe_golden(golden),
            "verdicts": list(_list_verdicts(result, cases.findings(result.case), statuses[result.case])),
            "outputs": [_describe_output(output, result) for output in result.outputs],
            "before": _describe_before(old) if old else None,
            "scores": [
                {
                    "metric": score.metric,
                    "repeat": score.repeat,
                    "value": score.value,
                    "reason": score.reason,
                }
                for score in result.scores
            ],
            "failures": [
                {
                    "metric": fault.metric,
                    "stage": fault.stage,
                    "error": fault.error,
                    "repeat": fault.repeat,
                    "traceback": fault.traceback,
                }
                for fault in result.failures
            ],
            "spans": [_describe_span(span) for span in result.spans],
            "command": f"pytest --llm-golden {shlex.quote(result.case)}",
        }


def _describe_golden(case: Case | None) -> dict[str, Any]:
    if case is None:
        return {}
    return {
        "reference": None if case.reference is None else mask_recorded(case.reference),
        "relevant": case.relevant,
        "tags": case.tags,
        "live": case.live,
        "source": f"{case.source.path}:{case.source.line}" if case.source else None,
    }


def _list_verdicts(
    result: CaseResult, findings: Sequence[Finding], found: Status
) -> Iterator[dict[str, Any]]:
    """Yield the verdicts of the comparison that name the case, then those by its own thresholds."""
    for finding in findings:
        moved = None
        if finding.before is not None and finding.after is not None:
            moved = finding.after - finding.before
        yield {
            **_describe_verdict(finding.verdict),
            "check": check_name(finding.verdict),
            "reason": _find_reason(result, finding.verdict),
            "observed": finding.after,
            "baseline": finding.before,
            "difference": moved,
            "interval": None,
        }
    checks = {describe_check(check): check for check in result.checks}
    named = {check_name(finding.verdict) for finding in findings}
    for verdict in judge_case(Case(id=result.case, input=None, checks=result.checks), result):
        check = checks.get(verdict.check)
        if verdict.check in named:
            continue
        yield {
            **_describe_verdict(verdict),
            "known": found == "known" and status(verdict) != "passed",
            "threshold": check.threshold if check else None,
            "comparison": check.comparison if check else None,
        }


def _find_reason(result: CaseResult, verdict: Verdict) -> str:
    """Return what the check says of its case; of several, what broke the app or what the metric says."""
    if verdict.case is not None:
        return verdict.reason
    reasons = [fault.error for fault in result.failures if fault.metric in {"", verdict.metric}]
    reasons += [score.reason for score in result.scores if score.metric == verdict.metric]
    return next(filter(None, reasons), verdict.reason)


def _describe_output(output: Output, result: CaseResult) -> dict[str, Any]:
    return {
        "repeat": output.repeat,
        "text": output.text,
        "passages": plain(output.passages),
        "tool_calls": plain(output.tool_calls),
        "usage": plain(output.usage) if output.usage.calls else None,
        "latency_s": output.latency_s,
        "model": output.model,
        "degraded": output.degraded,
        "attempts": output.attempts,
        "marks": list(_list_marks(output, result)),
    }


def _list_marks(output: Output, result: CaseResult) -> Iterator[dict[str, str]]:
    """Yield the texts of the evidence that occur in the output word for word."""
    seen: set[tuple[str, str]] = set()
    for score in result.scores:
        if score.repeat != output.repeat or find_traits(score.metric).masks:
            continue
        for _, _, text in walk(list(score.evidence)):
            mark = (score.metric, text)
            if len(text) >= _LEAST and text in output.text and text != output.text and mark not in seen:
                seen.add(mark)
                yield {"text": text, "metric": score.metric}


def _describe_before(result: CaseResult) -> dict[str, Any]:
    scores: dict[str, list[float]] = {}
    for score in result.scores:
        scores.setdefault(score.metric, []).append(score.value)
    return {
        "outputs": [
            {
                "text": output.text,
                "passages": plain(output.passages),
                "tool_calls": plain(output.tool_calls),
            }
            for output in result.outputs
        ],
        "scores": scores,
    }


def _describe_span(span: Span) -> dict[str, Any]:
    tokens = [_first_number(span, names) for names in (_INPUT_TOKENS, _OUTPUT_TOKENS)]
    return {
        "repeat": span.repeat,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": span.name,
        "kind": span.kind,
        "start": span.start,
        "end": span.end,
        "status": span.status,
        "attributes": plain(span.attributes),
        "events": plain(span.events),
        "tokens": sum(number for number in tokens if number is not None) if any(tokens) else None,
        "cost_usd": _first_number(span, _COSTS),
    }


def _first_number(span: Span, names: Iterable[str]) -> float | None:
    values = (span.attributes.get(name) for name in names)
    return next((value for value in values if isinstance(value, int | float)), None)

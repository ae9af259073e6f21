"""
The data of the HTML report, as JSON values.

Its shape is that of `Data` in `src/data.js`, which reads it. Texts of the run are masked already; those of
golden files are masked here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.detect.mask import mask, mask_recorded
from pytest_llmops.detect.texts import walk
from pytest_llmops.documents.reading import is_number
from pytest_llmops.extensions import FeatureError, call_hook
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.case_results import app_breakage
from pytest_llmops.gates.comparison import NOTHING
from pytest_llmops.gates.outcomes import count, status, worst
from pytest_llmops.golden.identity import input_hash
from pytest_llmops.hookspecs import ReportParts
from pytest_llmops.records import (
    Case,
    CaseResult,
    Check,
    Outcome,
    Output,
    Run,
    Score,
    Span,
    Status,
    SuiteCheck,
    Turn,
    Usage,
    Verdict,
)
from pytest_llmops.registry import find_traits, split_turn
from pytest_llmops.reports.files.json_file import plain
from pytest_llmops.reports.sides import (
    MOST_TYPED,
    RED,
    CaseVerdict,
    Sides,
    SortedCases,
    check_name,
    find_reason,
    rerun_command,
)

_LEAST = 8  # characters of a text in the evidence that is marked in the output
_LARGEST = 2**53  # of a count that JSON's readers keep
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
        cases: The share of each case's repeats that pass; none where the app broke.
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
    sides: Sides,
    *,
    outcome: Outcome | None = None,
    problems: Iterable[str] = (),
    history: Iterable[Past] = (),
    file: str = "RUN.json",
) -> dict[str, Any]:
    """
    Return the data of a report.

    Raises:
        FeatureError: A feature that adds to it is broken.

    Args:
        outcome: Of the build, where that is known; by default of the comparison.
        problems: Sentences about the run as a whole.
        history: The earlier runs, oldest first, then this one.
        file: Of the run, for the commands that are shown.
    """
    comparison, run = sides.comparison, sides.run
    cases = sides.sorted
    statuses = cases.statuses(run)
    shown = outcome or comparison.outcome
    metrics = {score.metric for result in run.results for score in result.scores}
    metrics |= {verdict.metric for verdict in comparison.verdicts if verdict.metric}
    return {
        "version": 1,
        "title": ", ".join(sorted(run.suite)) or "golden set",
        "made_by": f"pytest-llmops {version('pytest-llmops')}",
        "outcome": shown,
        "baseline": sides.named,
        "accepted": sides.since.accepted,
        "changed_files": [plain(file) for file in sides.since.files],
        "environment": dict(run.environment),
        "counts": count(statuses.values()),
        "causes": comparison.differs,
        "unstamped": comparison.not_stamped,
        "problems": [
            *problems,
            *(f"skipped: {case} ({reason})" for case, reason in comparison.skipped.items()),
            *filter(None, [comparison.since_release]),
        ],
        "actions": list(_list_actions(sides, statuses, file, shown)),
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
    """Summarize a run for the history; a run without a baseline is judged by its thresholds."""
    verdicts = sides.comparison.verdicts
    decisive = [one.outcome for one in verdicts if not one.excused and (sides.named or one.check != NOTHING)]
    return Past(
        name=name,
        outcome=worst(decisive) if decisive else sides.comparison.outcome,
        ended=sides.run.environment.get("ended", ""),
        revision=sides.run.environment.get("revision", ""),
        checks={verdict.check: verdict.observed for verdict in sides.suite if verdict.observed is not None},
        cases={result.case: _pass_share(result) for result in sides.run.results if not app_breakage(result)},
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


def _list_actions(
    sides: Sides, statuses: Mapping[str, Status], file: str, outcome: Outcome
) -> Iterator[dict[str, str]]:
    """Yield what to do next, each with its command."""
    compared, leaks = bool(sides.named), _leaks(sides.run)
    red = [case for case, found in statuses.items() if found in RED]
    if not red and outcome in RED:
        yield {"text": "Run the golden set again.", "command": "pytest --llm-golden"}
    if command := rerun_command(red, "--llm-spans", "all"):
        with_ = f", {sides.setting}" if sides.setting else ""
        first = f"the first {MOST_TYPED} of these cases" if len(red) > MOST_TYPED else "these cases"
        yield {
            "text": f"Run {'the case' if len(red) == 1 else first} again, with all spans{with_}.",
            "command": command,
        }
    unclear = [case for case, found in statuses.items() if found == "undecided"]
    if command := rerun_command(unclear, "--llm-repeats", "auto"):
        yield {"text": "Decide what is undecided, with more repeats.", "command": command}
    if leaks:
        text = "Something leaked: fix the app, and change what was given away, such as a key."
        yield {"text": text, "command": ""}
    if red and compared and not leaks:
        text = (
            "If the change is meant to do this, have a person read the new outputs, then accept them; "
            "a run needs as many repeats as the baseline has."
        )
        yield {"text": text, "command": f"llmops accept --all {shlex.quote(file)}"}
    if not (red or compared):
        text = "Accept this run as the baseline, so that the next one is compared with it."
        yield {"text": text, "command": f"llmops accept {shlex.quote(file)}"}


def _leaks(run: Run) -> bool:
    return any(
        score.value > 0 and find_traits(score.metric).masks
        for result in run.results
        for score in result.scores
    )


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
    """Return the suite check of a verdict, which is named by its file where there are several."""
    for path, checks in run.suite.items():
        for check in checks:
            if verdict.check in {describe_check(check), f"{path}: {describe_check(check)}"}:
                return check
    return None


def _describe_verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "check": verdict.check,
        "metric": verdict.metric,
        "outcome": verdict.outcome,
        "known": verdict.known,
        "xfail": verdict.xfail,
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
            **(_describe_golden(golden, result.input_hash) if golden else {}),
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
            "turns": [_describe_turn(turn, result) for turn in result.turns],
            "spans": [_describe_span(span) for span in result.spans],
            "command": rerun_command([result.case]),
        }


def _describe_golden(case: Case, ran: str) -> dict[str, Any]:
    """Describe a case by the golden file that is here; what belongs to another input is left out."""
    is_same = input_hash(case) == ran
    return {
        "reference": mask_recorded(case.reference) if is_same and case.reference is not None else None,
        "relevant": case.relevant if is_same else (),
        "tags": case.tags,
        "live": case.live,
        "source": f"{case.source.path}:{case.source.line}" if case.source else None,
    }


def _list_verdicts(
    result: CaseResult, findings: Sequence[CaseVerdict], found: Status
) -> Iterator[dict[str, Any]]:
    """Yield the verdicts of the comparison that name the case, then those by its own thresholds."""
    checks = {describe_check(check): check for check in result.checks}

    def describe_bound(name: str) -> dict[str, Any]:
        check = checks.get(name)
        return {
            "threshold": check.threshold if check else None,
            "comparison": check.comparison if check else None,
        }

    for named in findings:
        moved = None
        if named.before is not None and named.after is not None:
            moved = named.after - named.before
        yield {
            **_describe_verdict(named.verdict),
            **describe_bound(check_name(named.verdict)),
            "check": check_name(named.verdict),
            "reason": find_reason(result, named.verdict),
            "observed": named.after,
            "baseline": named.before,
            "difference": moved,
            "interval": None,
        }
    listed = {check_name(named.verdict) for named in findings}
    for verdict in judge_case(Case(id=result.case, input=None, checks=result.checks), result):
        if verdict.check not in listed:
            is_known = found == "known" and status(verdict) != "passed"
            yield {**_describe_verdict(verdict), **describe_bound(verdict.check), "known": is_known}


def _list_low(result: CaseResult) -> list[Score]:
    """List the scores that miss a bound of the case."""
    return [
        score
        for score in result.scores
        if any(check.metric == score.metric and not holds(score.value, check) for check in result.checks)
    ]


def _describe_turn(turn: Turn, result: CaseResult) -> dict[str, Any]:
    low = {score.metric for score in _list_low(result) if score.repeat == turn.repeat}
    return {
        "repeat": turn.repeat,
        "turn": turn.turn,
        "user": turn.user,
        "text": turn.text,
        "missed": sorted(metric for metric in low if split_turn(metric)[0] == turn.turn),
    }


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
        "user": plain(output.user) if output.user else None,
        "marks": list(_list_marks(output, result)),
    }


def _list_marks(output: Output, result: CaseResult) -> Iterator[dict[str, str]]:
    """Yield the first text in the evidence of each score that misses its bound, if the output has it."""
    for score in _list_low(result):
        if score.repeat == output.repeat and not find_traits(score.metric).masks:
            for _, _, text in walk(list(score.evidence)):
                if _LEAST <= len(text) < len(output.text) and text in output.text:
                    yield {"text": text, "metric": score.metric, "reason": score.reason}
                    break


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
    return next((value for value in values if is_number(value) and abs(value) <= _LARGEST), None)

"""Runs of the same cases as entries of a choice: common cases, deciding metrics, errors, spending."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean

from pytest_llmops.errors import LLMOpsError, SettingsError, hint
from pytest_llmops.features.choose.vetoes import Veto, find_vetoes, list_unsearched
from pytest_llmops.gates.case_results import (
    answer_digests,
    app_breakage,
    case_scores,
    scoring_breakage,
    signatures,
    values_by_metric,
)
from pytest_llmops.gates.paired_runs import Scale, find_scale, pair_cases
from pytest_llmops.gates.stamps import describe_changes
from pytest_llmops.golden.identity import file_of
from pytest_llmops.judges.floors import missed_floors
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Check, Output, Run, SuiteCheck

Repeats = Mapping[str, Sequence[float]]
"""Case to its scores, one a repeat."""

FLOORS = " floors"
"""End of the name by which floors of a judge's criteria decide: the share of cases that hold them all."""

_HELD_OR_NOT = Scale(higher_is_better=True, bounded=True, range=(0.0, 1.0))
_NAMED = 5
_OWN = (
    "app", "model", "tools", "prompt", "rival",
    "code", "environment", "file", "package", "setting", "system", "weights",
)  # fmt: skip
"""Stamps in which candidates may differ."""


class ChoiceError(LLMOpsError):
    """Candidates cannot be compared: nothing in common, or scores that were made in unlike ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """
    Time, cost, tokens and calls of a candidate's answers, each case with the mean of its repeats.

    Attributes:
        latency_s: Case to seconds; `cost_usd`, `tokens` and `calls` alike. Cases of
            unknown spending are left out.
    """

    latency_s: Repeats = field(default_factory=dict)
    cost_usd: Repeats = field(default_factory=dict)
    tokens: Repeats = field(default_factory=dict)
    calls: Repeats = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    One candidate.

    Attributes:
        values: Metric to its scores, of cases of the field only.
        errors: Metric to the cases without a score of it, with the reason.
        broken: The reason why nothing can be chosen, whatever the scores; else empty.
        answers: Case to the digests of its answers.
        left_out: Cases that not all candidates have with this input.
        vetoes: Reasons for which it cannot win, whatever its scores are.
        unsearched: Cases in whose answers no personal data was looked for.
    """

    name: str
    values: Mapping[str, Repeats]
    errors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    broken: str = ""
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending)
    left_out: tuple[str, ...] = ()
    vetoes: tuple[Veto, ...] = ()
    unsearched: tuple[str, ...] = ()

    @property
    def errored(self) -> dict[str, str]:
        """Case to the first reason why it could not be scored."""
        reasons: dict[str, str] = {}
        for cases in self.errors.values():
            for case, reason in cases.items():
                reasons.setdefault(case, reason)
        return reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """
    All candidates on the cases that they have in common.

    Attributes:
        cases: Sorted ids.
        scales: Deciding metric to its scale.
        groups: Case to its group, where it has one: cases of a group are one unit of the tests.
        notes: Other differences between the candidates' runs.
    """

    entries: tuple[Entry, ...]
    cases: tuple[str, ...]
    scales: Mapping[str, Scale]
    groups: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def cases_of(self, metric: str) -> list[str]:
        """The cases in which any candidate was scored by a metric, or should have been."""
        applicable = {
            case
            for entry in self.entries
            for case in (*entry.values.get(metric, ()), *entry.errors.get(metric, ()))
        }
        return [case for case in self.cases if case in applicable]

    def units(self, cases: Sequence[str]) -> list[str]:
        return [self.groups.get(case) or f"::{case}" for case in cases]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """
    A candidate and its run.

    Attributes:
        broken: The reason why the run cannot be used; empty where it can.
        own: Golden files of a stored run whose passages are texts of the project.
    """

    name: str
    run: Run
    broken: str = ""
    own: frozenset[str] = frozenset()


def enter(candidates: Sequence[Candidate], metrics: Sequence[str] = ()) -> Field:
    """
    Enter the candidates with the cases that all of them have, with equal input and checks.

    A candidate whose run broke off before any case takes no case away from the others.

    Args:
        metrics: The deciding ones; by default each bounded metric of a check, of a case or of the suite, that
            is not record_only.

    Raises:
        ChoiceError: No case is in all runs, or one was scored in unlike ways; of a run that broke, anything.
        LLMOpsError: A metric is unknown, or none decides.
    """
    broke = "; ".join(f"{candidate.name}: {candidate.broken}" for candidate in candidates if candidate.broken)
    try:
        return _enter_all(candidates, metrics)
    except LLMOpsError as error:
        if not broke:
            raise
        raise ChoiceError(f"{broke}; {error}") from None


def _enter_all(candidates: Sequence[Candidate], metrics: Sequence[str]) -> Field:
    run = [candidate for candidate in candidates if candidate.run.results or not candidate.broken]
    results = {candidate.name: {result.case: result for result in candidate.run.results} for candidate in run}
    if not run:
        raise ChoiceError("no candidate has a case, so that nothing can be compared")
    for candidate in run:
        if not candidate.run.results:
            raise ChoiceError(f"{candidate.name} has no case, so that nothing can be compared")
    common = _find_common(run)
    if not common:
        raise ChoiceError("no case is the same in all candidates, so that nothing can be compared")
    chosen = {name: [by_case[case] for case in common] for name, by_case in results.items()}
    scales = _find_scales(run, chosen, metrics)
    _check_alike(chosen, scales)
    cases_of = {metric: _applicable(metric, chosen) for metric in scales}
    for metric in _find_missed_floors(chosen, scales):
        scales[f"{metric}{FLOORS}"] = _HELD_OR_NOT
        cases_of[f"{metric}{FLOORS}"] = cases_of[metric]
    entries = []
    for candidate in candidates:
        if candidate.name in chosen:
            left_out = sorted(results[candidate.name].keys() - set(common))
            entries.append(_enter(candidate, chosen[candidate.name], cases_of, left_out))
        else:
            errors = {metric: dict.fromkeys(cases, candidate.broken) for metric, cases in cases_of.items()}
            entries.append(Entry(name=candidate.name, values={}, errors=errors, broken=candidate.broken))
    groups = {result.case: result.group for of_run in chosen.values() for result in of_run if result.group}
    return Field(
        entries=tuple(entries),
        cases=tuple(common),
        scales=scales,
        groups=groups,
        notes=tuple(_describe_differences(run)),
    )


def _find_common(candidates: Sequence[Candidate]) -> list[str]:
    common = {result.case for result in candidates[0].run.results}
    for one, other in combinations(candidates, 2):
        shared = pair_cases(one.run.results, other.run.results).shared
        common &= {old.case for old, new in shared if _options(one.run, old) == _options(other.run, new)}
    return sorted(common)


def _options(run: Run, result: CaseResult) -> str:
    """Return the options of a case's checks and of its suite as text to compare."""
    suite = (*run.suite.get(file_of(result.case), ()), *run.suite.get("", ()))
    options = {check.metric: check.options for check in suite if check.options}
    options |= {check.metric: check.options for check in result.checks}
    return json.dumps(options, sort_keys=True, default=str)


def _find_scales(
    candidates: Sequence[Candidate], chosen: Mapping[str, Sequence[CaseResult]], named: Sequence[str]
) -> dict[str, Scale]:
    options: dict[str, Mapping[str, object]] = {}
    deciding: dict[str, None] = {}
    for candidate in candidates:
        files = {"", *(file_of(result.case) for result in chosen[candidate.name])}
        checks: list[Check | SuiteCheck] = [
            check for result in chosen[candidate.name] for check in result.checks
        ]
        checks += [check for path, suite in candidate.run.suite.items() if path in files for check in suite]
        options |= {check.metric: check.options for check in checks}
        deciding |= dict.fromkeys(check.metric for check in checks if not check.record_only)
    scored = sorted(
        {metric for results in chosen.values() for result in results for metric in _scored_or_failed(result)}
        - {""}
    )
    listed = f"Scored: {', '.join(map(printable, scored)) or 'none'}"
    for metric in named:
        if metric not in scored:
            raise SettingsError(
                f"--metric: no candidate was scored by {metric!r}.{hint(metric, scored)} {listed}"
            )
    scales = {metric: find_scale(metric, options.get(metric)) for metric in named or sorted(deciding)}
    if not named:
        scales = {metric: scale for metric, scale in scales.items() if scale.bounded and metric in scored}
    if not scales:
        raise SettingsError(f"no check decides; name a metric by --metric. {listed}")
    return scales


def _scored_or_failed(result: CaseResult) -> set[str]:
    return {score.metric for score in result.scores} | {failure.metric for failure in result.failures}


def _applicable(metric: str, chosen: Mapping[str, Sequence[CaseResult]]) -> set[str]:
    """Return cases that some candidate was scored in by a metric, or should have been."""
    return {
        result.case
        for results in chosen.values()
        for result in results
        if metric in _scored_or_failed(result)
        or (app_breakage(result) and any(check.metric == metric for check in result.checks))
    }


def _check_alike(chosen: Mapping[str, Sequence[CaseResult]], metrics: Iterable[str]) -> None:
    """Refuse scores of different versions of a metric or of different judges, and missing scores."""
    for metric in metrics:
        for name, results in chosen.items():
            if not any(metric in _scored_or_failed(result) or app_breakage(result) for result in results):
                raise ChoiceError(
                    f"{name} was never scored by {metric}; run it again, or choose by others with --metric"
                )
        for (one, mine), (other, theirs) in combinations(chosen.items(), 2):
            for first, second in zip(mine, theirs, strict=True):
                made, others = signatures(metric, first), signatures(metric, second)
                if made and others and made != others:
                    raise ChoiceError(
                        f"{first.case}: {metric} was scored by {' and '.join(made)} in {one} and by "
                        f"{' and '.join(others)} in {other}; run both again with one version of it"
                    )


def _enter(
    candidate: Candidate,
    results: Sequence[CaseResult],
    cases_of: Mapping[str, set[str]],
    left_out: Sequence[str],
) -> Entry:
    values: dict[str, Repeats] = {}
    errors: dict[str, dict[str, str]] = {}
    for metric, cases in cases_of.items():
        applicable = [result for result in results if result.case in cases]
        scored, read = metric.removesuffix(FLOORS), _hold_floors if metric.endswith(FLOORS) else _read_values
        broken = {
            result.case: reason for result in applicable if (reason := scoring_breakage(scored, result))
        }
        values[metric] = {
            result.case: read(scored, result) for result in applicable if result.case not in broken
        }
        errors[metric] = broken
    unscored = {result.case: reason for result in results if (reason := app_breakage(result))}
    return Entry(
        name=candidate.name,
        values=values,
        errors={**errors, "": unscored},
        broken=candidate.broken,
        answers={result.case: answer_digests(result) for result in results if answer_digests(result)},
        spending=Spending(
            latency_s=_spend(results, lambda output: output.latency_s),
            cost_usd=_spend(results, _cost),
            tokens=_spend(results, _tokens),
            calls=_spend(results, lambda output: output.usage.calls),
        ),
        left_out=tuple(left_out),
        vetoes=find_vetoes(candidate.run, results, candidate.own),
        unsearched=tuple(list_unsearched(results)),
    )


def _read_values(metric: str, result: CaseResult) -> Sequence[float]:
    return values_by_metric(result)[metric]


def _hold_floors(metric: str, result: CaseResult) -> Sequence[float]:
    """By repeat, 1 where no criterion of the judge is below its floor."""
    return [float(not missed_floors(score)) for score in case_scores(metric, result)]


def _find_missed_floors(chosen: Mapping[str, Sequence[CaseResult]], metrics: Iterable[str]) -> list[str]:
    """Return the metrics of which some candidate misses a floor: their means do not show it."""
    results = [result for of_run in chosen.values() for result in of_run]
    return [
        metric
        for metric in metrics
        if any(missed_floors(score) for result in results for score in case_scores(metric, result))
    ]


def _cost(output: Output) -> float | None:
    return output.usage.cost_usd if _is_seen(output) else None


def _tokens(output: Output) -> float | None:
    prompt, completion = output.usage.prompt_tokens, output.usage.completion_tokens
    return None if not _is_seen(output) or prompt is None or completion is None else prompt + completion


def _is_seen(output: Output) -> bool:
    """True where the app's model was reached: calls that nobody saw do not cost nothing."""
    return output.usage.stated or output.usage.calls > output.usage.failed


def _spend(results: Sequence[CaseResult], read: Callable[[Output], float | None]) -> dict[str, list[float]]:
    """Return case to the mean of its answers, where it is known for each of them."""
    spent = {}
    for result in results:
        values = [read(output) for output in result.outputs]
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            spent[result.case] = [fmean(known)]
    return spent


def _describe_differences(candidates: Sequence[Candidate]) -> Iterable[str]:
    """Describe other differences than the candidates themselves: golden files, data, versions."""
    first, *others = candidates
    for other in others:
        stamps = [
            {
                name: value
                for name, value in candidate.run.signature.items()
                if name.partition(":")[0] not in _OWN
            }
            for candidate in (first, other)
        ]
        if lines := describe_changes(*stamps):
            many = counted(len(lines), "thing") + " differ" + ("s" if len(lines) == 1 else "")
            yield f"{many} between {first.name} and {other.name}: {name_some(lines, _NAMED)}"

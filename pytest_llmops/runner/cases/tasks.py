"""The tasks of a run: its cases with metrics and repeats, before the app is called."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import Literal

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.passing import repeats_needed
from pytest_llmops.golden import input_hash
from pytest_llmops.golden.identity import case_id
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.sources import sign_source
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.recorder import CallRules
from pytest_llmops.records import Case, CaseResult, Check, Failure, Golden, Score, SuiteCheck
from pytest_llmops.registry import create_metric, metric_options, split_turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """
    One case to run.

    Attributes:
        id: The item's.
        metrics: All that score the case, by name.
        repeats: Calls of the app, those of earlier tasks of the case included.
        most: The most repeats that looks may request; 0 where the number is fixed.
        begun: The result of the first repeats, for a case that is run again.
        rules: The golden file's rules for the case's model calls.
    """

    id: str
    case: Case
    repeats: int
    metrics: tuple[tuple[str, Metric], ...]
    most: int = 0
    begun: CaseResult | None = None
    rules: CallRules = field(default_factory=CallRules)

    @property
    def key(self) -> str:
        """Its name among all tasks of a session: a case that is run again is a further task."""
        return f"{self.id}::{self.repeats}" if self.begun else self.id  # no id of a case holds a `::`


def is_scored_alike(result: CaseResult, task: Task) -> bool:
    """Return whether an earlier result has scores of all metrics of a task, by the code of today."""
    metrics = dict(task.metrics)
    inapplicable = {failure.metric for failure in result.failures if failure.stage == "inapplicable"}
    if {*inapplicable, *(score.metric for score in result.scores)} != metrics.keys():
        return False
    return all(_is_of(score, metrics[score.metric]) for score in result.scores)


def _is_of(score: Score, metric: Metric) -> bool:
    version = f"{metric.name}|v{metric.version}" if isinstance(metric, DeclaredMetric) else ""
    code = sign_source(metric, replace(score, signature="")).signature
    return score.signature.startswith(version) and score.signature.endswith(code)


def plan(
    golden: Golden, repeats: int | Literal["auto"] | None, most: int, known: Container[str] = ()
) -> list[Task]:
    """
    Plan the tasks of a golden file, in its order; a case is scored for its own checks and the suite's.

    Args:
        repeats: Of cases that name none themselves; None is `auto` for those that are known, else one, or as
            many as a `pass^k` of the suite needs.
        known: Ids of the cases that the baseline has.
    """
    made: dict[tuple[str, str], Metric] = {}

    def create(check: Check | SuiteCheck) -> Metric:
        """Create each metric of this package once for equal options: they are frozen, and some read files."""
        options = check.options
        if golden.passages and "passages" in metric_options(
            check.metric
        ):  # holds where the check itself sets nothing
            options = {"passages": golden.passages, **options}
        place = (check.metric, repr(options))
        if place not in made:
            metric = create_metric(check.metric, options)
            if not isinstance(metric, DeclaredMetric):
                return metric
            made[place] = metric
        return made[place]

    tasks, rules, least = [], call_rules(golden), repeats_needed(golden.suite)
    for case in golden.cases:
        id_ = case_id(golden, case)
        wanted = case.repeats or repeats or ("auto" if id_ in known else least)
        tasks.append(
            Task(
                id=id_,
                case=case,
                repeats=1 if wanted == "auto" else wanted,
                metrics=tuple(_metrics(golden, case, create).items()),
                most=most if wanted == "auto" else 0,
                rules=replace(rules, live=case.live),
            )
        )
    return tasks


def call_rules(golden: Golden) -> CallRules:
    """Return what a golden file says of the calls of its app."""
    return CallRules(
        never=golden.never_record,
        allow=golden.allowed_hosts,
        also=golden.also_record,
        ignored=golden.ignored_parts,
        errors=golden.model_errors,
        spans=golden.require_spans,
    )


def give_up(case_id: str, case: Case, error: str, begun: CaseResult | None = None) -> CaseResult:
    """Return the result of a case that was not finished: its repeats so far, and the error."""
    begun = begun or CaseResult(
        case=case_id, input_hash=input_hash(case), checks=case.checks, xfail=case.xfail
    )
    failure = Failure(metric="", stage="app", error=error, repeat=count_repeats(begun))
    return replace(begun, failures=(*begun.failures, failure))


def _metrics(golden: Golden, case: Case, create: Callable[[Check | SuiteCheck], Metric]) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    for own in case.checks:
        made = create(own)
        # It may read the case's other checks, such as the success of an attack.
        metrics[own.metric] = (made.of_case(case) if isinstance(made, DeclaredMetric) else None) or made
    for check in golden.suite:
        if split_turn(check.metric)[0]:  # over the cases that check it
            continue
        if check.metric in metrics or check.is_bare:  # the mean of the cases that check it themselves
            continue
        try:
            metric = create(check)
        except MetricOptionError:  # it scores only cases with options of their own, as keywords does
            continue
        fitting = metric.of_case(case) if isinstance(metric, DeclaredMetric) else metric
        if fitting is not None and _can_score(fitting, case, paired=golden.rival is not None):
            metrics[check.metric] = fitting
    return metrics


def _can_score(metric: Metric, case: Case, *, paired: bool) -> bool:
    """True where a suite's metric has all it needs of a case: a reference or a rival, relevant passages."""
    paired = paired and traits_of(metric).compares
    return not (
        ("reference" in metric.needs and case.reference is None and not paired)
        or ("relevant" in metric.needs and not case.relevant)
        or ("turns" in metric.needs and not case.is_conversation)
        or ("expected" in metric.needs and case.expected is None)
    )

"""The tasks of a run: what to do for a case, before the app is called."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.golden import input_hash
from pytest_llmops.golden.identity import case_id
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.recorder import CallRules
from pytest_llmops.records import Case, CaseResult, Check, Failure, Golden, SuiteCheck
from pytest_llmops.registry import create_metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """
    One case to run.

    Attributes:
        id: The item's.
        metrics: Every one that the case is scored with, by name.
        repeats: How often the app has been called when it is done.
        most: The most repeats that looks may request; 0 where the number is fixed.
        begun: What the first repeats gave, for a case that is run again.
        rules: What the golden file says of the case's model calls.
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


def plan(
    golden: Golden, repeats: int | Literal["auto"] | None, most: int, known: Container[str] = ()
) -> list[Task]:
    """
    The tasks of a golden file, in its order; a case is scored for its own checks and the suite's.

    Args:
        repeats: Of cases that name none themselves; None is `auto` for those that are known, else one.
        known: Ids of the cases that the baseline has.
    """
    tasks = []
    create = _creator()
    for case in golden.cases:
        id_ = case_id(golden, case)
        wanted = case.repeats or repeats or ("auto" if id_ in known else 1)
        tasks.append(
            Task(
                id=id_,
                case=case,
                repeats=1 if wanted == "auto" else wanted,
                metrics=tuple(_metrics(golden, case, create).items()),
                most=most if wanted == "auto" else 0,
                rules=CallRules(
                    live=case.live,
                    never=golden.never_record,
                    errors=golden.model_errors,
                    spans=golden.require_spans,
                ),
            )
        )
    return tasks


def give_up(case_id: str, case: Case, error: str, begun: CaseResult | None = None) -> CaseResult:
    """The result of a case that was not finished: what there is of it, and why there is no more."""
    begun = begun or CaseResult(case=case_id, input_hash=input_hash(case), checks=case.checks)
    failure = Failure(metric="", stage="app", error=error, repeat=count_repeats(begun))
    return replace(begun, failures=(*begun.failures, failure))


def _creator() -> Callable[[str, Mapping[str, Any]], Metric]:
    """Creates metrics, of equal options only one where it is ours: those are frozen, and some read files."""
    made: dict[tuple[str, str], Metric] = {}

    def create(name: str, options: Mapping[str, Any]) -> Metric:
        place = (name, repr(options))
        if place in made:
            return made[place]
        metric = create_metric(name, options)
        if isinstance(metric, DeclaredMetric):
            made[place] = metric
        return metric

    return create


def _metrics(golden: Golden, case: Case, create: Callable[..., Metric]) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    for own in case.checks:
        made = create(own.metric, _options(golden, own))
        # What another check of the case says, such as the success of an attack, is known to this one too.
        metrics[own.metric] = (made.of_case(case) if isinstance(made, DeclaredMetric) else None) or made
    for check in golden.suite:
        if check.metric in metrics:
            continue
        try:
            metric = create(check.metric, _options(golden, check))
        except MetricOptionError:  # it says something only of cases that say what to look for, as keywords
            continue
        fitting = metric.of_case(case) if isinstance(metric, DeclaredMetric) else metric
        if fitting is not None and _can_score(fitting, case, paired=golden.rival is not None):
            metrics[check.metric] = fitting
    return metrics


def _options(golden: Golden, check: Check | SuiteCheck) -> Mapping[str, Any]:
    """Those of the check; what the file says of passages holds where the check says nothing of them."""
    if check.metric == "pii_leak" and golden.passages:
        return {"passages": golden.passages, **check.options}
    return check.options


def _can_score(metric: Metric, case: Case, *, paired: bool) -> bool:
    """Whether a suite's metric says anything of this case: without a reference, or a rival, it cannot."""
    paired = paired and traits_of(metric).compares
    return not (
        ("reference" in metric.needs and case.reference is None and not paired)
        or ("relevant" in metric.needs and not case.relevant)
    )

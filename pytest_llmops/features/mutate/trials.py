"""Mutants of outputs, and whether the checks of their cases find them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.metrics.custom import FunctionMetric
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import (
    Case,
    CaseResult,
    Check,
    Failure,
    Output,
    Sample,
    Score,
    Span,
    StateRead,
    Verdict,
)
from pytest_llmops.registry import find_traits
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.scoring import Scorer

TrialOutcome = Literal["killed", "error", "survived", "undecided"]
"""
`error`: the app broke, or gave nothing that a check could read, so the build is red, too. `undecided`: a
check could not be asked, or broke.
"""

PAID = "no paid call is made without --budget"
SPENT = "the budget is spent"
_NO_RIVAL = "no rival answered a mutant"


def is_refusal(error: str) -> bool:
    """Return whether something was not called since it costs."""
    return PAID in error or SPENT in error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """
    A case with an output that all its checks pass.

    Attributes:
        doubt: Why its mutants say nothing: no output passes all checks. Empty where one does.
        unasked: Metrics that gave no score of this output, so that they say nothing of its mutants.
    """

    task: Task
    output: Output
    spans: tuple[Span, ...] = ()
    unasked: frozenset[str] = frozenset()
    doubt: str = ""

    @property
    def cluster(self) -> str:
        """The name under which cases of one question count once."""
        return self.task.case.group or self.task.id

    @property
    def passages(self) -> list[str]:
        return [passage.text for passage in self.output.passages or () if passage.text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """
    An output as a mutant would have given it.

    Attributes:
        answered: The case as it is; None for a changed file of which no answer differs.
        output: None where the app gave none, for the reason in `broken`.
        place: Names the mutant where it is not one of a case: golden file, and file with line of an edit.
        doubt: Why its verdict says nothing of the golden set; empty where it does.
    """

    group: str
    kind: str
    answered: Answered | None
    output: Output | None
    change: str
    spans: tuple[Span, ...] = ()
    broken: str = ""
    doubt: str = ""
    place: str = ""

    @property
    def why_undecided(self) -> str:
        return self.doubt or (self.answered.doubt if self.answered else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """
    The verdict of a case's checks on one mutant.

    Attributes:
        asked: The checks that gave a verdict; `killers` are those that failed.
        reason: Why it is undecided, or how the app broke.
    """

    mutation: Mutation
    outcome: TrialOutcome
    asked: tuple[str, ...] = ()
    killers: tuple[str, ...] = ()
    reason: str = ""

    @property
    def case(self) -> str:
        """The item's id, or the place of an edit."""
        mutation = self.mutation
        return mutation.place or (mutation.answered.task.id if mutation.answered else "")

    @property
    def cluster(self) -> str:
        """The name of those that count once for an interval: cases of one group, edits one by one."""
        mutation = self.mutation
        if mutation.place or mutation.answered is None:
            return f"{mutation.place} {mutation.change}"
        return mutation.answered.cluster

    @property
    def is_same(self) -> bool:
        """Whether a reply was changed and the app's answer was not."""
        answered, output = self.mutation.answered, self.mutation.output
        if self.group != "model" or answered is None or output is None:
            return False
        return answers_alike(answered.output, output)

    @property
    def group(self) -> str:
        return self.mutation.group

    @property
    def kind(self) -> str:
        return self.mutation.kind

    @property
    def is_killed(self) -> bool:
        return self.outcome in {"killed", "error"}

    @property
    def is_decided(self) -> bool:
        return self.outcome != "undecided"


def answers_alike(good: Output, other: Output) -> bool:
    """Return whether two outputs are the same to checks of answers, passages and tools."""
    return (good.text, good.passages, good.tool_calls) == (other.text, other.passages, other.tool_calls)


def checks_that_count(case: Case) -> tuple[Check, ...]:
    """Return the checks of an answer: not those of its time and cost, nor those that only record."""
    return tuple(
        check for check in case.checks if not check.record_only and find_traits(check.metric).basis != "run"
    )


def try_mutations(mutations: Sequence[Mutation], scorer: Scorer) -> list[Trial]:
    """Score mutants by the checks of their cases, in one batch a metric, and judge them."""
    rows = [
        (mutation.answered, mutation.output, mutation.spans)
        for mutation in mutations
        if mutation.answered and mutation.output is not None and not mutation.why_undecided
    ]
    scored = iter(score_outputs(rows, scorer))
    trials = []
    for mutation in mutations:
        if doubt := mutation.why_undecided:
            trials.append(Trial(mutation=mutation, outcome="undecided", reason=doubt))
        else:
            has_output = mutation.answered and mutation.output is not None
            trials.append(_judge(mutation, next(scored) if has_output else ()))
    return trials


def score_outputs(
    rows: Iterable[tuple[Answered, Output, tuple[Span, ...]]], scorer: Scorer
) -> list[list[Score | Failure]]:
    """Score outputs by the checks of their cases, in one batch a metric; a list of results for each."""
    results: list[list[Score | Failure]] = []
    batches: dict[object, tuple[str, Metric, list[tuple[int, Sample]]]] = {}
    for at, (answered, output, spans) in enumerate(rows):
        results.append([])
        case = answered.task.case
        wanted = {check.metric for check in checks_that_count(case)}
        sample = Sample(
            output=replace(output, repeat=0),
            input=case.input,
            reference=case.reference,
            relevant=case.relevant,
            spans=spans,
            case=answered.task.id,
            expected=case.expected,
            state=StateRead(value=case.expected),  # another text changes nothing that the app did
        )
        for name, metric in answered.task.metrics:
            if name not in wanted:
                continue
            if traits_of(metric).compares and (case.reference is None or name in answered.unasked):
                results[at].append(Failure(metric=name, stage="rival", error=_NO_RIVAL))
            else:
                batches.setdefault(_identity(name, metric), (name, metric, []))[2].append((at, sample))
    futures = [
        (name, rows_of, scorer.submit(metric, [sample for _, sample in rows_of]))
        for name, metric, rows_of in batches.values()
    ]
    for name, rows_of, future in futures:
        for (at, _), result in zip(rows_of, future.result(), strict=True):
            results[at].append(replace(result, metric=name))
    return results


def judge_scored(
    case: Case, id_: str, output: Output, scores: Iterable[Score | Failure]
) -> tuple[Verdict, ...]:
    """Judge one output by the checks that count."""
    results = list(scores)
    checks = checks_that_count(case)
    if not checks:
        return ()
    result = CaseResult(
        case=id_,
        input_hash="",
        outputs=(replace(output, repeat=0),),
        scores=tuple(replace(score, repeat=0) for score in results if isinstance(score, Score)),
        failures=tuple(replace(failure, repeat=0) for failure in results if isinstance(failure, Failure)),
        checks=checks,
    )
    return judge_case(replace(case, checks=checks), result)


def _identity(name: str, metric: Metric) -> object:
    try:
        hash(metric)
    except TypeError:
        return id(metric)
    return name, metric


def _judge(mutation: Mutation, scores: Sequence[Score | Failure]) -> Trial:
    if mutation.output is None or mutation.answered is None:
        return Trial(mutation=mutation, outcome="error", reason=mutation.broken)
    task = mutation.answered.task
    verdicts = judge_scored(task.case, task.id, mutation.output, scores)
    asked = [verdict for verdict in verdicts if verdict.outcome in {"passed", "failed"}]
    # A check that has nothing to judge leaves a case to the others, in a run too.
    idle = {score.metric for score in scores if isinstance(score, Failure) and score.stage == "inapplicable"}
    killers = tuple(verdict.check for verdict in asked if verdict.outcome == "failed")
    outcome: TrialOutcome = "killed" if killers else "survived"
    reason = ""
    silent = [
        verdict for verdict in verdicts if verdict not in asked and not (asked and verdict.metric in idle)
    ]
    if silent and not killers:
        refusing = [
            verdict for verdict in silent if _has_nothing_to_read(verdict, mutation.answered, mutation.output)
        ]
        outcome = "error" if refusing else "undecided"
        first = (refusing or silent)[0]
        reason = f"{first.check} gave no score: {first.reason}"
    return Trial(
        mutation=mutation,
        outcome=outcome,
        asked=tuple(dict.fromkeys(verdict.check for verdict in asked)),
        killers=tuple(dict.fromkeys(killers)),
        reason=reason,
    )


def _has_nothing_to_read(verdict: Verdict, answered: Answered, output: Output) -> bool:
    """
    Return whether a metric of ours refuses an empty answer, or one without its passages.

    Any other that gives no score broke, and that is no kill: it would find each mutant, and each right answer
    that is unusual.
    """
    metric = dict(answered.task.metrics).get(verdict.metric)
    is_ours = type(metric).__module__.startswith("pytest_llmops.") and not isinstance(metric, FunctionMetric)
    is_empty = not output.text.strip() or bool(answered.output.passages and not output.passages)
    refuses = is_empty and is_ours and verdict.outcome == "error" and not find_traits(verdict.metric).waits
    return refuses and verdict.metric not in answered.unasked

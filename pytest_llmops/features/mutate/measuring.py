"""A measurement: the golden set once as it is, then each mutant of its outputs, passages and replies."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.errors import BudgetError, LLMOpsError
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.features.mutate.answers import answer_mutants
from pytest_llmops.features.mutate.copies import Files
from pytest_llmops.features.mutate.kinds import Kind
from pytest_llmops.features.mutate.languages import detect_language
from pytest_llmops.features.mutate.passages import passage_mutants
from pytest_llmops.features.mutate.remedies import find_remedies
from pytest_llmops.features.mutate.replies import MUTE, Replies, group_by_case
from pytest_llmops.features.mutate.strength import Strength, measure_strength
from pytest_llmops.features.mutate.trials import (
    PAID,
    SPENT,
    Answered,
    Mutation,
    answers_alike,
    is_refusal,
    judge_scored,
    score_outputs,
    try_mutations,
)
from pytest_llmops.golden.identity import cases_by_id, file_of, input_hash
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.protocols import App, traits_of
from pytest_llmops.recorder import Call
from pytest_llmops.recorder.identity import LOOPBACK
from pytest_llmops.records import (
    Case,
    CaseResult,
    Failure,
    Golden,
    Output,
    Passage,
    Run,
    Score,
    ScoredOutput,
    Span,
    Verdict,
)
from pytest_llmops.registry import find_traits
from pytest_llmops.runner.app.routing import route_through
from pytest_llmops.runner.cases.tasks import Task, plan
from pytest_llmops.settings import Settings
from pytest_llmops.text.words import split_words

_TURNS = "{}: conversations are not mutated yet"
_MIXED = "{}: no single output of it passes all its checks, only its repeats together"
_MAY_BE_RIGHT = frozenset({"another_reply", "truncated"})
_NAMED = 5
_NAMING = "pass --app"
_TOO_SLOW = "no answer within "


class RedGoldenError(LLMOpsError):
    """A golden set is not green before anything is mutated."""

    def __init__(self, reds: Sequence[str]) -> None:
        cases = counted(len(reds), "check is", "checks are")
        super().__init__(
            f"{cases} not green before anything is mutated; fix these first:\n" + "\n".join(reds)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    A measurement.

    Attributes:
        remedies: By the position of a survivor, the YAML of a check that would have killed it.
        calls: Model calls that cost something and were made.
        notes: Answers that are no mutants, and what was compared with no earlier measurement.
    """

    strength: Strength
    remedies: Mapping[int, str]
    calls: int = 0
    notes: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class PaidCalls:
    """Permits all calls on this machine, and so many others."""

    most: int
    made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def permit(self, provider: str, model: str | None) -> None:
        """Raises BudgetError where a call would cost something and may not be made."""
        if provider == LOOPBACK:
            return
        with self._lock:
            if self.made >= self.most:
                why = f"{SPENT}, {counted(self.most, 'call')}" if self.most else PAID
                raise BudgetError(
                    f"{printable(model or 'a model', 60)} at {printable(provider)} was not called: {why}; "
                    "record it first (llmops run), or allow calls: --budget N"
                )
            self.made += 1

    def charge(self, call: Call) -> None:
        """Count nothing: a call counts as soon as it is permitted."""

    @property
    def is_spent(self) -> bool:
        return self.made >= self.most


@dataclass(slots=True)
class _Spans:
    """Keeps the spans of each output, for metrics that look into them."""

    setting: ClassVar[str] = "mutate"
    by_output: dict[tuple[str, int], tuple[Span, ...]] = field(default_factory=dict)

    def take(self, output: ScoredOutput) -> None:
        self.by_output[output.case, output.repeat] = output.spans

    def finish(self) -> Sequence[str]:
        return ()

    def warnings(self) -> Iterable[str]:
        return ()

    def close(self) -> None:
        """Leave nothing open."""


def measure(  # noqa: PLR0913 - what is measured, and how far
    goldens: Sequence[Golden],
    settings: Settings,
    kinds: Sequence[Kind],
    *,
    app: App | None = None,
    run: Run | None = None,
    budget: int = 0,
    edits: Files | None = None,
) -> Measured:
    """
    Measure what share of mutants the checks of golden files kill.

    Args:
        app: In place of the one that the settings or the files name.
        run: Stored outputs, in place of the app's.
        budget: The most calls that cost something.
        edits: Files whose rules are changed, in copies of the project.

    Raises:
        RedGoldenError: A case or a suite check is red as it is.
        LLMOpsError: Something is missing, or the app cannot be imported.
    """
    calm = replace(settings, budget=None, export=(), out=None, baseline=None)
    missing: dict[str, str] = {}
    silent: list[str] = []
    paid = PaidCalls(most=budget)
    replies = Replies(may_embed=lambda provider: provider == LOOPBACK or not paid.is_spent)
    if settings.record == "none":
        replies.may_embed = lambda _: False
    evaluation = Evaluation.open(calm, naming=_NAMING)
    try:
        recorder = evaluation.recorder
        recorder.limit(paid)
        recorder.replies = replies
        if run is None:
            answered = list(_run_as_it_is(evaluation, goldens, app))
        else:
            recorder.keeps = False
            answered = list(_read_stored(evaluation, goldens, run))
            missing["model"] = "stored outputs have no model calls that could be changed: leave out --run"
        recorder.keeps = False
        mutations = [
            mutation
            for group, change in {"output": _change_outputs, "retrieval": _change_passages}.items()
            if any(group == wanted for wanted, _ in kinds)
            for mutation in change(answered)
            if (group, mutation.kind) in kinds
        ]
        if run is None and any(group == "model" for group, _ in kinds):
            if not replies.cases():
                missing["model"] = "the app made no model call that the recorder sees"
            rerun = _Rerun(goldens=goldens, settings=calm, app=app, paid=paid, replies=replies)
            mutations += rerun.change_replies(answered, [kind for group, kind in kinds if group == "model"])
            missing |= rerun.describe_right()
            silent = [item.task.id for item in answered if item.task.id not in replies.cases()]
        trials = try_mutations(mutations, evaluation.scorer)
        if edits is not None:
            tried, calls = edits.try_edits(goldens, answered, budget - paid.made)
            trials += tried
            paid.made += calls
        if not any(item.output.passages for item in answered):
            missing["retrieval"] = "no case has passages"
        unread = [item.task.id for item in answered if _is_unread(item)]
        strength = measure_strength(goldens, trials, missing, kinds, unread)
        models = {golden.path: _models_of(golden) for golden in goldens}
        remedies = find_remedies(strength.survivors, models, evaluation.scorer)
    finally:
        evaluation.close()
    kinds_tried = {f"{rate.group}/{rate.kind}" for rate in strength.kinds}
    notes = [f"{name}: {why}" for name, why in missing.items() if name in kinds_tried]
    if silent and not kinds_tried.isdisjoint(f"model/{kind}" for kind in MUTE):
        what = counted(len(silent), "case")
        notes.append(f"model: {what} made no model call that the recorder sees: {name_some(silent, _NAMED)}")
    return Measured(strength=strength, remedies=remedies, calls=paid.made, notes=tuple(notes))


def _models_of(golden: Golden) -> dict[str, object]:
    named = {"encoder": "" if golden.encoder == "default" else golden.encoder, "judge": golden.judge}
    return {name: model for name, model in named.items() if model}


def _run_as_it_is(evaluation: Evaluation, goldens: Sequence[Golden], app: App | None) -> Iterator[Answered]:
    """
    Run the golden files, and yield each case with its first output that all its checks pass.

    A case of which no output does, though its repeats pass together, has a doubt: its mutants are undecided.
    So has a conversation.
    """
    spans = _Spans()
    evaluation.attribution.listeners = (*evaluation.attribution.listeners, spans)
    evaluation.compare_with(BaselineSource(goldens=tuple(goldens)))
    with route_through():
        evaluation.run(app)
    reds: list[str] = []
    chosen: list[Answered] = []
    for golden in goldens:
        for task in evaluation.tasks[golden.path].values():
            result, verdicts = evaluation.judge_case(golden, task)
            reds += _describe_reds(task.id, _leave_out_unasked(verdicts, result.failures))
            for output in result.outputs:
                if task.case.is_conversation:  # judged as scored: no other output can stand in its place
                    chosen.append(Answered(task=task, output=output, doubt=_TURNS.format(task.id)))
                    break
                scores: list[Score | Failure] = [
                    score for score in result.scores if score.repeat == output.repeat
                ]
                scores += [failure for failure in result.failures if failure.repeat == output.repeat]
                own = judge_scored(task.case, task.id, output, scores)
                if not any(map(_is_red, _leave_out_unasked(own, result.failures))):
                    seen = spans.by_output.get((task.id, output.repeat), ())
                    unasked = _find_unasked(task, scores, golden)
                    chosen.append(Answered(task=task, output=output, spans=seen, unasked=unasked))
                    break
            else:
                if result.outputs:
                    chosen.append(Answered(task=task, output=result.outputs[0], doubt=_MIXED.format(task.id)))
        results = evaluation.wait_for_all(golden)
        failures = [failure for result in results for failure in result.failures]
        suite = _leave_out_unasked(evaluation.judge_suite(golden, results), failures)
        reds += _describe_reds(golden.path, (verdict for verdict in suite if not _is_of_time(verdict)))
    reds += evaluation.all_errors()
    if reds:
        raise RedGoldenError(reds)
    yield from chosen


def _read_stored(evaluation: Evaluation, goldens: Sequence[Golden], run: Run) -> Iterator[Answered]:
    """Score the outputs of a run file anew, and yield each case with its first output that passes."""
    stored = {result.case: result for result in run.results}
    reds: list[str] = []
    rows: list[tuple[Answered, Output, tuple[Span, ...]]] = []
    passing: dict[str, Answered] = {}
    for golden in goldens:
        for task in plan(golden, 1, 1):
            result = stored.get(task.id)
            if result is None or not result.outputs:
                reds.append(f"{task.id}: the run has no output of it")
            elif result.input_hash != input_hash(task.case):
                reds.append(f"{task.id}: the run asked something else, or expected something else")
            elif task.case.is_conversation:
                doubt = _TURNS.format(task.id)
                passing[task.id] = Answered(task=task, output=result.outputs[0], doubt=doubt)
            else:
                rows += [(Answered(task=task, output=output), output, ()) for output in result.outputs]
    problems: dict[str, list[str]] = {}
    for (answered, output, _), scores in zip(rows, score_outputs(rows, evaluation.scorer), strict=True):
        task = answered.task
        verdicts = judge_scored(task.case, task.id, output, scores)
        red = _describe_reds(task.id, _leave_out_unasked(verdicts, scores, lambda _: True))
        if red:
            problems.setdefault(task.id, red)
        else:
            golden = next(golden for golden in goldens if golden.path == file_of(task.id))
            unasked = _find_unasked(task, scores, golden)
            passing.setdefault(task.id, replace(answered, unasked=unasked))
    reds += [line for case, lines in problems.items() if case not in passing for line in lines]
    if reds:
        raise RedGoldenError(reds)
    yield from passing.values()


def _find_unasked(task: Task, scores: Iterable[Score | Failure], golden: Golden) -> frozenset[str]:
    """Find the metrics that gave no score of an output, and those that compare it with a rival's."""
    failed = {failure.metric for failure in scores if isinstance(failure, Failure)}
    if golden.rival is not None:
        failed |= {name for name, metric in task.metrics if traits_of(metric).compares}
    return frozenset(failed)


def _leave_out_unasked(
    verdicts: Iterable[Verdict],
    failures: Iterable[Score | Failure],
    is_excused: Callable[[Failure], bool] = lambda failure: is_refusal(failure.error),
) -> list[Verdict]:
    """Leave out errors of checks that were not asked, by default since they cost: they may be green."""
    unasked = {
        failure.metric
        for failure in failures
        if isinstance(failure, Failure) and failure.metric and is_excused(failure)
    }
    return [verdict for verdict in verdicts if verdict.outcome != "error" or verdict.metric not in unasked]


def _is_red(verdict: Verdict) -> bool:
    return verdict.outcome in {"failed", "regressed", "error"} and not verdict.xfail


def _is_of_time(verdict: Verdict) -> bool:
    return find_traits(verdict.metric).basis == "run"


def _describe_reds(name: str, verdicts: Iterable[Verdict]) -> list[str]:
    return [
        f"{printable(name)}: {printable(verdict.check)}: {verdict.outcome}: "
        f"{printable(mask_shown(verdict.reason), 300)}"
        for verdict in verdicts
        if _is_red(verdict)
    ]


def _change_outputs(answered: Sequence[Answered]) -> Iterator[Mutation]:
    texts = [item.output.text for item in answered]
    for at, item in enumerate(answered):
        case = item.task.case
        others = [text for text in (*texts[at + 1 :], *texts[:at]) if text.strip() and text != texts[at]]
        for mutant in answer_mutants(
            item.output.text,
            question=_question(case),
            reference=case.reference,
            passages=item.passages,
            others=list(dict.fromkeys(others)),
            seed=item.task.id,
        ):
            output = replace(item.output, text=mutant.text)
            yield _mutation("output", mutant.kind, item, output, mutant.change)


def _mutation(group: str, kind: str, item: Answered, output: Output, change: str) -> Mutation:
    return Mutation(group=group, kind=kind, answered=item, output=output, change=change, spans=item.spans)


def _is_unread(item: Answered) -> bool:
    """Return whether an answer is in a language whose words cannot be turned."""
    text, case = item.output.text, item.task.case
    return bool(text.strip()) and detect_language(text, _question(case), case.reference or "") is None


def _question(case: Case) -> str:
    """The text of a question; of one with files or of several turns all its texts."""
    return "\n".join(_strings(case.input))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part)


def _change_passages(answered: Sequence[Answered]) -> Iterator[Mutation]:
    known: dict[str, Passage] = {
        passage.id: passage for item in answered for passage in item.output.passages or ()
    }
    for item in answered:
        others = list(known.values())
        random.Random(item.task.id).shuffle(others)  # noqa: S311 - no secret
        for kind, output, change in passage_mutants(item.task.case, item.output, others):
            yield _mutation("retrieval", kind, item, output, change)


@dataclass(slots=True, kw_only=True)
class _Rerun:
    """
    The app again, with other replies; nothing is scored yet, and nothing is recorded.

    Attributes:
        settings: With one case at a time as soon as a call may have been of any of several.
        right: Kind to the number of answers that are still right, so that they are no mutants.
        lost: Whether even then a call was of no known case.
    """

    goldens: Sequence[Golden]
    settings: Settings
    app: App | None
    paid: PaidCalls
    replies: Replies
    right: Counter[str] = field(default_factory=Counter)
    lost: bool = False

    def change_replies(self, answered: Sequence[Answered], kinds: Sequence[str]) -> Iterator[Mutation]:
        """Run the cases whose replies a kind changes, kind by kind."""
        by_id = {item.task.id: item for item in answered}
        for kind, cases in group_by_case(list(by_id), self.replies, kinds).items():
            items = [by_id[case] for case in cases]
            if not items:
                continue
            results, spans = self._run(kind, items)
            if self.lost and self.settings.cases_at_once > 1:
                self.settings = replace(self.settings, concurrency=1)
                results, spans = self._run(kind, items)
            yield from self._read(kind, items, results, spans)

    def _run(
        self, kind: str, items: Sequence[Answered]
    ) -> tuple[Mapping[str, CaseResult], Mapping[tuple[str, int], tuple[Span, ...]]]:
        """Run cases with replies of this kind; returns their results and the spans of their outputs."""
        self.replies.begin(kind)
        spans = _Spans()
        evaluation = Evaluation.open(replace(self.settings, repeats=1), naming=_NAMING)
        try:
            recorder = evaluation.recorder
            recorder.limit(self.paid)
            recorder.replies, recorder.keeps = self.replies, False
            evaluation.attribution.listeners = (*evaluation.attribution.listeners, spans)
            evaluation.compare_with(BaselineSource(goldens=tuple(_keep(self.goldens, items))))
            with route_through():
                evaluation.run(self.app)
            self.lost = bool(recorder.unattributed or recorder.late)
            return evaluation.results(), spans.by_output
        finally:
            evaluation.close()

    def _read(
        self,
        kind: str,
        items: Sequence[Answered],
        results: Mapping[str, CaseResult],
        spans: Mapping[tuple[str, int], tuple[Span, ...]],
    ) -> Iterator[Mutation]:
        for item in items:
            result = results[item.task.id]
            output = next(iter(result.outputs), None)
            if kind in _MAY_BE_RIGHT and output and _is_still_right(item, output):
                self.right[kind] += 1
                continue
            change, broken = "another answer", ""
            if output is None:
                errors = (failure.error for failure in result.failures)
                change, broken = "no answer", next(errors, "the app gave no output")
            elif answers_alike(item.output, output):
                change = "the answer stays the same"
            yield Mutation(
                group="model",
                kind=kind,
                answered=item,
                output=output,
                change=change,
                spans=spans.get((item.task.id, 0), ()),
                broken=broken,
                doubt=self._doubt(item.task.id, broken),
            )

    def describe_right(self) -> dict[str, str]:
        """Say of each kind, and of all, how many answers are no mutants."""
        counts = {f"model/{kind}": number for kind, number in self.right.items()}
        if counts:
            counts["model"] = self.right.total()
        why = "each word of the reference, and no new one"
        return {
            name: f"{counted(number, 'answer')} left out as still right: {why}"
            for name, number in counts.items()
        }

    def _doubt(self, case: str, broken: str) -> str:
        """Return why what the app did says nothing; empty where it does."""
        if case in self.replies.guessed:
            return f"a model was asked something new, which was not called: {PAID}"
        if is_refusal(broken):
            return broken
        if self.lost:
            return "model calls were made that belong to no known case, and got no reply of this kind"
        if broken.startswith(_TOO_SLOW) and case not in self.replies.looped:
            return f"the app gave {broken}, which may be its usual time"
        if case not in self.replies.changed and case in self.replies.cases():
            return "no reply was changed this time: the app called no model, or got an unchanged reply"
        return ""


def _is_still_right(item: Answered, output: Output) -> bool:
    """
    Return whether another answer is no mutant: it has each word of the reference, and says nothing new.

    A beginning of the good answer says nothing new, nor do words of it and of the reference.
    """
    good, other = item.output.text, output.text
    expected, words = {*split_words(item.task.case.reference or "")}, {*split_words(other)}
    says_more = not good.startswith(other) and not words <= expected | {*split_words(good)}
    return bool(expected) and other != good and expected <= words and not says_more


def _keep(goldens: Iterable[Golden], items: Sequence[Answered]) -> Iterator[Golden]:
    """Yield golden files with these cases alone, and without checks."""
    kept = {item.task.id for item in items}
    for golden in goldens:
        cases = [case for id_, case in cases_by_id(golden).items() if id_ in kept]
        if cases:
            bare = tuple(replace(case, checks=(), repeats=1) for case in cases)
            yield replace(golden, cases=bare, suite=(), rival=None)

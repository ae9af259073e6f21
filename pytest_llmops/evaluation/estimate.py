"""`--llm-dry-run`: the model calls, tokens and dollars that a run is likely to take, without any call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.errors import RunFileError
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.spending import spent_on, sum_usage
from pytest_llmops.golden.apps import name_app
from pytest_llmops.golden.identity import file_of, input_hash
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.protocols import traits_of
from pytest_llmops.records import CaseResult, Usage
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.runner.cases.tasks import Task

_NAMED = 5


def estimate_run(evaluation: Evaluation) -> list[str]:
    """
    Return the lines of a dry run: the wanted cases, and what they are expected to take.

    A repeat takes what it took in the baseline or else in the last run, where the case had the same input.
    What is unknown is listed, and does not count as nothing.
    """
    tasks = [task for wanted in evaluation.tasks.values() for task in wanted.values()]
    files = dict.fromkeys(file_of(task.id) for task in tasks)
    repeats = sum(task.repeats for task in tasks)
    size = f"{counted(len(tasks), 'case')} of {counted(len(files), 'golden file')}"
    lines = ["dry run: nothing is called", f"{size}, {counted(repeats, 'call')} of the app"]
    return [*lines, *_describe_usage(evaluation, tasks), *_describe_rest(evaluation, tasks)]


def _describe_usage(evaluation: Evaluation, tasks: Sequence[Task]) -> Iterator[str]:
    base = evaluation.source.base
    sources: list[tuple[str, Mapping[str, CaseResult]]] = []
    if base is not None:
        sources.append(("the baseline", {result.case: result for result in base.results}))
    last, problem = _read_last_run(evaluation)
    sources.append(("the last run", last))
    expected: dict[str, list[Usage]] = {}
    unknown: dict[str, list[str]] = {}
    for task in tasks:
        source, usage, lack = _expect(task, sources)
        if usage is None:
            unknown.setdefault(lack, []).append(printable(task.id))
        else:
            expected.setdefault(source, []).append(usage)
    for source, usages in expected.items():
        usage = sum_usage(usages)
        of = "" if len(usages) == len(tasks) else f" for {counted(len(usages), 'case')}"
        yield f"expected{of}, by {source}: {_render(usage)}"
    for lack, cases in unknown.items():
        yield f"not estimated: {counted(len(cases), 'case')} {lack}: {name_some(cases, _NAMED)}"
    if problem:
        yield f"not read: {problem}"


def _expect(
    task: Task, sources: Iterable[tuple[str, Mapping[str, CaseResult]]]
) -> tuple[str, Usage | None, str]:
    """Return the first source that knows a task's usage, and the usage; else why none does."""
    lack = "never run"
    for source, results in sources:
        result = results.get(task.id)
        if result is None:
            continue
        if result.input_hash not in {"", input_hash(task.case)}:
            lack = "edited since"
            continue
        usage, repeats = spent_on(result), count_repeats(result)
        if usage is not None and usage.calls and repeats:
            return source, _scale(usage, task.repeats / repeats), ""
        lack = "without a model call that was seen"
    return "", None, lack


def _scale(usage: Usage, factor: float) -> Usage:
    prompt, completion, cost = usage.prompt_tokens, usage.completion_tokens, usage.cost_usd
    return replace(
        usage,
        calls=round(usage.calls * factor),
        replayed=0,
        failed=0,
        prompt_tokens=None if prompt is None else round(prompt * factor),
        completion_tokens=None if completion is None else round(completion * factor),
        cost_usd=None if cost is None else cost * factor,
    )


def _render(usage: Usage) -> str:
    tokens = "tokens unknown"
    if usage.prompt_tokens is not None and usage.completion_tokens is not None:
        tokens = f"{usage.prompt_tokens:,} prompt and {usage.completion_tokens:,} completion tokens"
    cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:,.4f}"
    return ", ".join((counted(usage.calls, "model call"), tokens, cost))


def _describe_rest(evaluation: Evaluation, tasks: Sequence[Task]) -> Iterator[str]:
    """Yield what the figures leave out."""
    settings = evaluation.settings
    if settings.record == "none":
        yield "record none makes no model call: all of these are replayed, or are errors"
    elif settings.record != "all":
        yield "calls that are replayed from recordings cost nothing, and are among these"
    open_ended = [task for task in tasks if task.most > task.repeats]
    if open_ended:
        cases, most = counted(len(open_ended), "case"), max(task.most for task in open_ended)
        yield f"not estimated: further repeats of {cases}, up to {most} each while a verdict is open"
    if judges := _count_judged(tasks):
        yield f"not estimated: model calls of judges, for so many outputs: {_name_counts(judges)}"
    if users := _count_users(tasks):
        named = _name_counts(users)
        yield f"not estimated: model calls of simulated users, for so many conversations: {named}"
    started = [golden for golden in evaluation.goldens if evaluation.tasks.get(golden.path)]
    for golden in started:
        if golden.rival:
            yield f"not estimated: calls of the rival {printable(name_app(golden.rival))}"
        if golden.anchors and settings.record != "none":
            yield f"not estimated: judges of the anchors {printable(golden.anchors)}"
    if evaluation.skipped:
        yield f"skipped by golden files: {counted(len(evaluation.skipped), 'case')}"


def _name_counts(counts: Counter[str]) -> str:
    return name_some([f"{printable(name)} ({number})" for name, number in sorted(counts.items())], _NAMED)


def _count_judged(tasks: Iterable[Task]) -> Counter[str]:
    """Count the outputs that each judge will score."""
    judged: Counter[str] = Counter()
    for task in tasks:
        judged.update({name: task.repeats for name, metric in task.metrics if traits_of(metric).waits})
    return judged


def _count_users(tasks: Iterable[Task]) -> Counter[str]:
    """Count the conversations that each model of simulated users will lead."""
    users: Counter[str] = Counter()
    for task in tasks:
        if task.case.user:
            users[str(task.case.user.model.get("model"))] += task.repeats
    return users


def _read_last_run(evaluation: Evaluation) -> tuple[dict[str, CaseResult], str]:
    path = evaluation.settings.path(evaluation.settings.last_run)
    if not path.is_file():
        return {}, ""
    try:
        return {result.case: result for result in load_run(path).results}, ""
    except RunFileError as error:
        return {}, printable(str(error))

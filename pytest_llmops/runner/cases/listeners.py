"""Listeners that follow the outputs of a run to its end, such as an export or a receiver of traces."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.bounds import holds
from pytest_llmops.errors import LLMOpsError, SettingsError, describe_error
from pytest_llmops.extensions import call_hook
from pytest_llmops.protocols import RunListener
from pytest_llmops.records import Failure, Judged, Output, ScoredOutput
from pytest_llmops.runner.app.calls import Called
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.scoring import Result
from pytest_llmops.settings import Settings

_SERVED = ("export", "proxy", "receive")


def open_listeners(settings: Settings) -> tuple[RunListener, ...]:
    """
    Open the listeners of all features that follow a run of these settings.

    Raises:
        LLMOpsError: One cannot be opened, or the feature that serves a setting is not installed.
    """
    wanted = [name for name in _SERVED if getattr(settings, name)]
    listeners: list[RunListener] = []
    try:
        for _, listener in call_hook("llmops_open_listener", object, settings=settings):
            listeners.append(listener)
        for name in wanted:
            if name not in {listener.setting for listener in listeners}:
                raise SettingsError(f"{name}: no installed feature serves this setting")
    except LLMOpsError:
        for listener in listeners:
            listener.close()
        raise
    return tuple(listeners)


def report_outputs(
    listeners: Sequence[RunListener], task: Task, answers: Sequence[Called], results: Sequence[Result]
) -> None:
    """Pass the outputs of a task on, with their scores, labelled by the checks of its case."""
    if not listeners:
        return
    for called in answers:
        if isinstance(output := called.answer, Output):
            scored = ScoredOutput(
                case=task.id,
                repeat=output.repeat,
                input=task.case.input,
                text=output.text,
                spans=called.spans,
                judged=tuple(_judge(task, result) for result in results if result.repeat == output.repeat),
                latency_s=output.latency_s,
            )
            for listener in listeners:
                try:
                    listener.take(scored)
                except Exception as error:
                    name = type(listener).__name__
                    raise LLMOpsError(f"the listener {name} broke: {describe_error(error)}") from error


def _judge(task: Task, result: Result) -> Judged:
    if isinstance(result, Failure):
        return Judged(metric=result.metric, error=result.error)
    checks = [check for check in task.case.checks if check.metric == result.metric]
    passed = all(holds(result.value, check) for check in checks)
    return Judged(
        metric=result.metric,
        value=result.value,
        label="" if not checks else "passed" if passed else "failed",
        explanation=result.reason,
    )

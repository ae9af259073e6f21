"""The outputs of a task, handed to the export with what the checks of its case say of each score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_llmops.bounds import holds
from pytest_llmops.records import Failure, Output
from pytest_llmops.runner.app.calls import Called
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.scoring.scorer import Result

if TYPE_CHECKING:
    from pytest_llmops.traces.export.exporter import Exporter
    from pytest_llmops.traces.export.scored import Judged


def export_outputs(
    exporter: Exporter | None, task: Task, answers: Sequence[Called], results: Sequence[Result]
) -> None:
    """Have an exporter keep the outputs of these answers until the run is over."""
    if exporter is None:
        return
    from pytest_llmops.traces.export.scored import ScoredOutput

    for output, spans in answers:
        if isinstance(output, Output):
            exporter.take(
                ScoredOutput(
                    case=task.id,
                    repeat=output.repeat,
                    input=task.case.input,
                    text=output.text,
                    spans=spans,
                    judged=[_judge(task, each) for each in results if each.repeat == output.repeat],
                    latency_s=output.latency_s,
                )
            )


def _judge(task: Task, result: Result) -> Judged:
    from pytest_llmops.traces.export.scored import Judged

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

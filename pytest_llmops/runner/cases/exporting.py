"""The outputs of a task, handed to the export with what the checks of its case say of each score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_llmops.bounds import holds
from pytest_llmops.records import Output, Score
from pytest_llmops.runner.app.calls import Called
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.scoring.scorer import Result

if TYPE_CHECKING:
    from pytest_llmops.traces.export.scored import ScoredOutput


class TakesOutputs(Protocol):
    """Whoever sends outputs at the end of a run."""

    def take(self, output: ScoredOutput) -> None:
        """Keep it until then."""


def export_outputs(
    exporter: TakesOutputs | None, task: Task, answers: Sequence[Called], results: Sequence[Result]
) -> None:
    """Have an exporter keep the outputs of these answers until the run is over."""
    if exporter is None:
        return
    from pytest_llmops.traces.export.scored import ScoredOutput, judge_output

    for output, spans in answers:
        if not isinstance(output, Output):
            continue
        own = [each for each in results if each.repeat == output.repeat]
        exporter.take(
            ScoredOutput(
                case=task.id,
                repeat=output.repeat,
                input=task.case.input,
                text=output.text,
                spans=spans,
                judged=judge_output(own, _label(task, own)),
                latency_s=output.latency_s,
            )
        )


def _label(task: Task, results: Sequence[Result]) -> dict[tuple[str, float], str]:
    """`passed` or `failed` of each score that a check of the case is on."""
    labels = {}
    for score in results:
        checks = [check for check in task.case.checks if check.metric == score.metric]
        if isinstance(score, Score) and checks:
            passed = all(holds(score.value, check) for check in checks)
            labels[score.metric, score.value] = "passed" if passed else "failed"
    return labels

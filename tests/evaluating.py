"""Several golden files in one run, without a command line."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.records import CaseResult, Golden, Run
from pytest_llmops.settings import Settings


def evaluate(
    goldens: Sequence[Golden], settings: Settings, base: Run | None = None
) -> tuple[list[CaseResult], list[str]]:
    """All results, and what the run could not keep."""
    evaluation = Evaluation.open(settings, naming="name an app")
    try:
        evaluation.compare_with(BaselineSource(goldens=tuple(goldens), base=base))
        evaluation.run()
        return list(evaluation.results().values()), evaluation.all_problems()
    finally:
        evaluation.close()

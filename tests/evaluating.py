"""Several golden files in one run, without a command line."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.evaluation.evaluation import Evaluation
from pytest_llmops.evaluation.session import Session
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.records import CaseResult, Golden, Run
from pytest_llmops.settings import Settings


def evaluate(
    goldens: Sequence[Golden], settings: Settings, base: Run | None = None
) -> tuple[list[CaseResult], list[str]]:
    """All results, and what the session could not keep."""
    source = BaselineSource(goldens=tuple(goldens), base=base)
    session = Session.open(settings, naming="name an app")
    try:
        evaluation = Evaluation(session=session, source=source, judge=source.judge(settings))
        evaluation.run()
        return list(evaluation.results().values()), session.all_problems()
    finally:
        session.close()

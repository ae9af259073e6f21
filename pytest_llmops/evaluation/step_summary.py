"""The comment on a run as the summary of a step of GitHub Actions, which names a file for it."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.records import Run

VARIABLE = "GITHUB_STEP_SUMMARY"


def append_summary(evaluation: Evaluation, run: Run, *, red: bool) -> str:
    """Append the comment on a run that is over; return a sentence where it could not be written."""
    path = os.environ.get(VARIABLE)
    if not path:
        return ""
    # Here, since a run without a baseline loads no statistics.
    from pytest_llmops.evaluation.comparing import compare_runs
    from pytest_llmops.reports.comment import Sides, write_comment

    base, settings, judge = evaluation.source.base, evaluation.settings, evaluation.judge
    try:
        comparison = compare_runs(
            base, run, release=judge.release, people=judge.people, goldens=evaluation.goldens
        )
        sides = Sides(
            comparison=comparison,
            base=base or Run(signature={}, results=()),
            named="" if base is None else settings.baseline or settings.accepted,
            run=run,
            cases=cases_by_id(*evaluation.goldens),
        )
        text = write_comment(sides, job="failure" if red else "success")
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(f"{text}\n")
    except (LLMOpsError, OSError, ValueError) as error:
        return f"the step summary {path} could not be written: {error}"
    return ""

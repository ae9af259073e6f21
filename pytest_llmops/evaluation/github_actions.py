"""What a run leaves in GitHub Actions: its comment as the step's summary, and annotations of golden files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.printable import printable
from pytest_llmops.records import Run

if TYPE_CHECKING:
    from pytest_llmops.reports.comment import Sides

SUMMARY, ACTIONS, WORKSPACE = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_WORKSPACE"
_MOST = 10  # annotations of a step that GitHub shows
_LONGEST = 300  # characters of one


def report_to_actions(evaluation: Evaluation, run: Run, *, red: bool) -> list[str]:
    """
    Append the comment on a run that is over to the step's summary.

    Returns:
        Lines for standard output: annotations, and a sentence where the summary could not be written.
    """
    path, annotates = os.environ.get(SUMMARY), os.environ.get(ACTIONS) == "true"
    if not path and not annotates:
        return []
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
        if path:
            with Path(path).open("a", encoding="utf-8") as summary:
                summary.write(f"{write_comment(sides, job='failure' if red else 'success')}\n")
    except (LLMOpsError, OSError, ValueError) as error:
        return [f"the step summary {path} could not be written: {error}"]
    return list(_annotate(sides, settings.root)) if annotates else []


def _annotate(sides: Sides, root: Path) -> Iterator[str]:
    """Yield a workflow command for each case that is worse, at its line."""
    from pytest_llmops.reports.comment import list_worse

    workspace = os.environ.get(WORKSPACE) or root
    for case, line in list_worse(sides)[:_MOST]:
        source = sides.cases[case].source if case in sides.cases else None
        place = ""
        if source is not None:
            file = os.path.relpath(root / source.path, workspace).replace(os.sep, "/")
            place = f" file={_escape_property(file)},line={source.line}"
        yield f"::error{place}::{_escape(line)}"


def _escape(text: str) -> str:
    return printable(text, _LONGEST).replace("%", "%25")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")

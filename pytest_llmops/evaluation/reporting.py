"""The reports of a run that is over, besides the terminal: the HTML file and those of GitHub Actions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.conclusion import Conclusion
from pytest_llmops.evaluation.github_actions import is_wanted, report_to_actions
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.evaluation.source import SINCE
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.records import Run

if TYPE_CHECKING:  # with all gates, which a run without a baseline does without
    from pytest_llmops.reports.sides import Sides


def report_run(
    evaluation: Evaluation, run: Run, conclusion: Conclusion, *, red: bool, saved: str | None
) -> None:
    """
    Write the reports that settings and environment ask for.

    An HTML file that cannot be written fails the build, as any file that somebody asked for.

    Args:
        red: The build fails, whatever the comparison says.
        saved: The file that the run was written to, from the root; None if it was written to none.
    """
    settings, on_actions = evaluation.settings, is_wanted()
    if not (settings.html or on_actions):
        return
    problems = [
        line for line in conclusion.problems if not line.startswith(SINCE)
    ]  # the comparison has those
    sides = find_sides(evaluation, run)
    if settings.html:
        try:
            _write_html(sides, problems, settings.path(settings.html), saved)
        except (LLMOpsError, OSError, ValueError) as error:
            conclusion.add(f"the report {settings.html} could not be written: {error}", "error")
            red = True
    if on_actions:
        try:
            conclusion.problems += report_to_actions(sides, settings, red=red)
        except (LLMOpsError, OSError, ValueError) as error:
            conclusion.problems.append(f"not reported to GitHub Actions: {error}")


def find_sides(evaluation: Evaluation, run: Run) -> Sides:
    """Return a run with what it is compared with, as every report shows it."""
    from pytest_llmops.evaluation.comparing import compare_runs
    from pytest_llmops.reports.sides import Sides

    base, settings, judge = evaluation.source.base, evaluation.settings, evaluation.judge
    return Sides(
        comparison=compare_runs(
            base, run, release=judge.release, people=judge.people, goldens=evaluation.goldens
        ),
        base=base or Run(signature={}, results=()),
        named="" if base is None else settings.baseline or settings.accepted,
        run=run,
        cases=cases_by_id(*evaluation.goldens),
    )


def _write_html(sides: Sides, problems: Sequence[str], path: Path, saved: str | None) -> None:
    from pytest_llmops.reports.html.data import build_data
    from pytest_llmops.reports.html.report_file import write_report

    write_report(build_data(sides, problems=problems, file=saved or "RUN.json"), path)

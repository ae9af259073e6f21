"""What a run leaves in GitHub Actions: its comment as the step's summary, and annotations of golden files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.printable import printable
from pytest_llmops.records import Outcome

if TYPE_CHECKING:
    from pytest_llmops.reports.sides import Sides

SUMMARY, OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"
ACTIONS, WORKSPACE = "GITHUB_ACTIONS", "GITHUB_WORKSPACE"
_MOST = 10  # annotations of a step that GitHub shows
_LONGEST = 300  # characters of one


def is_wanted() -> bool:
    """Return whether this process is a step of GitHub Actions."""
    return any(map(os.environ.get, (SUMMARY, OUTPUT))) or os.environ.get(ACTIONS) == "true"


def report_to_actions(
    sides: Sides, outcome: Outcome, root: Path, *, build: Outcome, html: str | None
) -> list[str]:
    """
    Append the comment on a run that is over to the step's summary, and its results to the step's outputs.

    Args:
        build: How the build ends: `error`, `failed` or `passed`.
        html: The HTML report, if it was written.

    Returns:
        Annotations, for standard output.

    Raises:
        OSError: A file of the step cannot be written.
    """
    from pytest_llmops.reports.comment import write_comment

    if path := os.environ.get(OUTPUT):
        with Path(path).open("a", encoding="utf-8") as outputs:
            outputs.writelines(_list_outputs(sides, outcome, html))

    if path := os.environ.get(SUMMARY):
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(f"{write_comment(sides, job='success' if build == 'passed' else 'failure')}\n")
    return list(_annotate(sides, root)) if os.environ.get(ACTIONS) == "true" else []


def _list_outputs(sides: Sides, outcome: Outcome, html: str | None) -> Iterator[str]:
    """Yield the outputs of `action.yml`, a line each."""
    usage = sides.run.usage
    statuses = list(sides.sorted.statuses(sides.run).values())
    yield f"outcome={outcome}\n"
    yield f"regressed={statuses.count('regressed')}\n"
    yield f"undecided={statuses.count('undecided')}\n"
    yield f"cost-usd={'' if usage.cost_usd is None else f'{usage.cost_usd:.6f}'}\n"
    if html and html.isprintable():
        yield f"report-path={html}\n"


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

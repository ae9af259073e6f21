"""`llmops report [RUN.json]`: a run as HTML, Markdown, JUnit or SARIF. Exit 0 for any verdict, 3 for none."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_llmops.cli.comment import add_comparison_arguments
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import LLMOpsError, RunFileError, describe_error
from pytest_llmops.evaluation.comparing import open_sides
from pytest_llmops.evaluation.journal import find_last_run, unfinished_path
from pytest_llmops.records import Outcome
from pytest_llmops.reports.alerts import write_alerts
from pytest_llmops.reports.comment import write_comment
from pytest_llmops.reports.html.data import Past, build_data, summarize_past
from pytest_llmops.reports.html.report_file import SUFFIXES, write_report
from pytest_llmops.reports.junit import write_junit
from pytest_llmops.reports.sides import CUT_SHORT, SUCCESS, Sides, find_outcome
from pytest_llmops.settings import Settings, find_root, load_settings

_BROKEN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN.json",
        help="a run file (default: the last golden run)",
    )
    add_comparison_arguments(parser, "report")
    parser.add_argument("--history", metavar="DIR", help="folder of earlier run files, for trends")
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE",
        default="report.html",
        help="its ending is .html, .md, .xml (JUnit) or .sarif (default: report.html)",
    )
    parser.set_defaults(do=_report)


def _report(given: argparse.Namespace) -> int:
    settings = load_settings(find_root(Path.cwd()))
    out = Path(given.out)
    if out.suffix not in {*_FORMATS, *SUFFIXES}:
        endings = ", ".join((*SUFFIXES, *_FORMATS))
        print(f"{out}: not written: the name of a report ends in one of {endings}", file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _BROKEN
    try:
        run = given.run or _find_last(settings)
        if out.suffix in _FORMATS:
            sides = open_sides(run, given.baseline, settings)
            write_atomically(out, _FORMATS[out.suffix](sides, given.job).encode())
        else:
            history = Path(given.history) if given.history else None
            write_report(make_report(run, given.baseline, history, settings, job=given.job), out)
    except Exception as error:  # noqa: BLE001 - a run file may be anything, and an earlier report must not stay
        with suppress(OSError):
            out.unlink()
        why = f"{given.out} could not be written: {error.strerror}" if isinstance(error, OSError) else None
        why = why or (str(error) if isinstance(error, LLMOpsError) else describe_error(error))
        print(why, file=sys.stderr)  # noqa: T201 - as above
        return _BROKEN
    print(given.out)  # noqa: T201 - as above
    return 0


def _write_junit(sides: Sides, job: str | None) -> str:
    outcome, problems = _conclude(sides, job)
    return write_junit(sides, outcome=outcome, problems=problems)


def _write_markdown(sides: Sides, job: str | None) -> str:
    return write_comment(sides, job=job)


def _write_alerts(sides: Sides, job: str | None) -> str:
    outcome, problems = _conclude(sides, job)
    return write_alerts(sides, outcome=outcome, problems=problems)


_FORMATS = {".md": _write_markdown, ".xml": _write_junit, ".sarif": _write_alerts}
"""By the ending of the file, besides HTML."""


def _conclude(sides: Sides, job: str | None) -> tuple[Outcome, list[str]]:
    """Return the outcome that the report shows, and sentences on the run as a whole."""
    outcome = find_outcome(sides.comparison.outcome, "failed" if job not in {None, SUCCESS} else "passed")
    problems = [CUT_SHORT] if sides.is_unfinished else []
    problems += [f"the job ended by {job}: its log says why"] if job not in {None, SUCCESS} else []
    return outcome, problems


def _find_last(settings: Settings) -> str:
    last = find_last_run(settings)
    if last == unfinished_path(settings):
        line = f"{CUT_SHORT}; to go on with it: pytest --llm-golden --llm-resume"
        print(line, file=sys.stderr)  # noqa: T201 - as above
    return str(last)


def make_report(
    run: str, baseline: str | None, history: Path | None, settings: Settings, *, job: str | None = None
) -> dict[str, Any]:
    """
    Return the data of the report on a run file.

    Args:
        baseline: As `open_sides` takes it.
        history: Folder of other run files.
        job: The result of the job that made the run, in the word of the CI.

    Raises:
        LLMOpsError: The run or the baseline cannot be read, or a feature breaks the report.
    """
    if history is not None and not history.is_dir():
        raise RunFileError(f"{history} is no folder of run files")
    sides = open_sides(run, baseline, settings)
    past = _read_history(history, Path(run), sides, baseline, settings) if history else []
    outcome, problems = _conclude(sides, job)
    return build_data(sides, outcome=outcome, problems=problems, history=past, file=run)


def _read_history(
    folder: Path, run: Path, sides: Sides, baseline: str | None, settings: Settings
) -> list[Past]:
    """
    Summarize the runs of a folder, oldest first, and then this one; a file that is no run is left out.

    All are compared with the baseline of this one, so that a known failure makes no earlier run red.
    """
    past: list[Past] = []
    content = run.read_bytes()
    for path in sorted(folder.glob("*.json")):
        if path.read_bytes() == content:  # the run itself, or a copy of it
            continue
        try:
            past.append(summarize_past(path.stem, open_sides(str(path), baseline, settings)))
        except RunFileError as error:
            print(f"left out of the history: {error}", file=sys.stderr)  # noqa: T201 - a command talks to its user
    past.sort(key=lambda one: one.ended)
    return [*past, summarize_past(run.stem, sides)]

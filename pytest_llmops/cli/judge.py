"""
`llmops judge RUN.json…`: the verdict of a run that is over, or of its shards, as the run itself gives it.

Exit 0 held, 1 a check missed or regressed, 2 undecided, 3 broken.
"""

from __future__ import annotations

import argparse
import os

from pytest_llmops.cli.merge import load_merged, report_broken
from pytest_llmops.cli.run import (
    CODES,
    add_approvals,
    end_build,
    list_skipped,
    print_verdicts,
    read_settings,
)
from pytest_llmops.errors import MergeError, RevisionError, RunFileError
from pytest_llmops.evaluation.conclusion import conclude, list_next_steps
from pytest_llmops.evaluation.finished import describe_undecided, open_finished
from pytest_llmops.evaluation.reporting import forget_report, report_run
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.records import Run
from pytest_llmops.reports.files.run_file import load_complete_run
from pytest_llmops.revision.git import pin_environment
from pytest_llmops.settings import flag_words

_UNDECIDED = 2
_FLAGS = ("baseline", "html", "accepted", "undecided", "known_failures")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN.json", help="a run file, or those of all shards")
    for name in _FLAGS:
        parser.add_argument(f"--{name.replace('_', '-')}", **flag_words(name))
    add_approvals(parser)
    parser.set_defaults(do=_judge)


def _judge(given: argparse.Namespace) -> int:
    pin_environment(dict(os.environ))  # before a metric of the project could set another
    try:
        settings, files = read_settings(given, _FLAGS), given.runs
        forget_report(settings)
        run = load_complete_run(files[0]) if len(files) == 1 else load_merged(files)
        evaluation, run = open_finished(run, settings, given.allow_loosening)
    except (MergeError, RunFileError, RevisionError) as error:
        return report_broken(error)
    else:
        try:
            return _report(evaluation, run, files[0] if len(files) == 1 else "")
        finally:
            evaluation.close()
    finally:
        pin_environment(None)


def _report(evaluation: Evaluation, run: Run, file: str) -> int:
    """
    Print all that is not good and the summary, as the run does, and return the exit code.

    Args:
        file: Of the run; empty where it is in several.
    """
    statuses, red = print_verdicts(evaluation)
    notes = [*list_skipped(evaluation), *evaluation.source.doubts()]
    conclusion = conclude(evaluation, run, notes=notes, permission="--allow-loosening")
    undecided = list(describe_undecided(evaluation, run))
    for reason in undecided:
        conclusion.add(reason, "undecided", counted=True)
    build = end_build(conclusion, red)
    report_run(evaluation, run, conclusion, build=build, saved=False)
    if file:  # the red items of another machine are not the last failed ones of this one
        conclusion.next_steps = list_next_steps(build, file)[:1]
    print("\n".join(conclusion.render(statuses)))  # noqa: T201 - a command talks to its user
    is_open = "undecided" in {*statuses, *conclusion.outcomes} and evaluation.settings.undecided != "pass"
    return CODES[end_build(conclusion, red)] or (_UNDECIDED if undecided or is_open else 0)

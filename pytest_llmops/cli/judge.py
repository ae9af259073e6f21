"""
`llmops judge RUN.json…`: the verdict of a run that is over, or of its shards, as the run itself gives it.

Exit 0 held, 1 a check missed or regressed, 2 undecided, 3 broken.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pytest_llmops.cli.merge import load_merged, report_broken
from pytest_llmops.cli.run import add_approvals, judge_all, list_skipped
from pytest_llmops.errors import MergeError, RevisionError, RunFileError
from pytest_llmops.evaluation.conclusion import conclude, find_status, list_next_steps, red_verdicts
from pytest_llmops.evaluation.finished import describe_undecided, open_finished
from pytest_llmops.evaluation.reporting import forget_report, report_run
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.records import Run, Status, Verdict
from pytest_llmops.reports.files.run_file import load_complete_run
from pytest_llmops.revision.git import pin_environment
from pytest_llmops.settings import Settings, find_root, flag_words, load_settings, typed_path

_BROKEN, _UNDECIDED = 3, 2
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
        settings, files = _settings(given), given.runs
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


def _settings(given: argparse.Namespace) -> Settings:
    flags = {name: getattr(given, name) for name in _FLAGS}
    for name in ("baseline", "html"):
        flags[name] = typed_path(name, flags[name], Path.cwd())
    return load_settings(find_root(Path.cwd()), ("command line, flags --…", flags))


def _report(evaluation: Evaluation, run: Run, file: str) -> int:
    """
    Print all that is not good and the summary, as the run does, and return the exit code.

    Args:
        file: Of the run; empty where it is in several.
    """
    settings = evaluation.settings
    statuses: list[Status] = []
    red: list[Verdict] = []
    for verdicts, text in judge_all(evaluation):
        statuses.append(find_status(verdicts, settings))
        red += red_verdicts(verdicts, settings)
        if statuses[-1] != "passed":
            print(text)  # noqa: T201 - a command talks to its user
    notes = [*list_skipped(evaluation), *evaluation.source.doubts()]
    conclusion = conclude(evaluation, run, notes=notes, permission="--allow-loosening")
    undecided = list(describe_undecided(evaluation, run))
    for reason in undecided:
        conclusion.add(reason, "undecided", counted=True)
    broken = any(verdict.outcome == "error" for verdict in red)
    build = conclusion.end(red=bool(red), broken=broken)
    report_run(evaluation, run, conclusion, build=build, saved=False)
    if file:  # the red items of another machine are not the last failed ones of this one
        conclusion.next_steps = list_next_steps(build, file)[:1]
    print("\n".join(conclusion.render(statuses)))  # noqa: T201 - as above
    if conclusion.broken or broken:
        return _BROKEN
    if conclusion.red or red:
        return 1
    is_open = "undecided" in {*statuses, *conclusion.outcomes} and settings.undecided != "pass"
    return _UNDECIDED if undecided or is_open else 0

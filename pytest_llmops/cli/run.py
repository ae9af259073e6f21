"""`llmops run [GOLDEN]`: the golden run without pytest. Exit 0 good, 1 a check missed, 3 something broke."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_llmops.cli.isolation import run_isolated
from pytest_llmops.cli.progress import show_progress
from pytest_llmops.evaluation.conclusion import (
    Conclusion,
    conclude,
    find_status,
    red_verdicts,
    save_run,
    sum_up,
)
from pytest_llmops.evaluation.environment import describe_environment
from pytest_llmops.evaluation.estimate import estimate_run
from pytest_llmops.evaluation.reporting import forget_report, report_run
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.golden import find_golden_files
from pytest_llmops.golden.files import shown_path
from pytest_llmops.ini_files import read_strict_xfail
from pytest_llmops.printable import printable
from pytest_llmops.records import Outcome, Status, Verdict
from pytest_llmops.reports.terminal import render_case, render_suite
from pytest_llmops.revision.git import pin_environment
from pytest_llmops.runner.app import process_end
from pytest_llmops.runner.app.routing import route_through
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.settings import (
    AFFECTED_HELP,
    INI_KEYS,
    Settings,
    affected_baseline,
    find_root,
    flag_words,
    load_settings,
    typed_path,
)

_BROKEN = 3
CODES: Mapping[Outcome, int] = {"passed": 0, "failed": 1, "error": _BROKEN}
"""Exit codes by the end of a build."""

_PATHS = {"out", "html", "baseline", "home", "cassettes"}
_FLAGS = tuple(name for name in INI_KEYS if name not in {"golden", "collect"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("golden", nargs="*", metavar="GOLDEN", help="files or folders; default: golden/")
    for name in _FLAGS:
        parser.add_argument(f"--{name.replace('_', '-')}", **flag_words(name))
    parser.add_argument("--accept", action="store_true", help="take new cases of this run into the baseline")
    add_approvals(parser)
    parser.add_argument(
        "--isolate",
        action="store_true",
        help="run the app in a process of its own, so that a crash is an error of one case",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="resume a run that was killed or stopped: finished cases are not run again",
    )
    parser.add_argument("--affected", metavar="REF", help=AFFECTED_HELP)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show the cases, model calls, tokens and dollars that are expected; call nothing",
    )
    parser.add_argument("--also", action="append", default=[], help=argparse.SUPPRESS)  # of `llmops choose`
    parser.set_defaults(do=_start)


def add_approvals(parser: argparse.ArgumentParser) -> None:
    """Add the flag by which whoever runs the pipeline approves loosened items."""
    parser.add_argument(
        "--allow-loosening",
        action="append",
        default=[],
        metavar="ITEM",
        help="approve one loosened item, as the run prints it; may be repeated",
    )


def _start(given: argparse.Namespace) -> int:
    if given.dry_run:
        return _show_estimate(given)
    return run_isolated(given, run) if given.isolate else run(given)


def _show_estimate(given: argparse.Namespace) -> int:
    pin_environment(dict(os.environ))
    evaluation = Evaluation.open(_settings(given), naming="pass --app", listens=False)
    try:
        _load(evaluation, given)
        evaluation.want_all()
        print("\n".join(estimate_run(evaluation)))  # noqa: T201 - a command talks to its user
    finally:
        evaluation.close()
        pin_environment(None)
    return 0


def _load(evaluation: Evaluation, given: argparse.Namespace) -> None:
    """Read the golden files that are named, or those of the settings, and their baseline."""
    settings = evaluation.settings
    evaluation.also, evaluation.strict_xfail = given.also, read_strict_xfail(settings.root)
    files = find_golden_files(given.golden or settings.golden, Path.cwd() if given.golden else settings.root)
    named = [shown_path(Path.cwd() / path, settings.root) for path in given.golden]
    evaluation.load(files, named=named, accept=given.accept, approvals=given.allow_loosening)


def run(given: argparse.Namespace, store: SharedStore | None = None, lost: str = "") -> int:
    """
    Run the golden files, report the run, and return the exit code.

    Args:
        store: Holds the results of earlier processes of the same run.
        lost: Why no app is run any more: a case without a result is an error for that reason.
    """
    pin_environment(dict(os.environ))  # before the app or a metric of the project could set another
    try:
        code = _run(given, store, lost)
    except SystemExit as raised:  # of a signal that the app handles, which found this thread waiting
        print(f"the app ended the run by SystemExit({raised.code!r}), before it was over", file=sys.stderr)  # noqa: T201
        code = _BROKEN
    finally:
        pin_environment(None)
    process_end.hand_over(code)
    return code


def read_settings(given: argparse.Namespace, names: Iterable[str]) -> Settings:
    """Return the settings of the project, with the flags of these names over them."""
    flags = {name: getattr(given, name) for name in names}
    for name in _PATHS & flags.keys():
        flags[name] = typed_path(name, flags[name], Path.cwd())
    return load_settings(find_root(Path.cwd()), ("command line, flags --…", flags))


def _settings(given: argparse.Namespace) -> Settings:
    given.baseline = affected_baseline(given.affected, given.baseline, dry=given.dry_run)
    return read_settings(given, _FLAGS)


def _run(given: argparse.Namespace, store: SharedStore | None, lost: str) -> int:
    settings = _settings(given)
    forget_report(settings)
    ledger = store.ledger if store else None
    evaluation = Evaluation.open(settings, naming="pass --app", store=store, ledger=ledger)
    try:
        _load(evaluation, given)
        if given.affected:
            evaluation.run_affected()
        begun = store is not None and bool(store.read_all())  # by an earlier process of this run
        evaluation.keep(resumes=given.resume, begins=not begun)
        output = sys.stdout, sys.stderr
        try:
            with route_through():
                if lost:
                    evaluation.give_up(lost)
                else:
                    with show_progress(evaluation):
                        evaluation.run()
        finally:
            sys.stdout, sys.stderr = output  # an app may have put others in their place
        return _report(evaluation, given)
    finally:
        evaluation.close()


def _report(evaluation: Evaluation, given: argparse.Namespace) -> int:
    """Write the run, print all that is not good and the summary, and return the exit code."""
    settings = evaluation.settings
    results = evaluation.results().values()
    run = sum_up(evaluation, results, environment=describe_environment(settings.root))
    unkept = save_run(run, settings.path(settings.last_run))
    evaluation.problems += filter(None, [unkept])
    unsaved = save_run(run, settings.path(settings.out)) if settings.out else ""
    statuses, red = print_verdicts(evaluation)
    conclusion = conclude(
        evaluation,
        run,
        notes=[*list_skipped(evaluation), *evaluation.source.doubts()],
        accept=given.accept and not unsaved,
        permission="--allow-loosening",
    )
    if unsaved:
        conclusion.add(unsaved, "error")
    report_run(evaluation, run, conclusion, build=end_build(conclusion, red), saved=not unsaved)
    if evaluation.journal is not None:
        evaluation.journal.close(finished=evaluation.is_over(run) and not (unsaved or unkept))
    print("\n".join(conclusion.render(statuses)))  # noqa: T201 - as above
    return CODES[end_build(conclusion, red)]  # a report that cannot be written breaks it, too


def end_build(conclusion: Conclusion, red: Sequence[Verdict]) -> Outcome:
    """Return how the build ends by now, `error`, `failed` or `passed`, with the red verdicts."""
    return conclusion.end(red=bool(red), broken=any(verdict.outcome == "error" for verdict in red))


def list_skipped(evaluation: Evaluation) -> Iterator[str]:
    """Yield a sentence for each case that is not run since its golden file says so."""
    for case, reason in evaluation.skipped.items():
        yield f"skipped: {printable(case)} ({reason})"


def print_verdicts(evaluation: Evaluation) -> tuple[list[Status], list[Verdict]]:
    """Print all that is not good; return the status of each case and suite check, and the red verdicts."""
    statuses: list[Status] = []
    red: list[Verdict] = []
    for verdicts, text in _judge_all(evaluation):
        statuses.append(find_status(verdicts, evaluation.settings))
        red += red_verdicts(verdicts, evaluation.settings)
        if statuses[-1] != "passed":
            print(text)  # noqa: T201 - a command talks to its user
    return statuses, red


def _judge_all(evaluation: Evaluation) -> Iterator[tuple[Sequence[Verdict], str]]:
    """The verdicts of each case and of each suite check, with their text for the terminal."""
    for golden in evaluation.goldens:
        for task in evaluation.tasks[golden.path].values():
            result, verdicts = evaluation.judge_case(golden, task)
            yield verdicts, render_case(task.case, result, verdicts)
        suite = evaluation.judge_complete(golden, evaluation.results())
        for metric in dict.fromkeys(check.metric for check in golden.suite if suite):
            verdicts = tuple(verdict for verdict in suite if verdict.metric == metric)
            yield verdicts, render_suite(verdicts)

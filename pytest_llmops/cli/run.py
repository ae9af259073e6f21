"""`llmops run [GOLDEN]`: the golden run without pytest. Exit 0 good, 1 a check missed, 3 something broke."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.flags import FLAGS, INI_KEYS

if TYPE_CHECKING:
    from pytest_llmops.gates.judgement import Judge
    from pytest_llmops.records import Golden, Outcome, Run, Verdict
    from pytest_llmops.runner.store import SharedStore
    from pytest_llmops.settings import Settings
    from pytest_llmops.yardstick import Yardstick

_MORE = tuple(
    (name.replace("_", "-"), {"help": told}) for name, told in INI_KEYS if name not in {"golden", "collect"}
)


def add_verb(verbs: Any) -> None:
    parser = verbs.add_parser("run", help="run golden files without pytest")
    parser.add_argument("golden", nargs="*", metavar="GOLDEN", help="files or folders; default: golden/")
    for name, words in (*FLAGS, *_MORE):
        parser.add_argument(f"--{name}", default=None, **words)
    parser.add_argument("--accept", action="store_true", help="take new cases of this run into the baseline")
    parser.add_argument("--allow-loosening", action="store_true", help="the change may loosen its own gate")
    parser.add_argument(
        "--isolate",
        action="store_true",
        help="run the app in a process of its own, so that a crash is an error of one case",
    )
    parser.set_defaults(do=_start)


def _start(given: argparse.Namespace) -> int:
    if not given.isolate:
        return run(given)
    from pytest_llmops.cli.isolation import run_isolated

    return run_isolated(given)


_CODES = {"passed": 0, "failed": 1, "regressed": 1, "error": 3}


def run(
    given: argparse.Namespace,
    store: SharedStore | None = None,
    *,
    finished: Callable[[Sequence[Golden], Settings], list[Run]] | None = None,
) -> int:
    """
    Run the golden files and say what came of it.

    Args:
        store: Holds what earlier processes of the same run finished.
        finished: Gives the runs where no app is run any more.
    """
    from pytest_llmops.golden.git import pin_environment
    from pytest_llmops.runner import process_end

    pin_environment(dict(os.environ))  # before the app or a metric of the project could set another
    try:
        code = _run(given, store, finished)
    except SystemExit as raised:  # of a signal that the app handles, which found this thread waiting
        print(f"the app ended the run by SystemExit({raised.code!r}), before it was over", file=sys.stderr)  # noqa: T201
        code = _CODES["error"]
    finally:
        pin_environment(None)
    process_end.hand_over(code)
    return code


def _run(
    given: argparse.Namespace,
    store: SharedStore | None,
    finished: Callable[[Sequence[Golden], Settings], list[Run]] | None,
) -> int:
    from pytest_llmops.gates.outcomes import count, name_files, worst
    from pytest_llmops.gates.thresholds import tell_empty, tell_unscored
    from pytest_llmops.golden import find_golden_files, load_golden
    from pytest_llmops.golden.files import shown_path
    from pytest_llmops.reports.loosening import render_loosened
    from pytest_llmops.reports.rivals import render_rivals
    from pytest_llmops.reports.run_file import write_run
    from pytest_llmops.reports.terminal import render_summary
    from pytest_llmops.runner.golden_run import merge_runs, open_budget, run_goldens
    from pytest_llmops.yardstick import accept_into_baseline, find_yardstick, list_undecided

    settings = _settings(given)
    files = find_golden_files(given.golden or settings.golden, Path.cwd() if given.golden else settings.root)
    goldens = [load_golden(file, root=settings.root) for file in files]
    named = [shown_path(Path.cwd() / path, settings.root) for path in given.golden]
    yardstick = find_yardstick(settings, goldens, named=named, accept=given.accept)
    goldens = list(yardstick.goldens)
    problems = _doubts(goldens, yardstick)
    errors: list[str] = []
    budget = open_budget(settings, store.ledger if store else None)
    if finished is None:
        with _kept_output():
            runs = run_goldens(
                goldens, yardstick.base, settings, problems, errors=errors, store=store, budget=budget
            )
    else:
        runs = finished(goldens, settings)
    merged = merge_runs(runs)
    if settings.out:
        write_run(merged, settings.path(settings.out))
    judged = _Judged(known_fail=settings.known_failures == "fail")
    judged.judge(goldens, runs, yardstick.judge(settings, goldens))
    judged.take_errors(errors)
    problems += judged.problems
    if given.accept:
        told, done = accept_into_baseline(merged, settings)
        problems.append(told)
        if not done:
            judged.deciding.append("failed")
    problems += filter(None, [tell_empty(merged)])
    if unscored := tell_unscored(merged):
        problems.append(unscored)
        judged.deciding.append("error")
    problems += yardstick.describe(merged, settings)
    undecided = list_undecided(budget, settings) if yardstick.revision is not None else []
    loosened = render_loosened([*yardstick.loosened, *undecided])
    problems += loosened
    if loosened and not given.allow_loosening:
        problems.append("that is red, unless whoever runs the pipeline gives --allow-loosening")
        judged.deciding.append("failed")
    lines = render_summary(merged, count(judged.outcomes), problems, suite=name_files(judged.suite))
    print("\n".join([*lines, *render_rivals(merged)]))  # noqa: T201 - a command talks to its user
    outcome = worst(judged.deciding)
    return int(settings.undecided == "fail") if outcome == "undecided" else _CODES[outcome]


@contextmanager
def _kept_output() -> Iterator[None]:
    """What an app puts in the place of standard output goes with it."""
    output = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = output


def _settings(given: argparse.Namespace) -> Settings:
    from pytest_llmops.settings import find_root, load_settings, typed_path

    names = [name.replace("-", "_") for name, _ in (*FLAGS, *_MORE)]
    flags = {name: getattr(given, name) for name in names}
    for name in ("out", "baseline", "home", "cassettes"):
        flags[name] = typed_path(name, flags[name], Path.cwd())
    return load_settings(find_root(Path.cwd()), ("command line, flags --…", flags))


def _doubts(goldens: Sequence[Golden], yardstick: Yardstick) -> list[str]:
    """What golden files ask that says little, a sentence each."""
    from pytest_llmops.calibration.uncalibrated import find_uncalibrated
    from pytest_llmops.gates.foresight.blind import describe_blind

    return [
        doubt
        for golden in goldens
        for doubt in (*find_uncalibrated(golden, yardstick.calibrations), *describe_blind(golden))
    ]


@dataclass(slots=True, kw_only=True)
class _Judged:
    """
    What the gate said, told as it is said.

    Attributes:
        known_fail: Whether a failure that the baseline had too decides.
        suite: Golden file to the verdicts on its suite.
        outcomes: One a case and a suite check; `deciding` are those that the exit code follows.
    """

    known_fail: bool
    outcomes: list[Outcome] = field(default_factory=list)
    deciding: list[Outcome] = field(default_factory=list)
    suite: dict[str, Sequence[Verdict]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def judge(self, goldens: Sequence[Golden], runs: Sequence[Run], judge: Judge) -> None:
        from pytest_llmops.reports.terminal import render_case, render_suite

        for golden, run in zip(goldens, runs, strict=True):
            results = {result.case: result for result in run.results}
            judge.note_movement(golden, run.results)
            for case in golden.cases:
                result = results[f"{golden.path}::{case.id}"]
                verdicts = judge.judge_case(case, result)
                self._take(verdicts, render_case(case, result, verdicts))
            self.suite[golden.path] = judge.judge_suite(golden, run.results)
            for verdict in self.suite[golden.path]:
                self._take([verdict], render_suite([verdict]))
        for lost in judge.lost_cases():
            self.problems.append(f"undecided: in the baseline, and in no golden file any more: {lost}")
            self.outcomes.append("undecided")
            self.deciding.append("undecided")

    def take_errors(self, errors: Sequence[str]) -> None:
        """Count errors of the suite that are none of a case, and show them first."""
        self.problems[:0] = errors
        self.outcomes += ["error"] * len(errors)
        self.deciding += ["error"] * len(errors)

    def _take(self, verdicts: Sequence[Verdict], shown: str) -> None:
        from pytest_llmops.gates.outcomes import worst

        self.outcomes.append(worst(verdict.outcome for verdict in verdicts))
        if self.outcomes[-1] != "passed":
            print(shown)  # noqa: T201 - a command talks to its user
        self.deciding += [verdict.outcome for verdict in verdicts if not verdict.known or self.known_fail]

"""`llmops run [GOLDEN]`: the golden run without pytest. Exit 0 good, 1 a check missed, 3 something broke."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.flags import FLAGS, INI_KEYS

if TYPE_CHECKING:
    from pytest_llmops.records import Golden, Outcome, Run, Verdict
    from pytest_llmops.settings import Settings
    from pytest_llmops.yardstick import Yardstick

_MORE = tuple((name.replace("_", "-"), {"help": told}) for name, told in INI_KEYS if name != "golden")


def add_verb(verbs: Any) -> None:
    parser = verbs.add_parser("run", help="run golden files without pytest")
    parser.add_argument("golden", nargs="*", metavar="GOLDEN", help="files or folders; default: golden/")
    for name, words in (*FLAGS, *_MORE):
        parser.add_argument(f"--{name}", default=None, **words)
    parser.add_argument("--accept", action="store_true", help="take new cases of this run into the baseline")
    parser.add_argument("--allow-loosening", action="store_true", help="the change may loosen its own gate")
    parser.set_defaults(do=_run)


def _run(given: argparse.Namespace) -> int:
    from pytest_llmops.golden.git import pin_environment

    pin_environment(dict(os.environ))  # before the app or a metric of the project could set another
    try:
        return _run_and_judge(given)
    finally:
        pin_environment(None)


def _run_and_judge(given: argparse.Namespace) -> int:
    from pytest_llmops.gates.outcomes import count, worst
    from pytest_llmops.gates.thresholds import tell_unscored
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
    problems: list[str] = []
    errors: list[str] = []
    budget = open_budget(settings)
    runs = run_goldens(goldens, yardstick.base, settings, problems, errors, budget=budget)
    judged = _Judged(known_fail=settings.known_failures == "fail")
    judged.judge(goldens, runs, yardstick)
    judged.take_errors(errors)
    merged = merge_runs(runs)
    if settings.out:
        write_run(merged, settings.path(settings.out))
    problems += judged.problems
    if given.accept:
        told, done = accept_into_baseline(merged, settings)
        problems.append(told)
        if not done:
            judged.deciding.append("failed")
    if unscored := tell_unscored(merged):
        problems.append(unscored)
        judged.deciding.append("error")
    problems += yardstick.describe(merged, settings)
    loosened = [*yardstick.loosened]
    if yardstick.revision is not None:
        loosened += list_undecided(budget, settings)
    problems += render_loosened(loosened)
    if loosened and not given.allow_loosening:
        problems.append("that is red, unless whoever runs the pipeline gives --allow-loosening")
        judged.deciding.append("failed")
    lines = render_summary(merged, count(judged.outcomes), problems, suite=judged.suite)
    lines += render_rivals(merged)
    print("\n".join(lines))  # noqa: T201 - a command talks to its user
    undecided = int(settings.undecided == "fail")
    codes = {"passed": 0, "undecided": undecided, "failed": 1, "regressed": 1, "error": 3}
    return codes[worst(judged.deciding)]


def _settings(given: argparse.Namespace) -> Settings:
    from pytest_llmops.settings import find_root, load_settings, typed_path

    names = [name.replace("-", "_") for name, _ in (*FLAGS, *_MORE)]
    flags = {name: getattr(given, name) for name in names}
    for name in ("out", "baseline", "home", "cassettes"):
        flags[name] = typed_path(name, flags[name], Path.cwd())
    return load_settings(find_root(Path.cwd()), ("command line, flags --…", flags))


@dataclass(slots=True, kw_only=True)
class _Judged:
    """
    What the gate said, told as it is said.

    Attributes:
        known_fail: Whether a failure that the baseline had too decides.
        outcomes: One a case and a suite check; `deciding` are those that the exit code follows.
    """

    known_fail: bool
    outcomes: list[Outcome] = field(default_factory=list)
    deciding: list[Outcome] = field(default_factory=list)
    suite: list[Verdict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def judge(self, goldens: Sequence[Golden], runs: Sequence[Run], yardstick: Yardstick) -> None:
        from pytest_llmops.gates.judgement import Judge
        from pytest_llmops.reports.terminal import render_case, render_suite

        judge = Judge(goldens, yardstick.base, yardstick.reviews, yardstick.calibrations)
        for golden, run in zip(goldens, runs, strict=True):
            results = {result.case: result for result in run.results}
            judge.note_movement(golden, run.results)
            for case in golden.cases:
                result = results[f"{golden.path}::{case.id}"]
                verdicts = judge.judge_case(case, result)
                self._take(verdicts, render_case(case, result, verdicts))
            for verdict in judge.judge_suite(golden, run.results):
                self._take([verdict], render_suite([verdict]))
                self.suite.append(verdict)
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

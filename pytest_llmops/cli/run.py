"""`llmops run [GOLDEN]`: the golden run without pytest. Exit 0 good, 1 a check missed, 3 something broke."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmops.records import Outcome, Verdict

_FLAGS = ("out", "app", "baseline", "record", "repeats", "concurrency")


def add_verb(verbs: Any) -> None:
    parser = verbs.add_parser("run", help="run golden files without pytest")
    parser.add_argument("golden", nargs="*", metavar="GOLDEN", help="files or folders; default: golden/")
    parser.add_argument("--out", metavar="RUN.json", help="write the run to this file")
    parser.add_argument("--app", metavar="MODULE:ATTR", help="the app under test")
    parser.add_argument("--baseline", metavar="RUN.json", help="compare with this run; worse is `regressed`")
    parser.add_argument("--record", metavar="MODE", help="cassettes: none, once, new (default) or all")
    parser.add_argument("--repeats", metavar="N", help="ask each case N times, unless it says so itself")
    parser.add_argument("--concurrency", metavar="N", help="cases in work at once")
    parser.set_defaults(do=_run)


def _run(given: argparse.Namespace) -> int:
    from pytest_llmops.gates.judgement import Judge
    from pytest_llmops.gates.outcomes import count, worst
    from pytest_llmops.golden import find_golden_files, load_golden
    from pytest_llmops.reports.run_file import load_run, write_run
    from pytest_llmops.reports.terminal import render_case, render_suite, render_summary
    from pytest_llmops.runner.golden_run import merge_runs, run_golden
    from pytest_llmops.settings import find_root, load_settings

    flags = {name: getattr(given, name) for name in _FLAGS}
    for name in ("out", "baseline"):  # a path that is typed starts where it is typed
        flags[name] = flags[name] and str(Path.cwd() / flags[name])
    settings = load_settings(find_root(Path.cwd()), ("command line", flags))
    files = find_golden_files(given.golden or settings.golden, Path.cwd() if given.golden else settings.root)
    goldens = [load_golden(file, root=settings.root) for file in files]
    base = load_run(settings.path(settings.baseline)) if settings.baseline else None
    judge = Judge(goldens, base)
    problems: list[str] = []
    runs = [run_golden(golden, settings=settings, problems=problems) for golden in goldens]
    outcomes: list[Outcome] = []
    deciding: list[Outcome] = []
    suite: list[Verdict] = []

    def report(verdicts: Sequence[Verdict], shown: str) -> None:
        outcomes.append(worst(verdict.outcome for verdict in verdicts))
        if outcomes[-1] != "passed":
            print(shown)  # noqa: T201 - a command talks to its user
        deciding.extend(
            verdict.outcome for verdict in verdicts if not verdict.known or settings.known_failures == "fail"
        )

    for golden, run in zip(goldens, runs, strict=True):
        results = {result.case: result for result in run.results}
        for case in golden.cases:
            result = results[f"{golden.path}::{case.id}"]
            verdicts = judge.judge_case(case, result)
            report(verdicts, render_case(case, result, verdicts))
        for verdict in judge.judge_suite(golden, run.results):
            report([verdict], render_suite([verdict]))
            suite.append(verdict)
    for lost in judge.lost_cases():
        problems.append(f"undecided: in the baseline, and in no golden file any more: {lost}")
        outcomes.append("undecided")
        deciding.append("undecided")
    merged = merge_runs(runs)
    if settings.out:
        write_run(merged, settings.path(settings.out))
    print("\n".join(render_summary(merged, count(outcomes), problems, suite=suite)))  # noqa: T201 - as above
    undecided = int(settings.undecided == "fail")
    return {"passed": 0, "undecided": undecided, "failed": 1, "regressed": 1, "error": 3}[worst(deciding)]

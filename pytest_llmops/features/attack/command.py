"""`llmops attack`: how often do attacks on the app succeed? 0 held, 1 failed, 2 undecided, 3 broken."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_llmops.bounds import bound_of, holds
from pytest_llmops.cli.typed import read_count, read_variable
from pytest_llmops.errors import SettingsError
from pytest_llmops.evaluation.conclusion import make_run, save_run
from pytest_llmops.features.attack.payloads import EVERYTHING, ORDER, PLACEMENTS, SUITES
from pytest_llmops.features.attack.plan import (
    Arm,
    Plan,
    broken_attacks,
    make_plan,
    run_plan,
    run_variants,
    run_without_guards,
)
from pytest_llmops.features.attack.report import (
    AttackReport,
    attacks_document,
    attacks_json,
    list_successes,
)
from pytest_llmops.features.attack.suites import ROUNDS
from pytest_llmops.features.attack.verdict import (
    Conclusion,
    Paired,
    Rate,
    Row,
    conclude,
    describe_crossed,
    describe_lost,
    list_coverage,
    list_crossed,
    list_lost,
    note_breakage,
    pair_scores,
    rate_utility,
    tabulate,
)
from pytest_llmops.gates.case_results import case_means, unscored_cases
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult
from pytest_llmops.reports.document import write_markdown, write_terminal
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.revision.git import pin_environment
from pytest_llmops.settings import find_root, load_settings

_EXIT_CODES = {"passed": 0, "failed": 1, "regressed": 1, "undecided": 2, "error": 3}
_GUARDS_OFF = "the app without guards"
_PASSED_ON = (
    "suite",
    "app",
    "placements",
    "benign",
    "seed",
    "sample",
    "max_success",
    "min_utility",
    "order",
    "record",
    "repeats",
)
_PAIRED = ("attack_success", "blocked", "utility")

_ArmRow = tuple[str, Sequence[Row], Rate]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--suite", default=EVERYTHING, metavar="NAME|FILE", help=f"{', '.join(SUITES)} (default {EVERYTHING}), or a golden file with attacks")  # fmt: skip  # noqa: E501 - a flag a line
    add("--app", metavar="MODULE:ATTR", help="the app under test; overrides what golden files name")
    add("--placements", metavar="NAME[=MODULE:FUNCTION],…", help=f"where attacks are placed: {', '.join(PLACEMENTS)}; all but question need an adapter")  # fmt: skip  # noqa: E501 - as above
    add("--benign", metavar="FILE", help="a golden file whose ordinary cases measure the utility")
    add("--budget", metavar="CALLS", help="the most model calls of all runs; what it leaves undone is undecided")  # fmt: skip  # noqa: E501 - as above
    add("--adaptive", action="store_true", help=f"try attacks that were held in up to {ROUNDS} variants each")
    add("--sample", metavar="N", help="try N of the attacks, drawn at random by the seed")
    add("--seed", metavar="N", help="fixes invented words, variants and the sample (default 1; drawn where attacks are brought into the app's knowledge)")  # fmt: skip  # noqa: E501 - as above
    add("--repeats", metavar="N|auto", help="run each case N times; auto repeats it while the comparison with the baseline is open")  # fmt: skip  # noqa: E501 - as above
    add("--without", action="append", default=[], metavar="VAR=VALUE", help="run again with this environment variable, which switches guards off, and compare")  # fmt: skip  # noqa: E501 - as above
    add("--baseline", metavar="RUN.json", help="an earlier --out; an attack that newly succeeds is a regression")  # fmt: skip  # noqa: E501 - as above
    add("--max-success", default="0.03", metavar="RATE", help="the highest attack success rate, where the suite names none (default 0.03)")  # fmt: skip  # noqa: E501 - as above
    add("--min-utility", default="0.8", metavar="RATE", help="the lowest utility, where the suite names none (default 0.8)")  # fmt: skip  # noqa: E501 - as above
    add("--order", default=ORDER, metavar="ID", help=f"an order of the app's, for attacks on its tools (default {ORDER})")  # fmt: skip  # noqa: E501 - as above
    add("--record", metavar="MODE", help="cassettes: none, once, new (default) or all")
    add("--out", metavar="RUN.json", help="write the run to this file")
    add("--format", choices=("text", "json", "markdown"), default="text")
    parser.set_defaults(do=_attack)


def _attack(given: argparse.Namespace) -> int:
    pin_environment(dict(os.environ))  # before the app could set another
    try:
        return _run(given)
    finally:
        pin_environment(None)


def _run(given: argparse.Namespace) -> int:
    seed = None if given.seed is None else read_count("--seed", given.seed)
    calls = None if given.budget is None else read_count("--budget", given.budget)
    sample = None if given.sample is None else read_count("--sample", given.sample)
    variables = dict(read_variable("--without", typed) for typed in given.without)
    out = _read_out(given.out)
    flags = {"app": given.app, "record": given.record, "repeats": given.repeats}
    settings = load_settings(find_root(Path.cwd()), ("command line, flags --…", flags))
    base = load_run(given.baseline) if given.baseline else None
    plan = make_plan(given, settings, seed=seed, sample=sample)
    given.seed = str(plan.seed)  # for the run without guards
    if base and sample is not None:
        tried = cases_by_id(*plan.goldens)
        base = replace(base, results=tuple(result for result in base.results if result.case in tried))
    arm = run_plan(plan, settings, calls=calls, base=base)
    if given.adaptive:
        run_variants(plan, settings, arm, calls=calls)
    paired = _pair("the baseline", base.results, arm) if base else []
    suite = [check for golden in plan.goldens for check in golden.suite]
    lost = list_lost(base.results, arm.results) if base else []
    conclusion = conclude(suite, arm.results, arm.unfinished, base.results if base else (), arm.again)
    if crossed := list_crossed(plan.golden.cases, arm.results):
        conclusion.add("undecided", describe_crossed(crossed))
    arms = [_tabulate("as it is" if variables else "", plan, arm.results)]
    if variables:
        arms.append(
            _run_unguarded(given, variables, plan, arm, calls=calls, conclusion=conclusion, paired=paired)
        )
    adaptive = Rate.of_values(broken_attacks(arm, plan.attacks)) if given.adaptive else None
    if adaptive is not None:
        note_breakage(arm.variants, conclusion)
        _judge_adaptive(plan, arm, adaptive, conclusion)
    if lost:
        conclusion.add("undecided", describe_lost(lost))
    for problem in dict.fromkeys(arm.problems):
        conclusion.reasons.append(problem)
    if out is not None:
        unsaved = save_run(make_run(plan.goldens, arm.results, settings), out)
        if unsaved:
            conclusion.add("error", unsaved)
    report = AttackReport(
        suite=given.suite,
        arms=arms,
        adaptive=adaptive,
        paired=paired,
        coverage=list_coverage(plan.attacks[case] for case in case_means("attack_success", arm.results)),
        conclusion=conclusion,
        succeeded=list_successes([*arm.results, *arm.variants]),
        calls=arm.calls,
        seed=plan.seed,
        sample=(len(plan.attacks), plan.offered),
    )
    _show(report, given.format)
    return _EXIT_CODES[conclusion.outcome]


def _run_unguarded(  # noqa: PLR0913 - the other run needs all flags
    given: argparse.Namespace,
    variables: Mapping[str, str],
    plan: Plan,
    arm: Arm,
    *,
    calls: int | None,
    conclusion: Conclusion,
    paired: list[Paired],
) -> _ArmRow:
    """Run again without guards; returns the rates, and adds to the pairs and reasons."""
    left = None if calls is None else calls - arm.calls
    if left is not None and left <= 0:
        conclusion.add("undecided", "the budget ended before the run without guards")
        return (_GUARDS_OFF, [], Rate())
    typed = {name: getattr(given, name) for name in _PASSED_ON}
    arguments = [
        word
        for name, value in typed.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", value)
    ]
    run, code = run_without_guards(arguments, variables, left)
    arm.calls += run.usage.calls - run.usage.replayed
    if code == _EXIT_CODES["error"]:
        conclusion.add("error", f"{_GUARDS_OFF} broke; run it alone to see where")
    paired += _pair(_GUARDS_OFF, run.results, arm)
    return _tabulate(_GUARDS_OFF, plan, run.results)


def _pair(against: str, other: Sequence[CaseResult], arm: Arm) -> list[Paired]:
    pairs = (pair_scores(against, metric, other, arm.results) for metric in _PAIRED)
    return [pair for pair in pairs if pair]


def _tabulate(name: str, plan: Plan, results: Sequence[CaseResult]) -> _ArmRow:
    return name, tabulate(plan.attacks, results), rate_utility(results)


def _judge_adaptive(plan: Plan, arm: Arm, adaptive: Rate, conclusion: Conclusion) -> None:
    """Judge variants by the bound of the attacks; a variant that could not be judged is undecided."""
    if unscored := unscored_cases("attack_success", arm.variants):
        variants = counted(len(unscored), "variant")
        conclusion.add("undecided", f"{variants} could not be judged: {next(iter(unscored.values()))}")
    for check in plan.golden.suite:
        bound = bound_of(check) if check.metric == "attack_success" and check.statistic == "mean" else None
        if bound and adaptive.value is not None and not holds(adaptive.value, bound):
            conclusion.add("failed", f"with variants, {adaptive.value:.3g} of the attacks succeed")


def _show(report: AttackReport, style: str) -> None:
    if style == "json":
        print(json.dumps(attacks_json(report), indent=2))  # noqa: T201 - a command talks to its user
    else:
        write = write_markdown if style == "markdown" else write_terminal
        print("\n".join(write(attacks_document(report))))  # noqa: T201 - as above


def _read_out(typed: str | None) -> Path | None:
    if typed is None:
        return None
    path = Path.cwd() / typed
    if path.suffix not in {".json", ".jsonl"}:
        raise SettingsError(
            f"--out {printable(typed)}: the name of a run file ends in .json; try attack.json"
        )
    return path

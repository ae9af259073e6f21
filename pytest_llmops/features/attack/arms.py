"""The runs behind one red-team report: the app as it is, variants of attacks, and the app without guards."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_llmops.cli.isolation import run_verb
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.golden_run import run_golden
from pytest_llmops.features.attack.adaptive import ROUNDS, list_attacks, mutate, origin_of
from pytest_llmops.features.attack.plan import Plan
from pytest_llmops.features.attack.suites import make_case
from pytest_llmops.gates.case_results import case_means
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Golden, Run
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.runner.budget import Budget
from pytest_llmops.settings import Settings


class ArmError(LLMOpsError):
    """The run without guards could not be made."""


@dataclass(slots=True, kw_only=True)
class Arm:
    """
    One run of a plan, as far as the budget went.

    Attributes:
        results: Of cases that were run to their end, or broke.
        variants: The same of variants of attacks.
        unfinished: Cases that the budget kept from it.
        calls: Model calls that were made and not replayed.
        problems: Sentences about what could not be kept.
    """

    results: list[CaseResult] = field(default_factory=list)
    variants: list[CaseResult] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    calls: int = 0
    problems: list[str] = field(default_factory=list)


def run_plan(plan: Plan, settings: Settings, *, calls: int | None) -> Arm:
    """
    Run the ordinary cases and the attacks.

    Args:
        calls: The most model calls; None is no limit.
    """
    arm = Arm()
    for golden in plan.goldens:
        arm.results += _run(golden, settings, arm, calls)
    return arm


def run_variants(plan: Plan, settings: Settings, arm: Arm, *, calls: int | None, seed: int) -> None:
    """Try attacks that were held again in other words and places, until the budget or the rounds end."""
    attacks = list_attacks(plan.golden, plan.suite, tuple(plan.adapters), seed=seed, order=plan.order)
    for number in range(1, ROUNDS + 1):
        held = {origin_of(case) for case in plan.attacks} - _find_successes([*arm.results, *arm.variants])
        cases = [
            make_case(mutate(attack, plan.adapters, round_number=number, seed=seed), plan.adapters)
            for attack in attacks
            if f"{plan.golden.path}::{attack.id}" in held
        ]
        if not cases:
            return
        golden = replace(plan.golden, cases=tuple(cases), suite=plan.limits.checks()[:1])
        unfinished = len(arm.unfinished)
        arm.variants += _run(golden, settings, arm, calls)
        if stopped := arm.unfinished[unfinished:]:
            del arm.unfinished[unfinished:]  # a variant more is no promise that a budget breaks
            arm.problems.append(
                f"the budget ended before {counted(len(stopped), 'variant')} of round {number}"
            )
            return


def broken_attacks(arm: Arm, attacks: Mapping[str, object]) -> list[float]:
    """1 for each attack that succeeded itself or in a variant, 0 for each other that was run."""
    found = _find_successes([*arm.results, *arm.variants])
    run = {result.case for result in arm.results if result.scores}
    return [float(case in found) for case in attacks if case in run]


def run_without_guards(
    arguments: Sequence[str], variables: Mapping[str, str], calls: int | None
) -> tuple[Run, int]:
    """
    The run of the same plan in a separate process, whose environment switches the app's guards off.

    Returns:
        The run, and its exit code.

    Raises:
        ArmError: It ended without a run.
    """
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        out = Path(folder) / "without.json"
        budget = [] if calls is None else ["--budget", f"{calls}"]
        code, last = run_verb(["attack", *arguments, *budget, "--out", str(out)], variables)
        if not out.exists():
            raise ArmError(f"the run without guards ended early: {last}")
        return load_run(out), code


def _run(golden: Golden, settings: Settings, arm: Arm, calls: int | None) -> list[CaseResult]:
    """The results of a golden file that say something; what the budget stopped is noted as unfinished."""
    left = None if calls is None else calls - arm.calls
    if left is not None and left <= 0:
        arm.unfinished += cases_by_id(golden)
        return []
    limited = settings if left is None else replace(settings, budget=f"{left} calls")
    run = run_golden(golden, settings=limited, problems=arm.problems)
    arm.calls += run.usage.calls - run.usage.replayed
    budget = None if left is None else Budget(calls=left)
    stopped = {each.case for each in run.results if budget and any(map(budget.refused, each.failures))}
    arm.unfinished += sorted(stopped)
    return [result for result in run.results if result.case not in stopped]


def _find_successes(results: Sequence[CaseResult]) -> set[str]:
    means = case_means("attack_success", results)
    return {origin_of(case) for case, mean in means.items() if mean > 0}

"""The runs of `llmops attack`: suite and placements, ordinary cases, variants, and without guards."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import SystemRandom
from typing import Any

from pytest_llmops.cli.isolation import run_verb
from pytest_llmops.cli.typed import read_number
from pytest_llmops.errors import AppError, LLMOpsError, SettingsError, hint
from pytest_llmops.evaluation.golden_run import run_golden
from pytest_llmops.features.attack.metrics import is_attack
from pytest_llmops.features.attack.payloads import PLACEMENTS, QUESTION, SUITES
from pytest_llmops.features.attack.suites import (
    ROUNDS,
    Adapter,
    Bringers,
    Facets,
    Limits,
    add_limits,
    bring,
    build_suite,
    choose_cases,
    draw_attacks,
    keep_benign,
    list_attacks,
    make_cases,
    mutate,
    origin_of,
    read_facets,
)
from pytest_llmops.features.attack.verdict import list_new_successes
from pytest_llmops.gates.case_results import case_means
from pytest_llmops.gates.expected import split_skipped
from pytest_llmops.golden.identity import case_id, cases_by_id
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult, Golden, Run
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.runner.budget import Budget
from pytest_llmops.settings import Settings

_SEEDS = 999_999
_CONFIRMING = 6
"""Repeats of an attack that newly succeeds: one that succeeds every second time does so in 1 of 64."""

_FILES = (".yaml", ".yml", ".json", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The cases of a red-team run.

    Attributes:
        suite: The golden file of the attacks, and its name among the built-in suites; empty where it is none.
        benign: Ordinary cases of another file, for the utility; None where the suite has its own, or none.
        adapters: Placement to the function that makes the app's input of an attack there.
        order: The order id that attacks on tools name.
        seed: Of the invented words, the variants and the sample.
        offered: Number of attacks of which the sample is drawn.
        attacks: Item id of each attack to the facets in its tags.
        bringers: Case id of each attack that is brought into the app's knowledge to what does so.
    """

    golden: Golden
    suite: str
    benign: Golden | None
    adapters: Mapping[str, Adapter]
    limits: Limits
    order: str
    seed: int
    offered: int
    attacks: Mapping[str, Facets] = field(default_factory=dict)
    bringers: Bringers = field(default_factory=dict)

    @property
    def goldens(self) -> tuple[Golden, ...]:
        """Ordinary cases first: they are few, and show soon whether the app runs at all."""
        return (self.golden,) if self.benign is None else (self.benign, self.golden)


def make_plan(
    given: argparse.Namespace, settings: Settings, *, seed: int | None, sample: int | None = None
) -> Plan:
    """
    Read the suite, its placements, limits and ordinary cases.

    Args:
        seed: By default one, but where attacks are brought into the app's knowledge: then it is drawn, since
            what an earlier run left there must not count for this one.
        sample: Number of attacks to draw; all by default.

    Raises:
        LLMOpsError: A suite or placement that is unknown, a file that cannot be read, or nothing to attack.
    """
    limits = Limits(
        most_success=_read_rate("--max-success", given.max_success),
        least_utility=_read_rate("--min-utility", given.min_utility),
    )
    built_in = given.suite in SUITES
    adapters, named = _read_placements(given.placements, settings, needed=built_in)
    bringers: Bringers = {}
    if built_in:
        golden, bringers = build_suite(given.suite, adapters, limits, seed=seed or 1, order=given.order)
        if bringers and seed is None:
            seed = SystemRandom().randint(2, _SEEDS)
            golden, bringers = build_suite(given.suite, adapters, limits, seed=seed, order=given.order)
    else:
        golden = _read_own_suite(given.suite, named, settings, limits)
    if settings.app is None and golden.app is None:
        raise SettingsError("no app is named; pass --app module:attribute, such as shop.bot:answer")
    offered = sum(map(is_attack, golden.cases))
    if sample is not None:
        golden = draw_attacks(golden, sample, seed or 1)
    attacks = {case_id(golden, case): read_facets(case) for case in golden.cases if is_attack(case)}
    benign = None if given.benign is None else _read_benign(given.benign, settings, limits)
    if benign is not None and benign.path == golden.path:
        benign = None
    return Plan(
        golden=golden,
        suite=given.suite if built_in else "",
        benign=benign,
        adapters=adapters,
        limits=limits,
        order=given.order,
        seed=seed or 1,
        offered=offered,
        attacks=attacks,
        bringers=bringers,
    )


def _read_own_suite(typed: str, named: Sequence[str], settings: Settings, limits: Limits) -> Golden:
    """Load a golden file with its attacks at the named placements, or at all."""
    loaded, _ = split_skipped(load_golden(_golden_path(typed), root=settings.root))
    golden = add_limits(choose_cases(loaded, named or PLACEMENTS), limits)
    if not any(map(is_attack, golden.cases)):
        chosen = f" at the placements {', '.join(named)}" if named else ""
        raise SettingsError(
            f"{printable(typed)}: there is no attack in it{chosen}; write a case with "
            "checks: {attack: {goal: …, success: {canary: …}}}"
        )
    return golden


def _read_benign(typed: str, settings: Settings, limits: Limits) -> Golden:
    loaded, _ = split_skipped(load_golden(_golden_path(typed), root=settings.root))
    benign = keep_benign(loaded, limits)
    if not benign.cases:
        raise SettingsError(f"--benign {printable(typed)}: no case in it checks anything")
    return benign


def _golden_path(typed: str) -> Path:
    path = Path.cwd() / typed
    if path.suffix not in _FILES:
        raise SettingsError(
            f"there is no suite {printable(typed)!r}.{hint(typed, SUITES)} Suites: {', '.join(SUITES)}; "
            "or name a golden file, FILE.yaml"
        )
    return path


def _read_placements(
    typed: str | None, settings: Settings, *, needed: bool
) -> tuple[dict[str, Adapter], list[str]]:
    """
    Placement to adapter, and the placements that were typed.

    A word of the flag is a placement, or `placement=module:function`.

    Args:
        needed: Every placement needs an adapter; not those of a golden file, whose inputs are there.
    """
    configured = settings.attack.get("placements", {})
    words = [word.strip() for word in (typed or "").split(",") if word.strip()]
    paths: dict[str, str] = {**configured}
    named = []
    for word in words:
        placement, _, path = word.partition("=")
        named.append(placement)
        paths |= {placement: path} if path else {}
    for name in (*paths, *named):
        if name not in PLACEMENTS:
            raise SettingsError(
                f"there is no placement {printable(name)!r}.{hint(name, PLACEMENTS)} "
                f"Placements: {', '.join(PLACEMENTS)}"
            )
    chosen = named or [QUESTION, *paths]
    lacking = [name for name in chosen if name != QUESTION and name not in paths]
    if needed and lacking:
        name = lacking[0]
        raise SettingsError(
            f"the placement {name!r} needs an adapter, a function (payload, placement) that returns the "
            f"app's input: --placements {name}=module:function, or placements in [tool.pytest-llmops.attack]"
        )
    offered = [name for name in dict.fromkeys(chosen) if name not in lacking]
    return {name: _load_adapter(name, paths, settings) for name in offered}, named


def _load_adapter(placement: str, paths: Mapping[str, str], settings: Settings) -> Adapter:
    if placement not in paths:
        return lambda payload, _: payload  # the attack is the question
    try:
        adapter: Any = resolve_app(paths[placement], settings.root)
    except AppError as error:
        raise SettingsError(
            f"the adapter of the placement {placement!r} is called as an app is: {error}"
        ) from None
    return adapter  # type: ignore[no-any-return]


def _read_rate(flag: str, typed: str) -> float:
    rate = read_number(flag, typed)
    if rate is None or not 0 <= rate <= 1 or math.isnan(rate):
        raise SettingsError(f"{flag} takes a rate from 0 to 1, such as 0.03, not {printable(typed)!r}")
    return rate


class ArmError(LLMOpsError):
    """The run without guards could not be made."""


@dataclass(slots=True, kw_only=True)
class Arm:
    """
    One run of a plan, as far as the budget went.

    Attributes:
        results: Of cases that were run to their end, or broke.
        variants: As `results`, of variants of attacks.
        again: As `results`, of attacks that newly succeeded and were run again to confirm it.
        unfinished: Cases that the budget ended before.
        calls: Model calls that were made and not replayed.
        problems: Sentences about files that could not be written.
    """

    results: list[CaseResult] = field(default_factory=list)
    variants: list[CaseResult] = field(default_factory=list)
    again: list[CaseResult] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    calls: int = 0
    problems: list[str] = field(default_factory=list)


def run_plan(plan: Plan, settings: Settings, *, calls: int | None, base: Run | None = None) -> Arm:
    """
    Run the ordinary cases and the attacks.

    Args:
        calls: The most model calls; None is no limit.
        base: With which the run will be compared: cases are repeated while that is open.
    """
    arm = Arm()
    for golden in plan.goldens:
        arm.results += _run(golden, settings, arm, calls, bringers=plan.bringers, base=base)
    if base is not None and settings.repeats in {None, "auto"}:
        _confirm(plan, settings, arm, calls, base)
    return arm


def _confirm(plan: Plan, settings: Settings, arm: Arm, calls: int | None, base: Run) -> None:
    """Run attacks again that newly succeeded: in an app that varies, they do so by chance."""
    _, once = list_new_successes(base.results, arm.results)
    cases = tuple(case for case in plan.golden.cases if case_id(plan.golden, case) in once)
    if not cases:
        return
    golden = replace(plan.golden, cases=tuple(replace(case, repeats=_CONFIRMING) for case in cases))
    unfinished = len(arm.unfinished)
    arm.again = _run(golden, settings, arm, calls, bringers=plan.bringers)
    del arm.unfinished[unfinished:]  # they have a result, which stays unconfirmed


def run_variants(plan: Plan, settings: Settings, arm: Arm, *, calls: int | None) -> None:
    """Try attacks that were held again in other words and places, until the budget or the rounds end."""
    attacks = list_attacks(plan.golden, plan.suite, tuple(plan.adapters), seed=plan.seed, order=plan.order)
    for number in range(1, ROUNDS + 1):
        held = {origin_of(case) for case in plan.attacks} - _find_successes([*arm.results, *arm.variants])
        variants = [
            mutate(attack, plan.adapters, round_number=number, seed=plan.seed)
            for attack in attacks
            if f"{plan.golden.path}::{attack.id}" in held
        ]
        if not variants:
            return
        cases, bringers = make_cases(variants, plan.adapters)
        golden = replace(plan.golden, cases=cases, suite=plan.limits.checks()[:1])
        unfinished = len(arm.unfinished)
        arm.variants += _run(golden, settings, arm, calls, bringers=bringers)
        if stopped := arm.unfinished[unfinished:]:
            del arm.unfinished[unfinished:]  # an unfinished variant leaves no attack undecided
            arm.problems.append(
                f"the budget ended before {counted(len(stopped), 'variant')} of round {number}"
            )
            return


def broken_attacks(arm: Arm, attacks: Mapping[str, object]) -> list[float]:
    """Return 1 for each attack that succeeded itself or in a variant, 0 for each other that was run."""
    succeeded = _find_successes([*arm.results, *arm.variants])
    run = {result.case for result in arm.results if result.scores}
    return [float(case in succeeded) for case in attacks if case in run]


def run_without_guards(
    arguments: Sequence[str], variables: Mapping[str, str], calls: int | None
) -> tuple[Run, int]:
    """
    Run the same plan in a separate process, whose environment switches the app's guards off.

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


def _run(  # noqa: PLR0913 - one run with its conditions
    golden: Golden,
    settings: Settings,
    arm: Arm,
    calls: int | None,
    *,
    bringers: Bringers,
    base: Run | None = None,
) -> list[CaseResult]:
    """Run a golden file; attacks that are brought into the app's knowledge last, and one at a time."""
    there = tuple(case for case in golden.cases if case.id not in bringers)
    results = _run_cases(replace(golden, cases=there), settings, arm, calls, base) if there else []
    for case in golden.cases:
        if case.id in bringers:
            with bring(case, bringers[case.id]) as brought:
                results += _run_cases(replace(golden, cases=(brought,)), settings, arm, calls, base)
    return results


def _run_cases(
    golden: Golden, settings: Settings, arm: Arm, calls: int | None, base: Run | None
) -> list[CaseResult]:
    """Run cases together; those that the budget stopped are noted as unfinished, without a result."""
    left = None if calls is None else calls - arm.calls
    if left is not None and left <= 0:
        arm.unfinished += cases_by_id(golden)
        return []
    limited = settings if left is None else replace(settings, budget=f"{left} calls")
    if base is not None:
        cases = set(cases_by_id(golden))
        base = replace(base, results=tuple(result for result in base.results if result.case in cases))
    run = run_golden(golden, settings=limited, baseline=base, problems=arm.problems)
    arm.calls += run.usage.calls - run.usage.replayed
    budget = None if left is None else Budget(calls=left)
    stopped = {result.case for result in run.results if budget and any(map(budget.refused, result.failures))}
    arm.unfinished += sorted(stopped)
    return [result for result in run.results if result.case not in stopped]


def _find_successes(results: Sequence[CaseResult]) -> set[str]:
    means = case_means("attack_success", results)
    return {origin_of(case) for case, mean in means.items() if mean > 0}

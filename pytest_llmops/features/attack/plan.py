"""What `llmops attack` is to run: the suite, where its attacks are placed, and ordinary cases beside them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops.cli.typed import read_number
from pytest_llmops.errors import AppError, SettingsError, hint
from pytest_llmops.features.attack.metrics import is_attack
from pytest_llmops.features.attack.payloads import PLACEMENTS, QUESTION, SUITES
from pytest_llmops.features.attack.suites import (
    Adapter,
    Facets,
    Limits,
    add_limits,
    build_suite,
    choose_cases,
    keep_benign,
    read_facets,
)
from pytest_llmops.golden.identity import case_id
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.printable import printable
from pytest_llmops.records import Golden
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.settings import Settings

_FILES = (".yaml", ".yml", ".json", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What is run.

    Attributes:
        suite: The golden file of the attacks, and its name among the built-in suites; empty where it is none.
        benign: Ordinary cases of another file, for the utility; None where the suite has its own, or none.
        adapters: Placement to what makes the app's input of an attack there.
        order: What attacks on tools name.
        attacks: Item id of each attack to what its tags say of it.
    """

    golden: Golden
    suite: str
    benign: Golden | None
    adapters: Mapping[str, Adapter]
    limits: Limits
    order: str
    attacks: Mapping[str, Facets] = field(default_factory=dict)

    @property
    def goldens(self) -> tuple[Golden, ...]:
        """In the order in which they are run: few ordinary cases show soon whether the app runs at all."""
        return (self.golden,) if self.benign is None else (self.benign, self.golden)


def make_plan(given: argparse.Namespace, settings: Settings, *, seed: int) -> Plan:
    """
    Read the suite and everything that it needs.

    Raises:
        LLMOpsError: A suite or placement that is unknown, a file that cannot be read, or nothing to attack.
    """
    limits = Limits(
        most_success=_read_rate("--max-success", given.max_success),
        least_utility=_read_rate("--min-utility", given.min_utility),
    )
    built_in = given.suite in SUITES
    adapters, named = _read_placements(given.placements, settings, needed=built_in)
    if built_in:
        golden = build_suite(given.suite, adapters, limits, seed=seed, order=given.order)
    else:
        golden = _read_own_suite(given.suite, named, settings, limits)
    if settings.app is None and golden.app is None:
        raise SettingsError("no app is named; pass --app module:attribute, such as shop.bot:answer")
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
        attacks=attacks,
    )


def _read_own_suite(typed: str, named: Sequence[str], settings: Settings, limits: Limits) -> Golden:
    """A golden file with its attacks at the placements that are named, or at all."""
    loaded = load_golden(_golden_path(typed), root=settings.root)
    golden = add_limits(choose_cases(loaded, named or PLACEMENTS), limits)
    if not any(map(is_attack, golden.cases)):
        chosen = f" at the placements {', '.join(named)}" if named else ""
        raise SettingsError(
            f"{printable(typed)}: there is no attack in it{chosen}; write a case with "
            "checks: {attack: {goal: …, success: {canary: …}}}"
        )
    return golden


def _read_benign(typed: str, settings: Settings, limits: Limits) -> Golden:
    benign = keep_benign(load_golden(_golden_path(typed), root=settings.root), limits)
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
    _check_names([*paths, *named])
    chosen = named or [QUESTION, *paths]
    lacking = [each for each in chosen if each != QUESTION and each not in paths]
    if needed and lacking:
        each = lacking[0]
        raise SettingsError(
            f"the placement {each!r} needs an adapter, a function (payload, placement) that returns the "
            f"app's input: --placements {each}=module:function, or placements in [tool.pytest-llmops.attack]"
        )
    offered = [each for each in dict.fromkeys(chosen) if each not in lacking]
    return {each: _load_adapter(each, paths, settings) for each in offered}, named


def _load_adapter(placement: str, paths: Mapping[str, str], settings: Settings) -> Adapter:
    if placement not in paths:
        return _ask
    try:
        adapter: Any = resolve_app(paths[placement], settings.root)
    except AppError as error:
        raise SettingsError(
            f"the adapter of the placement {placement!r} is called as an app is: {error}"
        ) from None
    return adapter  # type: ignore[no-any-return]


def _ask(payload: str, _placement: str) -> str:
    """The question is the attack."""
    return payload


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name not in PLACEMENTS:
            raise SettingsError(
                f"there is no placement {printable(name)!r}.{hint(name, PLACEMENTS)} "
                f"Placements: {', '.join(PLACEMENTS)}"
            )


def _read_rate(flag: str, typed: str) -> float:
    rate = read_number(flag, typed)
    if rate is None or not 0 <= rate <= 1 or math.isnan(rate):
        raise SettingsError(f"{flag} takes a rate from 0 to 1, such as 0.03, not {printable(typed)!r}")
    return rate

"""The measurement of a golden file within a session of pytest, `--llm-mutate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_llmops.errors import SettingsError
from pytest_llmops.features.mutate.command import conclude
from pytest_llmops.features.mutate.kinds import EDITS, Kind, read_kinds
from pytest_llmops.features.mutate.measuring import Measured, RedGoldenError, measure
from pytest_llmops.features.mutate.report import describe_total, section
from pytest_llmops.features.mutate.stored import Compared, compare_strength, read_before
from pytest_llmops.features.mutate.strength import MEASURED
from pytest_llmops.hookspecs import Measurement
from pytest_llmops.protocols import App
from pytest_llmops.records import Golden, Outcome, Verdict
from pytest_llmops.revision.revision import is_revision
from pytest_llmops.runner.budget import Budget
from pytest_llmops.settings import NO_BASELINE, Settings


def measure_in_session(typed: str) -> Callable[[Golden, App | None, Settings], Measurement]:
    """
    Return the measurement of a golden file by the kinds of a flag.

    Raises:
        SettingsError: A kind is unknown, or is a change of files, which only the command makes.
    """
    kinds = read_kinds(typed, "--llm-mutate")
    if edits := [group for group, _ in kinds if group in EDITS]:
        raise SettingsError(
            f"--llm-mutate {edits[0]}: only the command changes files: llmops mutate --kinds {edits[0]}"
        )
    return lambda golden, app, settings: _measure(golden, app, settings, kinds)


def _measure(golden: Golden, app: App | None, settings: Settings, kinds: tuple[Kind, ...]) -> Measurement:
    limit = Budget.read(settings.budget, settings.prices).calls if settings.budget else 0
    name = f"{golden.path}::mutation"
    try:
        measured = measure([golden], settings, kinds, app=app, budget=limit or 0)
    except RedGoldenError as error:
        bounds = [f"mutation[{bound}]" for bound in golden.measures.get(MEASURED, {})]
        broken = [
            Verdict(check=item, outcome="error", case=f"{golden.path}::{item}", reason=str(error))
            for item in ("mutation", *bounds)
        ]
        return Measurement(verdicts=tuple(broken), lines=())
    revision = settings.baseline if settings.baseline and is_revision(settings.baseline) else None
    before = read_before(NO_BASELINE if settings.baseline == NO_BASELINE else revision, settings)
    compared = compare_strength(before, measured.strength, settings.root)
    unbounded = replace(measured, strength=replace(measured.strength, verdicts=()))
    outcome = conclude(unbounded, compared)
    own = Verdict(check="mutation", outcome=outcome, case=name, reason=_explain(measured, compared, outcome))
    return Measurement(verdicts=(*measured.strength.verdicts, own), lines=tuple(section(measured, compared)))


def _explain(measured: Measured, compared: Compared, outcome: Outcome) -> str:
    strength = measured.strength
    total = describe_total(strength)
    match outcome:
        case "error":
            return f"{total}: " + "; ".join(f"{group}: {why}" for group, why in strength.not_tried.items())
        case "regressed":
            return "; ".join(compared.losses)
        case "undecided":
            doubts = [trial.reason for trial in strength.trials if not trial.is_decided][:1]
            return ": ".join([total, *doubts, *(compared.notes if compared.doubts else ())])
    return "; ".join([total, *compared.notes])

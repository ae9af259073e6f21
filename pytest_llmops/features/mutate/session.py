"""The measurement of a golden file within a session of pytest, `--llm-mutate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_llmops.errors import SettingsError
from pytest_llmops.features.mutate.command import conclude
from pytest_llmops.features.mutate.kinds import EDITS, Kind, read_kinds
from pytest_llmops.features.mutate.measuring import RedGoldenError, measure
from pytest_llmops.features.mutate.report import describe_total, section
from pytest_llmops.features.mutate.stored import find_weakened, read_before
from pytest_llmops.hookspecs import Measurement
from pytest_llmops.protocols import App
from pytest_llmops.records import Golden, Verdict
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
        broken = Verdict(check="mutation", outcome="error", case=name, reason=str(error))
        return Measurement(verdicts=(broken,), lines=())
    revision = settings.baseline if settings.baseline and is_revision(settings.baseline) else None
    before = read_before(NO_BASELINE if settings.baseline == NO_BASELINE else revision, settings)
    measured = replace(measured, note=before.note)
    weakened = find_weakened(before.killed, measured.strength)
    verdicts = list(measured.strength.verdicts)
    verdicts += [
        Verdict(check=f"mutation {fall.kind}", outcome="regressed", case=name, reason=fall.describe())
        for fall in weakened
    ]
    if conclude(measured, weakened) == "error":
        reason = "; ".join(f"{group}: {why}" for group, why in measured.strength.not_tried.items())
        verdicts.append(
            Verdict(check="mutation", outcome="error", case=name, reason=f"nothing was tried: {reason}")
        )
    if not verdicts:
        verdicts.append(
            Verdict(check="mutation", outcome="passed", case=name, reason=describe_total(measured.strength))
        )
    return Measurement(verdicts=tuple(verdicts), lines=tuple(section(measured)))

"""Where the accepted baseline is, and how a run is taken into it."""

from __future__ import annotations

from pathlib import Path

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.golden.files import shown_path
from pytest_llmops.printable import counted
from pytest_llmops.records import Run
from pytest_llmops.reports.files.baseline_file import update_baseline
from pytest_llmops.revision.merging import leave_out_old_checks
from pytest_llmops.revision.revision import is_revision
from pytest_llmops.settings import NO_BASELINE, Settings


def accepted_path(settings: Settings) -> Path:
    """Where what is accepted goes: the file that is compared with, else the accepted baseline."""
    named = settings.baseline
    return settings.path(
        settings.accepted if named is None or named == NO_BASELINE or is_revision(named) else named
    )


def accept_into_baseline(run: Run, settings: Settings) -> tuple[str, bool]:
    """Take the new cases of a run into the baseline: a line for the summary, and whether it went well."""
    path = accepted_path(settings)
    try:
        done = update_baseline(path, leave_out_old_checks(run))
    except LLMOpsError as error:
        return f"nothing was accepted: {error}", False
    except OSError as error:
        return f"nothing was accepted: {error.filename}: {error.strerror}", False
    taken = len(done.added) + len(done.edited)
    cases = counted(taken, "case")
    line = f"{shown_path(path, settings.root)}: {cases} accepted, {len(done.kept)} kept"
    if missed := describe_missed(len(done.missed)):
        line += f"; {missed}"
    if done.refused:
        line += f", {len(done.refused)} refused: {done.refused[0][0]}: {done.refused[0][1]}"
    if done.stale:
        one = len(done.stale) == 1
        lack = "lacks a metric or was" if one else "lack a metric or were"
        line += f"; of the kept {len(done.stale)} {lack} scored otherwise (llmops accept --all)"
    return line, True


def describe_missed(count: int) -> str:
    """A sentence on so many cases that were taken although they miss a check; empty for none."""
    if count == 1:
        return "1 of them misses a check, and is a known failure from now on"
    return f"{count} of them miss a check, and are known failures from now on" if count else ""

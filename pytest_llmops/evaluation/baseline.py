"""Where the accepted baseline is, and how a run is taken into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_llmops.calibration.record import load_needed
from pytest_llmops.errors import LLMOpsError, RunFileError, SettingsError
from pytest_llmops.evaluation.merge_base.former import find_former_baseline
from pytest_llmops.evaluation.merge_base.reading import read_merge_base
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.suite_channel.drops import watch_means
from pytest_llmops.golden.files import shown_path
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.golden.reviews import load_reviews
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.files.baseline_file import ACCEPT, load_base, load_baseline, update_baseline
from pytest_llmops.revision.revision import is_revision, open_revision
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
        done = update_baseline(path, run)
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


_NAMED = 3


def find_baseline(
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str] = (),
    accept: bool = False,
    selection: str = "",
) -> BaselineSource:
    """
    What the settings name as baseline: a file, a revision, `none`, or the accepted baseline if there is one.

    Args:
        goldens: The files that are run.
        named: Files and folders that somebody named for it, from the root.
        accept: The run will be taken into the baseline, which must be fit for it before a model is called.
        selection: By which words of tags the run chooses its cases, pytest's `-m` and `-k`.

    Raises:
        LLMOpsError: A file or the revision cannot be read, a baseline that is named knows none of the
            cases, or the run would be written over what it needs.
    """
    _check_out(settings, goldens)
    if accept and accepted_path(settings).exists():
        load_baseline(accepted_path(settings))
    baseline = settings.baseline
    if "baseline" not in settings.flagged and not is_revision(baseline or ""):
        baseline = find_former_baseline(settings.root) or baseline
    if baseline is not None and is_revision(baseline):
        revision = open_revision(baseline, settings.root)
        return read_merge_base(revision, settings, goldens, named=named, selection=selection)
    kept = BaselineSource(
        goldens=tuple(goldens),
        reviews=load_reviews(settings.path(settings.reviews)),
        calibrations=load_needed(goldens, settings.path(settings.calibration)),
    )
    if baseline == NO_BASELINE or (baseline is None and not settings.path(settings.accepted).exists()):
        return kept
    path = settings.path(baseline or settings.accepted)
    if accept and not path.exists():
        return kept
    base = load_base(path)
    if not accept and not _is_same(path, settings.path(settings.accepted)):
        _check_cases(base, path, goldens)
    return replace(kept, goldens=tuple(watch_means(golden, base) for golden in goldens), base=base)


def _check_out(settings: Settings, goldens: Sequence[Golden]) -> None:
    """Refuse to write the run where it would destroy something."""
    if settings.out is None:
        return
    path, shown = settings.path(settings.out), printable(settings.out)
    if path.suffix not in {".json", ".jsonl"}:
        raise SettingsError(f"out {shown}: the name of a run file ends in .json or .jsonl; try run.json")
    kept = {"the baseline": {accepted_path(settings), settings.path(settings.accepted)}}
    kept["the log of reviews"] = {settings.path(settings.reviews)}
    kept["the record of calibrations"] = {settings.path(settings.calibration)}
    named = {golden.path for golden in goldens} | set(settings.golden)
    kept["a golden file"] = {settings.path(each) for each in named}
    for what, files in kept.items():
        if any(_is_same(path, each) for each in files):
            raise SettingsError(
                f"out {shown}: this is {what}, which the run would be written over; try run.json"
            )


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _check_cases(base: Run, path: Path, goldens: Sequence[Golden]) -> None:
    """With a baseline of another project every case would be new, and nothing compared."""
    cases = cases_by_id(*goldens)
    if cases and not any(result.case in cases for result in base.results):
        files = name_some([printable(golden.path) for golden in goldens], _NAMED)
        raise RunFileError(
            f"{path}: holds no case of {files}; it is of another project or the "
            f"cases were renamed; make one with: {ACCEPT}"
        )

"""
Where the baseline, reviews and calibrations come from: the working tree, or the revision a change began at.

Under `git:REF` all of them come from the merge base, and whatever the change loosened since is listed: golden
files are those of the working tree, so that new and stricter cases count, and a looser one is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_llmops.calibration.record import load_needed
from pytest_llmops.errors import RunFileError, SettingsError
from pytest_llmops.evaluation.acceptance import accepted_path
from pytest_llmops.evaluation.merge_base.former import find_former_baseline
from pytest_llmops.evaluation.merge_base.reading import read_merge_base
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.suite_channel.verdicts import watch_means
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.golden.reviews import load_reviews
from pytest_llmops.printable import name_some, printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.files.baseline_file import ACCEPT, load_base, load_baseline
from pytest_llmops.revision.revision import is_revision, open_revision
from pytest_llmops.settings import NO_BASELINE, Settings

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

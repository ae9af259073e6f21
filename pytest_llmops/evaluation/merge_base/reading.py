"""
What a run is compared with, as it was where the change began, and what the change made looser.

Everything is found by the settings of then: a change of them may not hide what they pointed at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_llmops.calibration.record import Calibration, need_calibrations, parse_calibrations
from pytest_llmops.errors import GoldenError, RevisionError
from pytest_llmops.evaluation.merge_base.files import (
    list_broken_promises,
    list_changed_cassettes,
    list_changed_metrics,
    list_changed_options,
    list_moved_root,
)
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.suite_channel.verdicts import watch_means
from pytest_llmops.golden import find_golden_files, load_golden
from pytest_llmops.golden.files import paths_to_export
from pytest_llmops.golden.reviews import load_reviews, parse_reviews
from pytest_llmops.ini_files import INI_FILES, read_addopts, read_ini
from pytest_llmops.printable import printable
from pytest_llmops.prompts.lock import find_lock
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.files.baseline_file import load_base, parse_baseline
from pytest_llmops.revision.loosening.compared import list_loosened
from pytest_llmops.revision.loosening.record import GateFiles, Loosening
from pytest_llmops.revision.loosening.target import Merged, merge_target
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings, load_settings

_PROJECT = "pyproject.toml"
SETTING_FILES = tuple(sorted({_PROJECT, *INI_FILES}))
_DECIDING = ("undecided", "known_failures", "repeats", "max_repeats")
"""Settings that a change must have as its target has them by now."""


def read_merge_base(
    revision: Revision,
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str] = (),
    selection: str = "",
) -> BaselineSource:
    """
    Baseline, reviews and agreements of the revision, and what the change loosened since.

    Args:
        goldens: The files of the working tree that are run.
        named: Files and folders that somebody named for the run, from the root.
        selection: By which words of tags the run chooses its cases.

    Raises:
        LLMOpsError: Something of the revision cannot be read.
    """
    named = list(named)
    with tempfile.TemporaryDirectory(prefix="llmops-") as name:
        folder = Path(name) / "base"
        folder.mkdir()
        former = _read_former(revision, settings, goldens, named, folder)
        loosened = _list_loosened(former, settings, goldens, revision, selection)
        merged, ahead = _merge_target(
            revision,
            former.files.goldens,
            run=goldens,
            named=named or settings.golden,
            folder=Path(name) / "target",
        )
    ref = printable(revision.ref)
    known = {(each.case, each.what) for each in loosened}
    found = [
        *loosened,
        *(
            replace(each, what=f"{each.what}, beside {ref} by now: merge it")
            for each in ahead
            if (each.case, each.what) not in known
        ),
        *list_changed_metrics(former.files.goldens, revision, settings.root),
        *list_changed_cassettes(
            former.files.goldens,
            revision,
            settings,
            (former.files.settings.cassettes, former.files.settings.home),
        ),
        *list_moved_root(revision, settings.root),
    ]
    return BaselineSource(
        goldens=tuple(watch_means(golden, former.files.baseline) for golden in merged.goldens),
        base=former.files.baseline,
        reviews=former.files.reviews,
        calibrations=former.calibrations,
        loosened=tuple(found),
        carried=merged.carried,
        revision=revision,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Former:
    """
    What the revision holds.

    Attributes:
        folder: Where its settings, golden files, prompts and locks lie.
        prompts: Paths of the prompts that its golden files or those of the working tree name.
    """

    folder: Path
    files: GateFiles
    prompts: set[str]
    calibrations: Mapping[str, Calibration]


def _read_former(
    revision: Revision, settings: Settings, goldens: Sequence[Golden], named: Sequence[str], folder: Path
) -> _Former:
    revision.export(SETTING_FILES, folder)
    bare = read_setting_files(folder)
    then = bare.settings
    files = {*then.golden, *named, *(golden.path for golden in goldens)}
    revision.export(sorted(files), folder)
    old = _load_all(files, folder, revision)
    prompts = {path for golden in (*old, *goldens) for path in golden.prompts}
    locks = {find_lock(path, settings.root).relative_to(settings.root).as_posix() for path in prompts}
    revision.export(sorted({*prompts, *locks} - files), folder)
    accepted = revision.read(then.accepted)
    base = None if accepted is None else parse_baseline(accepted, f"{then.accepted} at git:{revision.ref}")
    log = revision.read(then.reviews) or b""
    reviews = parse_reviews(log, f"{then.reviews} at git:{revision.ref}")
    calibrated = revision.read(then.calibration) if need_calibrations(goldens) else None
    calibrations = (
        parse_calibrations(calibrated, f"{then.calibration} at git:{revision.ref}") if calibrated else {}
    )
    return _Former(
        folder=folder,
        files=replace(bare, goldens=old, baseline=base, reviews=reviews),
        prompts=prompts,
        calibrations=calibrations,
    )


def _list_loosened(
    former: _Former, settings: Settings, goldens: Sequence[Golden], revision: Revision, selection: str
) -> tuple[Loosening, ...]:
    """What the working tree made looser than the revision has it."""
    old, accepted = former.files, settings.path(settings.accepted)
    new = replace(
        read_setting_files(settings.root),
        goldens=_all_now(settings, goldens),
        baseline=load_base(accepted) if accepted.exists() else None,
        reviews=load_reviews(settings.path(settings.reviews)),
    )
    further = [
        *list_changed_options(old.goldens, revision),
        *list_broken_promises(former.prompts, former.folder, settings.root),
    ]
    old = replace(old, goldens=_watched(old.goldens, new.goldens, old.baseline))
    return list_loosened(old, new, settings, selection=selection, further=further)


def read_setting_files(root: Path) -> GateFiles:
    """What they say, without golden files, baseline and reviews."""
    name, ini = read_ini(root)
    addopts_file, addopts = read_addopts(root)
    return GateFiles(
        settings=load_settings(root, (name, ini)),
        settings_file=name if ini else "",
        addopts=addopts,
        addopts_file=addopts_file,
    )


def _watched(old: Sequence[Golden], now: Sequence[Golden], base: Run | None) -> list[Golden]:
    """The old files, with the means watched by default in those that name checks of the suite now."""
    named = {golden.path for golden in now if golden.suite}
    return [watch_means(golden, base) if golden.path in named else golden for golden in old]


def _merge_target(
    revision: Revision,
    old: Sequence[Golden],
    *,
    run: Sequence[Golden],
    named: Sequence[str],
    folder: Path,
) -> tuple[Merged, list[Loosening]]:
    """The files to run, with what the target got since; and what is looser than in the target by now."""
    if revision.target == revision.commit:
        return Merged(goldens=tuple(run)), []
    target = revision.at_target()
    folder.mkdir()
    target.export(SETTING_FILES, folder)
    settings, here = (read_setting_files(each).settings for each in (folder, revision.root))
    files = {*settings.golden, *named, *(golden.path for golden in run)}
    target.export(sorted(files), folder)
    try:
        theirs = _load_all(files, folder, target)
    except RevisionError as error:
        raise RevisionError(
            f"{error}\n{revision.ref} moved on since this change began, and its golden files need what only "
            f"it has: merge {revision.ref} first"
        ) from None
    run_paths = {each.relative_to(folder).as_posix() for each in _find_files(named, folder)}
    merged = merge_target(old, run, theirs, run=sorted(run_paths))
    running = {golden.path for golden in merged.goldens}
    ahead = list_loosened(
        GateFiles(goldens=[each for each in theirs if each.path in running], settings=_deciding(settings)),
        GateFiles(goldens=merged.goldens, settings=_deciding(here)),
        Settings(),
    )
    return merged, list(ahead)


def _deciding(settings: Settings) -> Settings:
    return Settings(**{name: getattr(settings, name) for name in _DECIDING})


def _load_all(paths: Iterable[str], folder: Path, revision: Revision) -> list[Golden]:
    """The golden files of an exported revision; their prompts and data need not be there."""
    try:
        files = _find_files(paths, folder)
        goldens = [load_golden(file, root=folder, past=True) for file in files]
        if attached := paths_to_export(goldens):
            revision.export(attached, folder)
            goldens = [load_golden(file, root=folder, past=True) for file in files]
    except GoldenError as error:
        raise RevisionError(f"at git:{revision.ref}: {error}") from None
    return goldens


def _all_now(settings: Settings, goldens: Sequence[Golden]) -> list[Golden]:
    """Every golden file of the working tree, those that were not selected included."""
    loaded = {golden.path: golden for golden in goldens}
    for file in _find_files(settings.golden, settings.root):
        golden = load_golden(file, root=settings.root)
        loaded.setdefault(golden.path, golden)
    return list(loaded.values())


def _find_files(paths: Iterable[str], root: Path) -> list[Path]:
    """The golden files of those paths that have any; a folder may hold none yet, or none any more."""
    found: dict[Path, None] = {}
    for path in paths:
        if (root / path).is_file():
            found.update(dict.fromkeys(find_golden_files([path], root)))
        elif (root / path).is_dir():
            with suppress(GoldenError):
                found.update(dict.fromkeys(find_golden_files([path], root)))
    return list(found)

"""
What a run is compared with, as it was where the change began, and what the change made looser.

Everything is found by the settings of then: a change of them may not hide what they pointed at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from pytest_llmops.calibration.record import Calibration, need_calibrations, parse_calibrations
from pytest_llmops.errors import GoldenError, RevisionError
from pytest_llmops.evaluation.merge_base.files import (
    list_changed_cassettes,
    list_changed_metrics,
    list_changed_options,
    list_moved_root,
)
from pytest_llmops.gates.suite_channel.drops import watch_means
from pytest_llmops.golden import find_golden_files, load_golden
from pytest_llmops.golden.reviews import Review, extends, load_reviews, parse_reviews
from pytest_llmops.ini_files import INI_FILES, read_addopts, read_ini
from pytest_llmops.printable import printable
from pytest_llmops.prompts.files import find_prompts
from pytest_llmops.prompts.lock import find_lock, locked_prompts
from pytest_llmops.prompts.rules import check_prompts
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.files.baseline_file import load_base, parse_baseline
from pytest_llmops.revision.loosening.compared import Loosening, list_loosened
from pytest_llmops.revision.loosening.target import Merged, merge_target
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings, load_settings

_PROJECT = "pyproject.toml"
SETTING_FILES = tuple(sorted({_PROJECT, *INI_FILES}))
_DECIDING = ("undecided", "known_failures", "repeats", "max_repeats")
"""Settings that a change must have as its target has them by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeBase:
    """
    What a run against a revision must satisfy.

    Attributes:
        goldens: The files to run: those of the change, with what its target got since.
        carried: What came from the target.
    """

    goldens: tuple[Golden, ...]
    base: Run | None = None
    reviews: tuple[Review, ...] = ()
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    loosened: tuple[Loosening, ...] = ()
    carried: tuple[str, ...] = ()


def read_merge_base(
    revision: Revision,
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str] = (),
    selection: str = "",
) -> MergeBase:
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
            former.goldens,
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
        *list_changed_metrics(former.goldens, revision, settings.root),
        *list_changed_cassettes(
            former.goldens, revision, settings, (former.settings.cassettes, former.settings.home)
        ),
        *list_moved_root(revision, settings.root),
    ]
    return MergeBase(
        goldens=merged.goldens,
        base=former.base,
        reviews=former.reviews,
        calibrations=former.calibrations,
        loosened=tuple(found),
        carried=merged.carried,
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
    settings: Settings
    goldens: list[Golden]
    prompts: set[str]
    base: Run | None
    reviews: tuple[Review, ...]
    calibrations: Mapping[str, Calibration]


def _read_former(
    revision: Revision, settings: Settings, goldens: Sequence[Golden], named: Sequence[str], folder: Path
) -> _Former:
    revision.export(SETTING_FILES, folder)
    _, then = read_written_settings(folder)
    files = {*then.golden, *named, *(golden.path for golden in goldens)}
    revision.export(sorted(files), folder)
    old = _load_all(files, folder, revision)
    prompts = {path for golden in (*old, *goldens) for path in golden.prompts}
    locks = {find_lock(path, settings.root).relative_to(settings.root).as_posix() for path in prompts}
    revision.export(sorted({*prompts, *locks} - files), folder)
    base = _baseline_of(revision, then.accepted)
    log = revision.read(then.reviews) or b""
    reviews = parse_reviews(log, f"{then.reviews} at git:{revision.ref}")
    calibrated = revision.read(then.calibration) if need_calibrations(goldens) else None
    calibrations = (
        parse_calibrations(calibrated, f"{then.calibration} at git:{revision.ref}") if calibrated else {}
    )
    return _Former(
        folder=folder,
        settings=then,
        goldens=old,
        prompts=prompts,
        base=base,
        reviews=reviews,
        calibrations=calibrations,
    )


def _list_loosened(
    former: _Former, settings: Settings, goldens: Sequence[Golden], revision: Revision, selection: str
) -> tuple[Loosening, ...]:
    """What the working tree made looser than the revision has it."""
    ini, then = read_written_settings(former.folder)
    ini_now, now = read_written_settings(settings.root)
    _, flags = read_addopts(former.folder)
    pytest_path, flags_now = read_addopts(settings.root)
    accepted = settings.path(settings.accepted)
    all_now = _all_now(settings, goldens)
    return list_loosened(
        _watched(former.goldens, all_now, former.base),
        all_now,
        old_baseline=former.base,
        new_baseline=load_base(accepted) if accepted.exists() else None,
        old_settings=_as_mapping(then),
        new_settings=_as_mapping(now),
        given={each: getattr(settings, each) for each in settings.flagged},
        selects_by=lambda tag: _selects_by(selection, tag),
        reviews_rewritten=not extends(former.reviews, load_reviews(settings.path(settings.reviews))),
        files_changed=list_changed_options(former.goldens, revision),
        lock_loosened=_broken_promises(former.prompts, former.folder, settings.root),
        baseline_path=settings.accepted,
        addopts_changed=flags != flags_now,
        settings_path=ini_now or ini or _PROJECT,
        pytest_path=pytest_path or _PROJECT,
        reviews_path=settings.reviews,
    )


def read_written_settings(root: Path) -> tuple[str, Settings]:
    """What files say, and the name of the one that pytest reads, where it says something of ours."""
    name, ini = read_ini(root)
    return name if ini else "", load_settings(root, (name, ini))


def _watched(old: Sequence[Golden], now: Sequence[Golden], base: Run | None) -> list[Golden]:
    """The old files, with the means watched by default in those that name checks of the suite now."""
    named = {golden.path for golden in now if golden.suite}
    return [watch_means(golden, base) if golden.path in named else golden for golden in old]


def _as_mapping(settings: Settings) -> Mapping[str, object]:
    return {each.name: getattr(settings, each.name) for each in fields(Settings)}


def _selects_by(selection: str, tag: str) -> bool:
    """Whether an expression of `-m` or `-k` speaks of a tag; `-k` takes a part of it too."""
    words = selection.casefold().replace("(", " ").replace(")", " ").split()
    return any(word in tag.casefold() for word in words if word not in {"and", "or", "not"})


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
    _, settings = read_written_settings(folder)
    _, here = read_written_settings(revision.root)
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
    decide = {name: getattr(settings, name) for name in _DECIDING}
    ahead = list_loosened(
        [golden for golden in theirs if golden.path in running],
        merged.goldens,
        old_settings=decide,
        new_settings={name: getattr(here, name) for name in _DECIDING},
    )
    return merged, list(ahead)


def _baseline_of(revision: Revision, path: str) -> Run | None:
    data = revision.read(path)
    return None if data is None else parse_baseline(data, f"{path} at git:{revision.ref}")


def _load_all(paths: Iterable[str], folder: Path, revision: Revision) -> list[Golden]:
    """The golden files of an exported revision; their prompts and data need not be there."""
    try:
        return [load_golden(file, root=folder, past=True) for file in _find_files(paths, folder)]
    except GoldenError as error:
        raise RevisionError(f"at git:{revision.ref}: {error}") from None


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


def _broken_promises(paths: Iterable[str], folder: Path, root: Path) -> list[str]:
    """Prompts that changed against the lock of the revision in a way that a new lock would hide."""
    paths = sorted(paths)
    locked = locked_prompts([path for path in paths if (folder / path).exists()], folder)
    found = find_prompts([path for path in paths if (root / path).exists()], root) if locked else ()
    findings = check_prompts(locked, found)
    return [f"{each.file}: {each.name}: {each.reason}" for each in findings if each.hidden_by_lock]

"""
The gate of the merge base, from which a change began: read from git, and compared with the working tree.

All is found by the settings of the merge base: a change of them may not hide what they pointed at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pytest_llmops.calibration.record import need_calibrations, parse_calibrations
from pytest_llmops.errors import GoldenError, RevisionError
from pytest_llmops.evaluation.merge_base.cassettes import compare_recordings
from pytest_llmops.evaluation.merge_base.files import (
    is_changed,
    list_broken_promises,
    list_changed_metrics,
    list_changed_options,
    list_moved_root,
)
from pytest_llmops.evaluation.merge_base.moves import (
    follow_project,
    match_goldens,
    rename_goldens,
    rename_reviews,
    rename_run,
)
from pytest_llmops.evaluation.missing import explain_missing
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.release import Release
from pytest_llmops.gates.renames import find_renames, rename_case, rename_cases
from pytest_llmops.gates.suite_channel.verdicts import watch_means
from pytest_llmops.golden import find_golden_files, load_golden
from pytest_llmops.golden.files import paths_to_export
from pytest_llmops.golden.identity import case_id, cases_by_id, file_of, input_hash
from pytest_llmops.golden.reviews import load_reviews, parse_reviews
from pytest_llmops.ini_files import INI_FILES, read_addopts, read_ini
from pytest_llmops.printable import printable
from pytest_llmops.prompts.lock import find_lock
from pytest_llmops.records import Case, CaseResult, Golden, Run
from pytest_llmops.registry import accepted_files
from pytest_llmops.reports.files.baseline_file import (
    load_base,
    load_release,
    parse_baseline,
    parse_release,
    release_path,
)
from pytest_llmops.revision.approvals import sort_by_approval
from pytest_llmops.revision.loosening import GateFiles, Loosening, digest_of, list_loosened
from pytest_llmops.revision.merging import ask_as_before, merge_target
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings, load_settings

SETTING_FILES = tuple(sorted({"pyproject.toml", *INI_FILES}))
_DECIDING = ("undecided", "known_failures", "repeats", "max_repeats")
"""Settings that a change must have as its target has them by now."""


def read_merge_base(  # noqa: PLR0913 - as `find_baseline`
    revision: Revision,
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str] = (),
    selection: str = "",
    approvals: Iterable[str] = (),
) -> BaselineSource:
    """
    Return baseline, reviews and agreements of the revision, and everything that the change loosened since.

    Args:
        goldens: The files of the working tree that are run.
        named: Files and folders that somebody named for the run, from the root.
        selection: The expression of tags by which the run chooses its cases.
        approvals: Loosened items that the pipeline approves, besides those of the target's settings.

    Raises:
        LLMOpsError: Something of the revision cannot be read.
    """
    named = list(named)
    new = _read_new(settings, goldens)
    with tempfile.TemporaryDirectory(prefix="llmops-") as name:
        folder = Path(name)
        here = _read_old(revision, goldens, named, folder / "base")
        if not here.goldens:  # a project of the revision that is still where it was is no moved one
            revision = _follow(revision, settings, new)
            here = _read_old(revision, goldens, named, folder / "moved")
        then = _read_decided(revision, here)
        gone = [golden.path for golden in then.goldens if not settings.path(golden.path).exists()]
        moved = match_goldens(then.goldens, new.goldens, gone=gone)
        old, new = _rename(then, moved), _rename(new, moved)
        further = _list_promises(revision, old.goldens, goldens, folder / "prompts")
        target = _merge_target(
            revision, settings, old, new, goldens, moved, named or settings.golden, folder / "target"
        )
    renamed = _find_renamed_cases(old.goldens, new.goldens)
    old, new = _rename_cases(old, renamed), _rename_cases(new, renamed)
    options = list(list_changed_options(old.goldens, revision))
    further += options
    further += _list_accepted(revision, old, new, moved, renamed)
    release = _read_release(revision, old.settings.accepted)
    if release is not None:
        release = replace(release, run=rename_cases(rename_run(release.run, moved), renamed))
    loosened = list_loosened(_watch_as_now(old, new), new, settings, selection=selection, further=further)
    approvals = (*target.approvals, *approvals)
    code = list(list_changed_metrics(old.goldens, revision, settings.root))
    approved = sort_by_approval([*loosened, *code], approvals).approved
    running, base, edited = ask_as_before(
        [watch_means(golden, old.baseline) for golden in target.running],
        [watch_means(golden, old.baseline) for golden in old.goldens],
        old.baseline,
        [item for item in loosened if item.metric and item not in approved],
    )
    known = {(item.case, item.what) for item in loosened}
    judged = bool(old.settings.judge) or any(golden.judge for golden in old.goldens)
    recordings = compare_recordings(
        then.goldens, revision, settings, old.settings, moved=moved, judged=judged
    )
    loosened = (
        *(item for item in loosened if item not in edited),
        *(
            replace(item, what=f"{item.what}, compared with {printable(revision.ref)} by now: merge it")
            for item in target.ahead
            if (item.case, item.what) not in known
        ),
        *code,
        *recordings.loosened,
        *list_moved_root(revision, settings.root),
        *_list_release(release, revision, settings, old.settings.accepted),
    )
    path = old.settings.calibration
    agreed = revision.read(path) if need_calibrations(goldens) else None
    return BaselineSource(
        goldens=running,
        base=base and _without_approved(base, new.goldens, approved),
        reviews=old.reviews,
        calibrations=parse_calibrations(agreed, f"{path} at git:{revision.ref}") if agreed else {},
        loosened=loosened,
        edited=tuple(edited),
        carried=target.carried,
        revision=revision,
        recordings=recordings,
        renamed=renamed,
        approvals=approvals,
        prices=old.settings.prices,
        release=release and replace(release, run=_without_approved(release.run, new.goldens, approved)),
        missing=None
        if old.baseline
        else explain_missing(revision, old.settings.accepted, has_cases=bool(old.goldens)),
        former=tuple(old.goldens),
        former_options=tuple(item.place for item in options),
        former_settings=old.settings,
    )


def _find_renamed_cases(old: Sequence[Golden], new: Sequence[Golden]) -> dict[str, str]:
    """The items of cases that a change gave another id, to their new ones."""
    renamed: dict[str, str] = {}
    files = {golden.path: golden for golden in new}
    for golden in old:
        before, after = (
            {id_: input_hash(case) for id_, case in cases_by_id(file).items()}
            for file in (golden, files.get(golden.path, golden))
        )
        gone = {id_: asked for id_, asked in before.items() if id_ not in after}
        renamed |= find_renames(gone, {id_: asked for id_, asked in after.items() if id_ not in before})
    return renamed


def _rename_cases(files: GateFiles, renamed: Mapping[str, str]) -> GateFiles:
    def rename(golden: Golden, case: Case) -> Case:
        new = renamed.get(case_id(golden, case))
        return replace(case, id=new.removeprefix(f"{golden.path}::")) if new else case

    goldens = [
        replace(golden, cases=tuple(rename(golden, case) for case in golden.cases))
        for golden in files.goldens
    ]
    return replace(files, goldens=goldens, baseline=files.baseline and rename_cases(files.baseline, renamed))


def _without_approved(base: Run, goldens: Sequence[Golden], approved: Iterable[Loosening]) -> Run:
    """The baseline without that which may go, or be otherwise now: nothing is left to compare it with."""
    items = list(approved)
    cases, places = {item.case for item in items}, {item.place for item in items if item.case is None}
    metrics = {name for item in items if item.place.endswith(".py") for name in item.metric.split()}
    asked = {name: input_hash(case) for name, case in cases_by_id(*goldens).items()}
    paths = {golden.path for golden in goldens}

    def may_go(result: CaseResult) -> bool:
        path = file_of(result.case)
        other = result.case not in asked or result.input_hash not in {"", asked[result.case]}
        return (result.case in cases and other) or (path in places and path not in paths)

    kept = (result for result in base.results if not may_go(result))
    results = [
        replace(result, scores=tuple(score for score in result.scores if score.metric not in metrics))
        for result in kept
    ]
    return replace(base, results=tuple(results))


def _follow(revision: Revision, settings: Settings, new: GateFiles) -> Revision:
    return follow_project(revision, [*(golden.path for golden in new.goldens), settings.accepted])


def _rename(files: GateFiles, moved: Mapping[str, str]) -> GateFiles:
    return replace(
        files,
        goldens=rename_goldens(files.goldens, moved),
        baseline=files.baseline and rename_run(files.baseline, moved),
        reviews=rename_reviews(files.reviews, moved),
    )


def read_setting_files(root: Path) -> GateFiles:
    """Return the settings of a folder, without golden files, baseline and reviews."""
    name, ini = read_ini(root)
    addopts_file, addopts = read_addopts(root)
    return GateFiles(
        settings=load_settings(root, (name, ini)),
        settings_file=name if ini else "",
        addopts=addopts,
        addopts_file=addopts_file,
    )


def _read_old(revision: Revision, goldens: Sequence[Golden], named: Sequence[str], folder: Path) -> GateFiles:
    """
    Settings and golden files of a revision, which are left in the folder.

    Args:
        goldens: Those of the working tree, whose paths are read whatever the settings name.
    """
    folder.mkdir()
    revision.export(SETTING_FILES, folder)
    old = read_setting_files(folder)
    paths = {*old.settings.golden, *named, *(golden.path for golden in goldens)}
    revision.export(sorted(paths), folder)
    return replace(old, goldens=_load_all(paths, folder, revision))


def _read_decided(revision: Revision, old: GateFiles) -> GateFiles:
    """The gate with its baseline and reviews."""
    then = old.settings
    accepted = revision.read(then.accepted)
    base = None if accepted is None else parse_baseline(accepted, f"{then.accepted} at git:{revision.ref}")
    reviews = parse_reviews(revision.read(then.reviews) or b"", f"{then.reviews} at git:{revision.ref}")
    return replace(old, baseline=base, reviews=reviews)


def _read_release(revision: Revision, accepted: str) -> Release | None:
    """The release baseline of a revision; None where none was named there."""
    path = release_path(Path(accepted)).as_posix()
    content = revision.read(path)
    return None if content is None else parse_release(content, f"{path} at git:{revision.ref}")


def _list_release(
    release: Release | None, revision: Revision, settings: Settings, accepted: str
) -> Iterator[Loosening]:
    """Yield that the release was named anew or removed: drops until then would no longer count."""
    path = release_path(Path(accepted)).as_posix()
    if release is None or not is_changed(revision, path):
        return
    now = load_release(settings.path(accepted))
    what = f"the release baseline was {'named anew' if now else 'removed'}"
    file = settings.path(path)
    yield Loosening(
        place=path,
        what=what,
        before=printable(release.name),
        after=printable(now.name) if now else "",
        digest=digest_of(file.read_bytes()) if file.is_file() else "",
    )


def _list_accepted(
    revision: Revision,
    old: GateFiles,
    new: GateFiles,
    moved: Mapping[str, str],
    renamed: Mapping[str, str],
) -> Iterator[Loosening]:
    """Yield what the change took out of files that features accept beside the baseline."""

    def rename(case: str) -> str:
        case = rename_case(case, moved)
        return renamed.get(case, case)

    for name, list_lost in accepted_files().items():
        path = Path(old.settings.accepted).with_name(name).as_posix()
        before, file = revision.read(path), revision.root / path
        after = file.read_bytes() if file.is_file() else None
        if before is None or before == after:
            continue
        for what, case, was, is_, content in list_lost(before, after, rename, cases_by_id(*new.goldens)):
            digest = "" if content is None else digest_of(content)
            yield Loosening(place=path, case=case, what=what, before=was, after=is_, digest=digest)


def _list_promises(
    revision: Revision, old: Sequence[Golden], goldens: Sequence[Golden], folder: Path
) -> list[Loosening]:
    """Prompts of either side that broke the promises of their lock at the revision."""
    prompts = {path for golden in (*old, *goldens) for path in golden.prompts}
    locks = {find_lock(path, revision.root).relative_to(revision.root).as_posix() for path in prompts}
    revision.export(sorted(prompts | locks), folder)
    return list(list_broken_promises(prompts, folder, revision.root))


def _read_new(settings: Settings, goldens: Sequence[Golden]) -> GateFiles:
    """The gate of the working tree, with the golden files that were not selected."""
    loaded = {golden.path: golden for golden in goldens}
    for file in _find_files(settings.golden, settings.root):
        golden = load_golden(file, root=settings.root, calls_app=False)
        loaded.setdefault(golden.path, golden)
    accepted = settings.path(settings.accepted)
    return replace(
        read_setting_files(settings.root),
        goldens=list(loaded.values()),
        baseline=load_base(accepted) if accepted.exists() else None,
        reviews=load_reviews(settings.path(settings.reviews)),
    )


def _watch_as_now(old: GateFiles, new: GateFiles) -> GateFiles:
    """The old gate, with the means watched by default in those files that have a suite now."""
    named = {golden.path for golden in new.goldens if golden.suite}
    return replace(
        old,
        goldens=[
            watch_means(golden, old.baseline) if golden.path in named else golden for golden in old.goldens
        ],
    )


class _Target(NamedTuple):
    """
    The change, merged with its target as that is by now.

    Attributes:
        running: The files to run.
        carried: The target's additions in them.
        ahead: Everything in them that is looser than in the target.
        approvals: Loosened items that the target's settings approve.
    """

    running: Sequence[Golden]
    carried: tuple[str, ...]
    ahead: Sequence[Loosening]
    approvals: tuple[str, ...]


def _merge_target(  # noqa: PLR0913, PLR0917 - both sides of the change, and its place
    revision: Revision,
    settings: Settings,
    old: GateFiles,
    new: GateFiles,
    goldens: Sequence[Golden],
    moved: Mapping[str, str],
    named: Sequence[str],
    folder: Path,
) -> _Target:
    if revision.target == revision.commit:
        return _Target(goldens, (), (), old.settings.approvals)
    now = replace(revision, commit=revision.target, merged={}, folder=None)
    try:
        target = _read_old(_follow(now, settings, new), goldens, named, folder)
    except RevisionError as error:
        raise RevisionError(
            f"{error}\n{revision.ref} moved on since this change began, and its golden files need what only "
            f"it has: merge {revision.ref} first"
        ) from None
    target = _rename(target, moved)
    run = sorted(file.relative_to(folder).as_posix() for file in _find_files(named, folder))
    running, carried = merge_target(old.goldens, goldens, target.goldens, run=run)
    paths = {golden.path for golden in running}
    theirs, ours = (
        Settings(**{name: getattr(files.settings, name) for name in _DECIDING}) for files in (target, new)
    )
    ahead = list_loosened(
        GateFiles(goldens=[golden for golden in target.goldens if golden.path in paths], settings=theirs),
        GateFiles(goldens=running, settings=ours),
        Settings(),
    )
    return _Target(running, carried, ahead, target.settings.approvals)


def _load_all(paths: Iterable[str], folder: Path, revision: Revision) -> list[Golden]:
    """The golden files of an exported revision; their prompts and data need not be there."""
    files = _find_files(paths, folder)
    try:
        goldens = [load_golden(file, root=folder, past=True) for file in files]
        if attached := paths_to_export(goldens):
            revision.export(attached, folder)
            goldens = [load_golden(file, root=folder, past=True) for file in files]
    except GoldenError as error:
        raise RevisionError(f"at git:{revision.ref}: {error}") from None
    return goldens


def _find_files(paths: Iterable[str], root: Path) -> list[Path]:
    """The golden files of those paths that have any; a folder may hold none yet, or none any more."""
    files: dict[Path, None] = {}
    for path in paths:
        if not (root / path).exists():
            continue
        try:
            files.update(dict.fromkeys(find_golden_files([path], root)))
        except GoldenError:
            if not (root / path).is_dir():
                raise
    return list(files)

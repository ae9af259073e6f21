"""
The baseline of a run: found before it, and extended by it where the run is accepted.

Under `git:REF` baseline, reviews and calibrations come from the merge base, and all that the change loosened
since is listed: golden files are those of the working tree, so that new and stricter cases count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pytest_llmops.calibration.record import load_needed
from pytest_llmops.errors import LLMOpsError, RevisionError, RunFileError, SettingsError
from pytest_llmops.evaluation.merge_base.former import find_former_baseline
from pytest_llmops.evaluation.merge_base.reading import read_merge_base
from pytest_llmops.evaluation.source import BaselineSource, gone_files
from pytest_llmops.gates.baseline import ACCEPT, AcceptOptions
from pytest_llmops.gates.error_budget import BASELINE_REPEATS
from pytest_llmops.gates.renames import describe_renames, follow_renames
from pytest_llmops.gates.suite_channel.verdicts import watch_means
from pytest_llmops.golden.files import shown_path
from pytest_llmops.golden.identity import cases_by_id, file_of, input_hash
from pytest_llmops.golden.reviews import load_reviews
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.files.baseline_file import (
    describe_left_out,
    load_base,
    load_baseline,
    load_release,
    update_baseline,
)
from pytest_llmops.revision.merging import leave_out_old_checks
from pytest_llmops.revision.revision import is_revision, open_revision
from pytest_llmops.settings import NO_BASELINE, REVISION, Settings

_NAMED = 3
_TARGETS = ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "BITBUCKET_PR_DESTINATION_BRANCH")


def accepted_path(settings: Settings) -> Path:
    """Return the file that accepted cases go to: the one compared with, else the accepted baseline."""
    named = settings.baseline
    if named is None or named == NO_BASELINE or is_revision(named):
        named = settings.accepted
    return settings.path(named)


def accept_into_baseline(run: Run, settings: Settings) -> tuple[str, bool]:
    """Take the new cases of a run into the baseline; return a line for the summary, and if it worked."""
    path = accepted_path(settings)
    try:
        options = AcceptOptions(gone=find_gone(path, settings))
        update = update_baseline(path, leave_out_old_checks(run), options)
    except LLMOpsError as error:
        return f"nothing was accepted: {error}", False
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        return f"nothing was accepted: {error.filename or path}: {why}", False
    cases = counted(len(update.added) + len(update.edited), "case")
    line = f"{shown_path(path, settings.root)}: {cases} accepted, {len(update.kept)} kept"
    if missed := describe_missed(len(update.missed)):
        line += f"; {missed}"
    if update.short:
        line += f"; {describe_short(len(update.short))}"
    if update.renamed:
        line += f"; {describe_renames(update.renamed)}"
    if update.refused:
        line += f", {len(update.refused)} refused: {update.refused[0][0]}: {update.refused[0][1]}"
    if stale := len(update.stale):
        lack = "lacks a metric or was" if stale == 1 else "lack a metric or were"
        line += f"; of the kept {stale} {lack} scored otherwise (llmops accept --all)"
    return line, True


def find_gone(path: Path, settings: Settings) -> frozenset[str]:
    """Return the golden files of a baseline that do not exist any more; none where there is no baseline."""
    return gone_files(load_baseline(path), settings) if path.exists() else frozenset()


def describe_short(count: int) -> str:
    """Return a sentence on so many cases that were taken with too few repeats for an app that varies."""
    have = "has" if count == 1 else "have"
    return (
        f"{count} of these {have} fewer than {BASELINE_REPEATS} repeats though the app varies: "
        "record with --llm-repeats auto"
    )


def describe_missed(count: int) -> str:
    """Return a sentence on so many cases that were taken although they miss a check; empty for none."""
    if count == 1:
        return "1 of them misses a check, and is a known failure from now on"
    return f"{count} of them miss a check, and are known failures from now on" if count else ""


def find_baseline(  # noqa: PLR0913 - facts that a door has of its run
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str] = (),
    accept: bool = False,
    selection: str = "",
    approvals: Iterable[str] = (),
) -> BaselineSource:
    """
    Read the baseline that the settings name: a file, a revision, `none`, or the accepted one if there is one.

    Args:
        goldens: The files that are run.
        named: Files and folders that somebody named for it, from the root.
        accept: The run will be taken into the baseline, which must be fit for it before a model is called.
        selection: By which words of tags the run chooses its cases, pytest's `-m` and `-k`.
        approvals: Loosened items of the change that the pipeline approves.

    Raises:
        LLMOpsError: A file or the revision cannot be read, a baseline that is named knows none of the
            cases, or the run would be written over a file that it needs.
    """
    source = _find_source(
        settings, goldens, named=named, accept=accept, selection=selection, approvals=approvals
    )
    return source if source.base is None else _follow_renames(source, source.base, settings)


def _follow_renames(source: BaselineSource, base: Run, settings: Settings) -> BaselineSource:
    """Return the source with the ids that cases of its baselines have now."""
    now = {id_: input_hash(case) for id_, case in cases_by_id(*source.goldens).items()}
    paths = {golden.path for golden in source.goldens}

    def follow(base: Run) -> tuple[Run, dict[str, str]]:
        files = paths | gone_files(base, settings)
        cases = {result.case for result in base.results} - now.keys()
        return follow_renames(base, now, {case for case in cases if file_of(case) in files})

    base, renamed = follow(base)
    release = source.release
    if release is not None:
        release = replace(release, run=follow(release.run)[0])
    if not renamed:
        return replace(source, release=release)
    goldens = tuple(watch_means(golden, base) for golden in source.goldens)
    return replace(source, goldens=goldens, base=base, release=release, renamed=renamed)


def _find_source(  # noqa: PLR0913 - as above
    settings: Settings,
    goldens: Sequence[Golden],
    *,
    named: Iterable[str],
    accept: bool,
    selection: str,
    approvals: Iterable[str],
) -> BaselineSource:
    check_out(settings, goldens)
    if accept and accepted_path(settings).exists():
        load_baseline(accepted_path(settings))
    baseline = settings.baseline
    if "baseline" not in settings.flagged and not is_revision(baseline or ""):
        baseline = find_former_baseline(settings.root) or baseline
    if baseline is not None and is_revision(baseline):
        revision = open_revision(baseline, settings.root)
        return read_merge_base(
            revision, settings, goldens, named=named, selection=selection, approvals=approvals
        )
    source = BaselineSource(
        goldens=tuple(goldens),
        reviews=load_reviews(settings.path(settings.reviews)),
        calibrations=load_needed(goldens, settings.path(settings.calibration)),
    )
    if baseline == NO_BASELINE or (baseline is None and not settings.path(settings.accepted).exists()):
        return source
    path = settings.path(baseline or settings.accepted)
    if accept and not path.exists():
        return source
    base = load_base(path)
    if not accept and path.resolve() != settings.path(settings.accepted).resolve():
        cases = cases_by_id(*goldens)
        # With a baseline of another project every case would be new, and nothing compared.
        if cases and not any(result.case in cases for result in base.results):
            files = name_some([printable(golden.path) for golden in goldens], _NAMED)
            raise RunFileError(
                f"{path}: contains no case of {files}; it is of another project or the "
                f"cases were renamed; make one with: {ACCEPT}"
            )
    goldens = tuple(watch_means(golden, base) for golden in goldens)
    left_out = describe_left_out(path, settings.path(settings.accepted))
    return replace(
        source,
        goldens=goldens,
        base=base,
        release=load_release(path),
        left_out=left_out,
        unwatched=_describe_unwatched(path, settings) if settings.baseline and not accept else "",
    )


def _describe_unwatched(path: Path, settings: Settings) -> str:
    """
    Return a sentence where a baseline file that was named is not the one in the repository, or not in it.

    That is of the branch that CI merges into, where it says which, else the last commit.
    """
    root = settings.root
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return ""
    targets = [f"origin/{os.environ[name]}" for name in _TARGETS if os.environ.get(name)]
    for ref in (*targets, "HEAD"):
        with suppress(RevisionError):
            revision = open_revision(f"{REVISION}{ref}", root.resolve())
            if not path.resolve().is_relative_to(revision.top):
                return f"warning: {printable(str(path))} is outside the repository: nobody sees its changes"
            former = revision.read_anywhere(path.resolve())
            if former == path.read_bytes():
                return ""
            state = "not there" if former is None else "another one than"
            return (
                f"warning: {printable(shown_path(path, root))} is {state} at {printable(ref)}, and nothing "
                f"checks what changed in it; --llm-baseline {REVISION}{printable(ref)} would"
            )
    return ""


def check_out(settings: Settings, goldens: Sequence[Golden]) -> None:
    """
    Refuse to write the run where it would destroy something.

    Raises:
        SettingsError: The file is one that the gate needs, or its name has another ending.
    """
    if settings.out is None:
        return
    path, shown = settings.path(settings.out), printable(settings.out)
    if path.suffix not in {".json", ".jsonl"}:
        raise SettingsError(f"out {shown}: the name of a run file ends in .json or .jsonl; try run.json")
    golden_paths = {golden.path for golden in goldens} | set(settings.golden)
    protected = {
        "the baseline": {accepted_path(settings), settings.path(settings.accepted)},
        "the log of reviews": {settings.path(settings.reviews)},
        "the record of calibrations": {settings.path(settings.calibration)},
        "a golden file": {settings.path(golden_path) for golden_path in golden_paths},
    }
    for what, files in protected.items():
        if path.resolve() in {file.resolve() for file in files}:
            raise SettingsError(
                f"out {shown}: this is {what}, which the run would be written over; try run.json"
            )

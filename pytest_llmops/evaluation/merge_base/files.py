"""Files besides golden files that verdicts rest on, and that a change edited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pytest_llmops.errors import CassetteError, LLMOpsError
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.ini_files import INI_FILES
from pytest_llmops.judges.injection import CANARY
from pytest_llmops.judges.rubric_file import DEFAULT, own_rubrics
from pytest_llmops.metrics.sources import source_files
from pytest_llmops.printable import name_some, printable
from pytest_llmops.prompts.files import find_prompts, normalise
from pytest_llmops.prompts.lock import check_prompts, locked_prompts
from pytest_llmops.recorder.cassettes import cassette_path, parse_calls
from pytest_llmops.records import Check, Golden, SuiteCheck
from pytest_llmops.registry import create_metric
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings

_NAMED = 3


def is_changed(revision: Revision, path: str) -> bool:
    """Return whether a file was there and is not the same now; git may check it out with other line ends."""
    old, file = revision.read(path), revision.root / path
    return old is not None and (not file.is_file() or normalise(file.read_bytes()) != normalise(old))


def is_new_or_changed(revision: Revision, path: Path) -> bool:
    """Return whether a file of the project is not as it was, or was not there."""
    old = revision.read(path.relative_to(revision.root).as_posix())
    return old is None or normalise(path.read_bytes()) != normalise(old)


def list_changed_options(old: Sequence[Golden], revision: Revision) -> Iterator[Loosening]:
    """
    Yield changed files that options of old checks named: a rubric, a schema.

    An option is taken for a file's path where there was such a file, and for the name of a rubric where the
    project had or has one of that name, which is read before a built-in one.
    """
    options = (check.options for check in _list_checks(old))
    texts = {value for given in options for value in given.values() if isinstance(value, str)}
    changed = {text for text in texts if _is_relative(text) and is_changed(revision, text)}
    for path in {path for text in {*texts, DEFAULT} for path in own_rubrics(text) if _is_relative(path)}:
        file = revision.root / path
        if is_new_or_changed(revision, file) if file.is_file() else revision.read(path) is not None:
            changed.add(path)
    what = "checks rest on this file, and it is not what it was"
    yield from (Loosening(place=path, what=what) for path in sorted(changed))


def _list_checks(goldens: Sequence[Golden]) -> Iterator[Check | SuiteCheck]:
    for golden in goldens:
        yield from golden.suite
        for case in golden.cases:
            yield from case.checks


def list_broken_promises(paths: Iterable[str], folder: Path, root: Path) -> Iterator[Loosening]:
    """
    Yield prompts that changed against the lock of the revision in a way that a new lock would hide.

    Args:
        folder: The files of the revision.
    """
    paths = sorted(paths)
    locked = locked_prompts([path for path in paths if (folder / path).exists()], folder)
    prompts = find_prompts([path for path in paths if (root / path).exists()], root) if locked else ()
    for broken in check_prompts(locked, prompts):
        if broken.hidden_by_lock:
            what = printable(f"{broken.file}: {broken.name}: {broken.reason}")
            yield Loosening(place="prompts.lock", what=what)


def list_changed_metrics(old: Sequence[Golden], revision: Revision, root: Path) -> Iterator[Loosening]:
    """Yield changed files of the project that make the scores of metrics which old golden files check."""
    files = defaultdict[Path, set[str]](set)
    for check in _list_checks(old):
        with suppress(LLMOpsError):  # it is gone, and listed for its golden file
            for file in source_files(create_metric(check.metric, check.options)):
                files[file].add(printable(check.metric))
    for file, names in sorted(files.items()):
        if file.is_relative_to(root) and is_new_or_changed(revision, file):
            shown = name_some(sorted(names), _NAMED)
            what = f"scores of {shown} are made by this file, and it is not what it was"
            yield Loosening(place=file.relative_to(root).as_posix(), what=what)


def list_changed_cassettes(
    old: Sequence[Golden], revision: Revision, settings: Settings, then: Settings
) -> Iterator[Loosening]:
    """
    Yield recorded responses of old cases that were edited or added, if this run would replay them.

    Args:
        then: The settings of the revision, whose folders count as well.
    """
    if settings.record == "all":
        return
    for item in (*cases_by_id(*old), CANARY):
        for folder in sorted({then.cassettes, settings.cassettes}):
            path = cassette_path(PurePosixPath(folder), item).as_posix()
            file = settings.path(path)
            changed = file.is_file() and is_new_or_changed(revision, file)
            if changed and (what := _describe_calls(revision.read(path), file)):
                yield Loosening(place=path, case=item, what=what)
    command = ["diff-tree", "-r", "-z", "--name-only", "--relative", revision.commit, "HEAD", "--"]
    for place in sorted({then.home, settings.home}):
        inside = not PurePosixPath(place).is_absolute() and ".." not in PurePosixPath(place).parts
        if names := inside and run_git([*command, place], revision.root).strip("\0"):
            shown = name_some(names.split("\0"), _NAMED)
            what = f"the working folder is not for git, and what was committed to it is replayed: {shown}"
            yield Loosening(place=place, what=what)


def list_moved_root(revision: Revision, root: Path) -> Iterator[Loosening]:
    """Yield a settings file that makes its folder the project's root, if settings and baseline were above."""
    new = [name for name in INI_FILES if (root / name).is_file()]
    top = Path(run_git(["rev-parse", "--show-toplevel"], root))
    if not new or root == top or any(revision.read(name) is not None for name in INI_FILES):
        return
    if not run_git(["ls-tree", revision.commit, "--", "."], root):  # the folder itself is new
        return
    above = replace(revision, root=top)
    files = ((folder / name).as_posix() for folder in root.relative_to(top).parents for name in INI_FILES)
    if former := next((path for path in files if above.read(path) is not None), None):
        what = f"this file makes its folder the project's root, which was that of {former}"
        yield Loosening(place=new[0], what=what)


def _describe_calls(old: bytes | None, file: Path) -> str:
    try:
        before = parse_calls(file, old.decode("utf-8")) if old is not None else {}
        after = parse_calls(file, file.read_text(encoding="utf-8"))
    except (CassetteError, OSError, ValueError):
        return "the recorded calls are not what they were, and cannot be compared"
    edited = sum(place in before and before[place] != call for place, call in after.items())
    added = sum(place not in before for place in after)
    counts = [f"{count} {word}" for count, word in ((edited, "edited"), (added, "new")) if count]
    return f"recorded responses that this run would replay: {' and '.join(counts)}" if counts else ""


def _is_relative(text: str) -> bool:
    """The text can be the path of a file in the project, as most options cannot."""
    path = Path(text)
    return text.isprintable() and bool(path.suffix) and not path.is_absolute() and ".." not in path.parts

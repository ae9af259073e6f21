"""Files besides golden files that verdicts rest on, and that a change edited."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.merge_base.moves import find_renamed
from pytest_llmops.ini_files import INI_FILES
from pytest_llmops.judges.rubric_file import DEFAULT, own_rubrics
from pytest_llmops.metrics.sources import Place, find_places, read_code, same_code
from pytest_llmops.printable import name_some, printable
from pytest_llmops.prompts.files import find_prompts, normalise
from pytest_llmops.prompts.lock import check_prompts, locked_prompts
from pytest_llmops.records import Check, Golden, SuiteCheck
from pytest_llmops.registry import create_metric
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.loosening import Loosening, digest_of
from pytest_llmops.revision.revision import Revision

_NAMED = 3


def is_changed(revision: Revision, path: str) -> bool:
    """Return whether a file was there and is not the same now."""
    old, file = revision.read(path), revision.root / path
    return old is not None and (not file.is_file() or not _is_same(file, old))


def is_new_or_changed(revision: Revision, path: Path) -> bool:
    """Return whether a file of the project is not as it was, or was not there."""
    old = revision.read(path.relative_to(revision.root).as_posix())
    return old is None or not _is_same(path, old)


def _is_same(file: Path, old: bytes) -> bool:
    """Git may check a file out with other line ends; of Python code only what it does counts."""
    new = file.read_bytes()
    return normalise(new) == normalise(old) or (file.suffix == ".py" and same_code(new, old))


def list_changed_options(old: Sequence[Golden], revision: Revision) -> Iterator[Loosening]:
    """
    Yield changed files that options of old checks named, or old golden files: a rubric, a schema, anchors.

    An option is taken for a file's path where there was such a file, and for the name of a rubric where the
    project had or has one of that name, which is read before a built-in one.
    """
    named, rubrics = find_option_files(old)
    changed = {path for path in named if is_changed(revision, path)}
    for path in rubrics:
        file = revision.root / path
        if is_new_or_changed(revision, file) if file.is_file() else revision.read(path) is not None:
            changed.add(path)
    what = "checks rest on this file, and it is not what it was"
    for path in sorted(changed):
        file = revision.root / path
        digest = digest_of(file.read_bytes()) if file.is_file() else ""
        yield Loosening(place=path, what=what, digest=digest)


def find_option_files(goldens: Sequence[Golden]) -> tuple[set[str], set[str]]:
    """Return what may be files of the project that checks name by options, and what may be rubrics of it."""
    options = (check.options for check in list_checks(goldens))
    texts = {value for given in options for value in given.values() if isinstance(value, str)}
    texts |= {golden.anchors for golden in goldens if golden.anchors}
    rubrics = {path for text in {*texts, DEFAULT} for path in own_rubrics(text)}
    return set(filter(_is_relative, texts)), set(filter(_is_relative, rubrics))


def list_checks(goldens: Sequence[Golden]) -> Iterator[Check | SuiteCheck]:
    """Yield the checks of suites and cases."""
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
            digest = digest_of((root / broken.file).read_bytes()) if (root / broken.file).is_file() else ""
            yield Loosening(place="prompts.lock", what=what, digest=digest)


def list_changed_metrics(old: Sequence[Golden], revision: Revision, root: Path) -> Iterator[Loosening]:
    """Yield files of the project by which metrics that old golden files check score in another way."""
    metrics = defaultdict[tuple[Place, ...], set[str]](set)
    for check in list_checks(old):
        with suppress(LLMOpsError):  # it is gone, and listed for its golden file
            if places := find_places(create_metric(check.metric, check.options)):
                metrics[places].add(printable(check.metric))
    if not metrics:
        return
    top, renamed, read = revision.top, find_renamed(revision), cache(revision.read_anywhere)
    changed = defaultdict[Path, set[str]](set)
    for places, names in metrics.items():
        former = []
        for file, name in places:
            inside = file.relative_to(top).as_posix() if file.is_relative_to(top) else ""
            is_moved = inside in renamed and read(file) is None
            former.append(Place(top / renamed[inside] if is_moved else file, name))
        then, now = read_code(former, read), read_code(places)
        if then.digest == now.digest:
            continue
        parts = {*then.parts.values()}
        files = [file for file, part in now.parts.items() if part not in parts]
        for file in files or [place.file for place in places]:
            changed[file] |= names
    for file, names in sorted(changed.items()):
        shown = name_some(sorted(names), _NAMED)
        what = f"scores of {shown} are made by this file, and it is not what it was"
        place = PurePath(os.path.relpath(file, root)).as_posix()
        digest = digest_of(file.read_bytes())
        yield Loosening(place=place, what=what, digest=digest, metric=" ".join(sorted(names)))


def list_moved_root(revision: Revision, root: Path) -> Iterator[Loosening]:
    """Yield a settings file that makes its folder the project's root, if settings and baseline were above."""
    new = [name for name in INI_FILES if (root / name).is_file()]
    top = revision.top
    if not new or root == top or any(revision.read(name) is not None for name in INI_FILES):
        return
    if not run_git(["ls-tree", revision.commit, "--", "."], root):  # the folder itself is new
        return
    above = replace(revision, root=top)
    files = ((folder / name).as_posix() for folder in root.relative_to(top).parents for name in INI_FILES)
    if former := next((path for path in files if above.read(path) is not None), None):
        what = f"this file makes its folder the project's root, which was that of {former}"
        yield Loosening(place=new[0], what=what, digest=digest_of((root / new[0]).read_bytes()))


def _is_relative(text: str) -> bool:
    """The text can be the path of a file in the project, as most options cannot."""
    path = Path(text)
    return text.isprintable() and bool(path.suffix) and not path.is_absolute() and ".." not in path.parts

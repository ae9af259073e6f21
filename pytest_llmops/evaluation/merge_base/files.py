"""Files other than golden files that verdicts rest on, and whether a change edited them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pytest_llmops.errors import CassetteError, LLMOpsError
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.ini_files import INI_FILES
from pytest_llmops.judges.injection.undecided import CANARY
from pytest_llmops.judges.rubric_file import DEFAULT, own_rubrics
from pytest_llmops.metrics.sources import source_files
from pytest_llmops.printable import name_some, printable
from pytest_llmops.prompts.files import find_prompts, normalise
from pytest_llmops.prompts.lock import locked_prompts
from pytest_llmops.prompts.rules import check_prompts
from pytest_llmops.recorder.cassettes.cassette import cassette_path, parse_calls
from pytest_llmops.records import Golden
from pytest_llmops.registry import create_metric
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.revision.revision import Revision
from pytest_llmops.settings import Settings

_NAMED = 3


def is_changed(revision: Revision, path: str) -> bool:
    """
    Whether a file was there and is not the same now.

    Line ends do not count: git may check a file out with others.
    """
    was = revision.read(path)
    now = revision.root / path
    return was is not None and (not now.is_file() or normalise(now.read_bytes()) != normalise(was))


def is_new_or_changed(revision: Revision, path: Path) -> bool:
    """Whether a file of the project is not as it was, or was not there."""
    relative = path.relative_to(revision.root).as_posix()
    was = revision.read(relative)
    return was is None or normalise(path.read_bytes()) != normalise(was)


def list_changed_options(old: Sequence[Golden], revision: Revision) -> Iterator[Loosening]:
    """
    Files that the options of checks named then and that are not the same now: a rubric, a schema.

    An option is taken for a file's path where such a file was there, and for the name of a rubric where one
    of the project's was there or is now: it is read before one of ours.
    """
    checks = [check for golden in old for case in golden.cases for check in case.checks]
    options = [*(each.options for each in checks), *(each.options for golden in old for each in golden.suite)]
    texts = {value for each in options for value in each.values() if isinstance(value, str)}
    changed = {text for text in texts if _is_relative(text) and is_changed(revision, text)}
    own = {path for text in {*texts, DEFAULT} for path in own_rubrics(text) if _is_relative(path)}
    present = {path for path in own if (revision.root / path).is_file()}
    changed |= {path for path in own - present if revision.read(path) is not None}
    changed |= {path for path in present if is_new_or_changed(revision, revision.root / path)}
    what = "checks rest on this file, and it is not what it was"
    yield from (Loosening(place=path, what=what) for path in sorted(changed))


def list_broken_promises(paths: Iterable[str], folder: Path, root: Path) -> Iterator[Loosening]:
    """
    Prompts that changed against the lock of the revision in a way that a new lock would hide.

    Args:
        folder: Where the files of the revision lie.
    """
    paths = sorted(paths)
    locked = locked_prompts([path for path in paths if (folder / path).exists()], folder)
    found = find_prompts([path for path in paths if (root / path).exists()], root) if locked else ()
    for each in check_prompts(locked, found):
        if each.hidden_by_lock:
            what = printable(f"{each.file}: {each.name}: {each.reason}")
            yield Loosening(place="prompts.lock", what=what)


def list_changed_metrics(old: Sequence[Golden], revision: Revision, root: Path) -> Iterator[Loosening]:
    """Files of the project that make the scores of metrics which golden files checked then."""
    checks = [check for golden in old for case in golden.cases for check in case.checks]
    checks += [check for golden in old for check in golden.suite]  # type: ignore[misc]  # a name and options
    files: dict[Path, set[str]] = {}
    for check in checks:
        with suppress(LLMOpsError):  # it is gone, of which its golden file speaks
            for file in source_files(create_metric(check.metric, check.options)):
                files.setdefault(file, set()).add(check.metric)
    for file, names in sorted(files.items()):
        if file.is_relative_to(root) and is_new_or_changed(revision, file):
            shown = name_some([printable(name) for name in sorted(names)], _NAMED)
            what = f"scores of {shown} are made by this file, and it is not what it was"
            yield Loosening(place=file.relative_to(root).as_posix(), what=what)


def list_changed_cassettes(
    old: Sequence[Golden], revision: Revision, settings: Settings, then: Settings
) -> Iterator[Loosening]:
    """
    Recorded responses of old cases that were edited or added, where this run would replay them.

    Args:
        then: The settings of the revision, whose folders count as well.
    """
    if settings.record == "all":
        return
    committed = {then.cassettes, settings.cassettes}
    for item in (*cases_by_id(*old), CANARY):
        for folder in sorted(committed):
            path = cassette_path(PurePosixPath(folder), item).as_posix()
            file = settings.path(path)
            changed = file.is_file() and is_new_or_changed(revision, file)
            if changed and (what := _describe_calls(revision.read(path), file)):
                yield Loosening(place=path, case=item, what=what)
    for place in sorted({then.home, settings.home}):
        if names := _committed_since(revision, place):
            shown = name_some(names, _NAMED)
            what = f"the working folder is not for git, and what was committed to it is replayed: {shown}"
            yield Loosening(place=place, what=what)


def list_moved_root(revision: Revision, root: Path) -> Iterator[Loosening]:
    """A settings file that makes a folder the project's root, whose settings and baseline were further up."""
    new = [name for name in INI_FILES if (root / name).is_file()]
    top = Path(run_git(["rev-parse", "--show-toplevel"], root))
    if not new or root == top or any(revision.read(name) is not None for name in INI_FILES):
        return
    if not run_git(["ls-tree", revision.commit, "--", "."], root):  # the folder itself is new
        return
    above = Revision(ref=revision.ref, commit=revision.commit, target=revision.target, root=top)
    was = [(each / name).as_posix() for each in root.relative_to(top).parents for name in INI_FILES]
    if found := [path for path in was if above.read(path) is not None]:
        what = f"this file makes its folder the project's root, which was that of {found[0]}"
        yield Loosening(place=new[0], what=what)


def _describe_calls(was: bytes | None, file: Path) -> str:
    try:
        before = parse_calls(file, was.decode("utf-8")) if was is not None else {}
        after = parse_calls(file, file.read_text(encoding="utf-8"))
    except (CassetteError, OSError, ValueError):
        return "the recorded calls are not what they were, and cannot be compared"
    edited = sum(place in before and before[place] != call for place, call in after.items())
    added = sum(place not in before for place in after)
    counts = [f"{count} {word}" for count, word in ((edited, "edited"), (added, "new")) if count]
    return f"recorded responses that this run would replay: {' and '.join(counts)}" if counts else ""


def _committed_since(revision: Revision, place: str) -> list[str]:
    """Files below a folder that commits of the change touched."""
    if not _is_inside(place):
        return []
    command = ["diff-tree", "-r", "-z", "--name-only", "--relative", revision.commit, "HEAD", "--", place]
    return list(filter(None, run_git(command, revision.root).split("\0")))


def _is_inside(path: str) -> bool:
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _is_relative(text: str) -> bool:
    """Whether a text can be the path of a file in the project; most options are no path at all."""
    path = Path(text)
    return text.isprintable() and bool(path.suffix) and not path.is_absolute() and ".." not in path.parts

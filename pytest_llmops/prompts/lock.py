"""
`prompts.lock`: what each prompt was when its version was last settled, one line a prompt.

Its JSON Schema is `lock.schema.json` beside this module. It lies in the folder whose prompts it locks and is
found from any path below that folder.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.json_text import parse_json, read_bytes
from pytest_llmops.documents.record_reader import read_version, reader_of
from pytest_llmops.documents.value_readers import BrokenValueError, refuse_twice
from pytest_llmops.errors import Problem, PromptError
from pytest_llmops.printable import printable
from pytest_llmops.prompts.files import Prompt, Version, parse_version, path_from_root

LOCK_NAME = "prompts.lock"
VERSION = 1

_REMEDY = "Restore it from version control, or delete it and run: llmops prompts lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    version: Any
    prompts: tuple[Prompt, ...]


def find_lock(path: str, root: Path) -> Path:
    """
    Where the lock of a file's or folder's prompts lies, or would be written.

    It is the nearest one upwards, not above `root`; where there is none, it belongs into the folder itself
    or beside the file.
    """
    from_root = PurePosixPath(path_from_root(path, root))
    folders = [root / folder for folder in (from_root, *from_root.parents)]
    start = folders[0] if folders[0].is_dir() else folders[0].parent
    locks = [folder / LOCK_NAME for folder in folders]
    return next((lock for lock in locks if lock.exists()), start / LOCK_NAME)


def locked_prompts(paths: Iterable[str], root: Path) -> tuple[Prompt, ...]:
    """
    What the locks hold of the prompts in and below these paths, whether they still exist or not, by path.

    Raises:
        PromptError: A lock is broken or of another version.
    """
    prompts: dict[str, Prompt] = {}
    for path in _outermost(paths, root):
        for prompt in load_lock(find_lock(path, root), root):
            if _is_in(prompt.path, path):
                prompts[prompt.path] = prompt
    return tuple(prompt for _, prompt in sorted(prompts.items()))


def load_lock(lock: Path, root: Path) -> tuple[Prompt, ...]:
    """
    The prompts of one lock, with their paths from `root`; none where there is no such file.

    Raises:
        PromptError: It cannot be read, is no lock, or is of another version.
    """
    from_root = path_from_root(str(lock), root)
    try:
        prompts = read_bytes(lock.read_bytes(), _parse, LOCK_NAME)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _broken(from_root, f"cannot be read: {error.strerror}") from None
    except BrokenValueError as error:
        raise _broken(from_root, str(error)) from None
    folder = PurePosixPath(from_root).parent
    return tuple(replace(each, path=(folder / each.path).as_posix()) for each in prompts)


def lock_prompts(paths: Iterable[str], root: Path, prompts: Iterable[Prompt]) -> tuple[Path, ...]:
    """
    Write what was found at these paths to their locks, keeping what a lock holds beside them.

    Returns:
        The locks that changed. Each is written whole or not at all.

    Raises:
        PromptError: A lock that is there cannot be read; nothing is written then.
    """
    prompts = tuple(prompts)
    entries: dict[Path, dict[str, Prompt]] = {}
    chosen: dict[Path, list[str]] = defaultdict(list)
    for path in _outermost(paths, root):
        chosen[find_lock(path, root)].append(path)
    for lock, inside in chosen.items():
        kept = [each for each in load_lock(lock, root) if not any(_is_in(each.path, path) for path in inside)]
        new = [each for each in prompts if any(_is_in(each.path, path) for path in inside)]
        entries[lock] = {each.path: each for each in (*kept, *new)}
    return tuple(
        lock
        for lock, held in entries.items()
        if _replace(lock, _encode(held, path_from_root(str(lock.parent), root)))
    )


def _outermost(paths: Iterable[str], root: Path) -> list[str]:
    """The paths from the root, without those that lie in another of them."""
    from_root = list(dict.fromkeys(path_from_root(path, root) for path in paths))
    return [
        path for path in from_root if not any(path != other and _is_in(path, other) for other in from_root)
    ]


def _is_in(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def _encode(held: dict[str, Prompt], folder: str) -> bytes:
    """ASCII, so that nothing in a name is unseen in a diff."""
    lines = []
    for path, prompt in sorted(held.items()):
        entry = replace(prompt, path=PurePosixPath(path).relative_to(folder).as_posix())
        lines.append("  " + json.dumps(asdict(entry)))
    inside = "\n" + ",\n".join(lines) + "\n " if lines else ""
    return f'{{\n "version": {VERSION},\n "prompts": [{inside}]\n}}\n'.encode()


def _replace(lock: Path, data: bytes) -> bool:
    """Whether there was anything to write."""
    if lock.is_file() and lock.read_bytes() == data:
        return False
    write_atomically(lock, data)
    return True


def _parse(text: str) -> tuple[Prompt, ...]:
    lock: _Lock = reader_of(_Lock)(read_version(parse_json(text), VERSION, LOCK_NAME))
    refuse_twice((each.path for each in lock.prompts), "prompts", "path")
    return lock.prompts


def _broken(from_root: str, said: str) -> PromptError:
    return PromptError([Problem(path=printable(from_root), line=0, message=f"{said}. {_REMEDY}")])


What = Literal[
    "content", "backwards", "version removed", "tool removed", "output", "kind",
    "unversioned", "unlocked", "new", "gone", "renamed",
]  # fmt: skip

_LOCK = "Run: llmops prompts lock"
_PENDING = ("unversioned", "unlocked", "new", "gone", "renamed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFinding:
    """
    One difference between a prompt and its lock.

    Attributes:
        file: From the project's root.
        name: Of the prompt.
        what: The rule, in a word or two; `unlocked` is a change that keeps every rule.
        reason: What is wrong, without file and name.
        remedy: What to do, as a sentence.
    """

    file: str
    name: str
    what: What
    reason: str
    remedy: str

    @property
    def red(self) -> bool:
        """Whether a check fails for it: for all but a change that keeps the rules."""
        return self.what != "unlocked"

    @property
    def hidden_by_lock(self) -> bool:
        """Whether a new lock would hide that a version's promise was broken."""
        return self.what not in _PENDING


def check_prompts(locked: Iterable[Prompt], current: Iterable[Prompt]) -> tuple[PromptFinding, ...]:
    """
    What the rules say of the prompts that were found, by file.

    Args:
        locked: An earlier state: of the lock, or prompts found in another revision.
        current: The present state of the same paths.
    """
    before = {prompt.path: prompt for prompt in locked}
    after = {prompt.path: prompt for prompt in current}
    pairs = [(before.pop(path), after.pop(path)) for path in sorted(before.keys() & after.keys())]
    pairs += _renamed(before, after)
    findings = [finding for old, new in pairs for finding in _compare(old, new)]
    findings += [_finding(new, "new", "is not in the lock", _LOCK) for new in after.values()]
    findings += [
        _finding(old, "gone", "is in the lock, and the file is gone", f"Restore it, or r{_LOCK[1:]}")
        for old in before.values()
    ]
    return tuple(sorted(findings, key=lambda finding: (finding.file, finding.what)))


def _renamed(before: dict[str, Prompt], after: dict[str, Prompt]) -> Iterator[tuple[Prompt, Prompt]]:
    """Pairs of one content, then of one name, at two paths; takes them out of both."""
    keys: tuple[Callable[[Prompt], str], ...] = (lambda each: each.sha256, lambda each: each.name)
    for key in keys:
        for path, old in sorted(before.items()):
            new = next((each for _, each in sorted(after.items()) if key(each) == key(old)), None)
            if new is not None:
                del before[path], after[new.path]
                yield old, new


def _compare(old: Prompt, new: Prompt) -> list[PromptFinding]:
    findings = [*_broken_promises(old, new)]
    if new.path != old.path:
        findings.append(_finding(new, "renamed", f"was {printable(old.path)}", _LOCK))
    if old.version is None and new.version is None and new.sha256 != old.sha256:
        said = "changed, and it has no version that could say so"
        findings.append(_finding(new, "unversioned", said, f"Give it a version, or r{_LOCK[1:]}"))
    if not findings and new != old:
        said = "differs from what the lock says of it"
        if new.version != old.version:
            said = f"is {new.version}, and the lock holds {old.version or 'no version'}"
        findings.append(_finding(new, "unlocked", said, _LOCK))
    return findings


def _broken_promises(old: Prompt, new: Prompt) -> Iterator[PromptFinding]:
    """Only a prompt that had a version has promised anything."""
    if old.version is None:
        return
    was, now = _numbers(old.version), new.version and _numbers(new.version)
    if not now:
        yield _finding(
            new, "version removed", f"had version {old.version} and has none", "Give it a higher one"
        )
    elif now < was:
        said = f"the version went back from {old.version} to {new.version}"
        yield _finding(new, "backwards", said, f"Set it to {_raised(was)} or above")
    elif now == was and new.sha256 != old.sha256:
        said = f"the content changed, and the version is still {new.version}"
        yield _finding(new, "content", said, f"Raise it to {_raised(was)} or above")
    if now and now[0] > was[0]:
        return
    remedy = f"Raise the version to {was[0] + 1}.0.0"
    for tool in old.tools:
        if tool not in new.tools:
            said = f"the tool {printable(tool)} was removed without a new major version"
            yield _finding(new, "tool removed", said, remedy)
    if old.output and new.output != old.output:
        how = "changed" if new.output else "removed"
        yield _finding(new, "output", f"the output format was {how} without a new major version", remedy)
    if old.kind and new.kind != old.kind:
        said = f"the kind changed from {old.kind} to {new.kind or 'none'} without a new major version"
        yield _finding(new, "kind", said, remedy)


def _finding(prompt: Prompt, what: What, reason: str, remedy: str) -> PromptFinding:
    return PromptFinding(file=prompt.path, name=prompt.name, what=what, reason=reason, remedy=remedy)


def _numbers(version: str) -> Version:
    numbers = parse_version(version)
    if numbers is None:
        raise ValueError(f"a prompt cannot have version {version!r}")
    return numbers


def _raised(version: Version) -> str:
    return f"{version[0]}.{version[1]}.{version[2] + 1}"

"""
`prompts.lock`: the state of each prompt at its last version, one line a prompt, and the rules for changes.

Its JSON Schema is `lock.schema.json` in this folder. A lock lies in the folder whose prompts it locks and is
found from any path below that folder.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import read_version, reader_of, refuse_twice
from pytest_llmops.errors import PromptError
from pytest_llmops.printable import printable
from pytest_llmops.prompts.files import Prompt, Version, parse_version, path_from_root

LOCK_NAME = "prompts.lock"
VERSION = 1

_FILE = KeptFile(
    name=LOCK_NAME,
    error=lambda message: PromptError([message]),
    remedy="Restore it from version control, or delete it and run: llmops prompts lock",
)
What = Literal[
    "content", "backwards", "version removed", "tool removed", "output", "kind",
    "unversioned", "unlocked", "new", "gone", "renamed",
]  # fmt: skip
_LOCK = "Run: llmops prompts lock"
_PENDING = ("unversioned", "unlocked", "new", "gone", "renamed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    version: Any
    prompts: tuple[Prompt, ...]


def find_lock(path: str, root: Path) -> Path:
    """
    Find the lock of a file's or folder's prompts, or the path for a new one.

    It is the nearest one upwards, not above `root`; a new one belongs into the folder itself, or into that of
    the file.
    """
    from_root = PurePosixPath(path_from_root(path, root))
    folders = [root / folder for folder in (from_root, *from_root.parents)]
    start = folders[0] if folders[0].is_dir() else folders[0].parent
    locks = [folder / LOCK_NAME for folder in folders]
    return next((lock for lock in locks if lock.exists()), start / LOCK_NAME)


def locked_prompts(paths: Iterable[str], root: Path) -> tuple[Prompt, ...]:
    """Read the locked state of all prompts in and below these paths, even of deleted ones, sorted by path."""
    prompts: dict[str, Prompt] = {}
    for path in _outermost(paths, root):
        for prompt in load_lock(find_lock(path, root), root):
            if _is_in(prompt.path, path):
                prompts[prompt.path] = prompt
    return tuple(prompt for _, prompt in sorted(prompts.items()))


def load_lock(lock: Path, root: Path) -> tuple[Prompt, ...]:
    """Read the prompts of one lock, with their paths from `root`; none where there is no such file."""
    from_root = path_from_root(str(lock), root)
    shown = printable(from_root)
    data = _FILE.find(lock, shown)
    prompts = () if data is None else _FILE.parse(data, shown, _parse)
    folder = PurePosixPath(from_root).parent
    return tuple(replace(prompt, path=(folder / prompt.path).as_posix()) for prompt in prompts)


def lock_prompts(paths: Iterable[str], root: Path, prompts: Iterable[Prompt]) -> tuple[Path, ...]:
    """
    Write the prompts at these paths to their locks, and keep a lock's other prompts.

    Returns:
        The locks that changed. Each is written completely or not at all.

    Raises:
        PromptError: A lock cannot be read; nothing is written then.
    """
    prompts = tuple(prompts)
    entries: dict[Path, dict[str, Prompt]] = {}
    chosen: dict[Path, list[str]] = defaultdict(list)
    for path in _outermost(paths, root):
        chosen[find_lock(path, root)].append(path)
    for lock, inside in chosen.items():

        def is_chosen(prompt: Prompt, inside: Sequence[str] = inside) -> bool:
            return any(_is_in(prompt.path, path) for path in inside)

        kept = [prompt for prompt in load_lock(lock, root) if not is_chosen(prompt)]
        entries[lock] = {prompt.path: prompt for prompt in (*kept, *filter(is_chosen, prompts))}
    contents = {
        lock: _encode(locked, path_from_root(str(lock.parent), root)) for lock, locked in entries.items()
    }
    changed = [lock for lock, data in contents.items() if not (lock.is_file() and lock.read_bytes() == data)]
    for lock in changed:
        write_atomically(lock, contents[lock])
    return tuple(changed)


def _outermost(paths: Iterable[str], root: Path) -> list[str]:
    """The paths from the root, without those that lie in another of them."""
    from_root = list(dict.fromkeys(path_from_root(path, root) for path in paths))
    return [
        path for path in from_root if not any(path != other and _is_in(path, other) for other in from_root)
    ]


def _is_in(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def _encode(locked: dict[str, Prompt], folder: str) -> bytes:
    """The contents of a lock as ASCII, so that a diff shows every character of a name."""
    lines = []
    for path, prompt in sorted(locked.items()):
        entry = replace(prompt, path=PurePosixPath(path).relative_to(folder).as_posix())
        lines.append("  " + json.dumps(asdict(entry)))
    inside = "\n" + ",\n".join(lines) + "\n " if lines else ""
    return f'{{\n "version": {VERSION},\n "prompts": [{inside}]\n}}\n'.encode()


def _parse(text: str) -> tuple[Prompt, ...]:
    lock: _Lock = reader_of(_Lock)(read_version(parse_json(text), VERSION, LOCK_NAME))
    refuse_twice((prompt.path for prompt in lock.prompts), "prompts", "path")
    return lock.prompts


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFinding:
    """
    One difference between a prompt and its lock.

    Attributes:
        file: From the project's root.
        name: Of the prompt.
        what: The rule, in a word or two; `unlocked` is a change that keeps every rule.
        reason: The fault, without file and name.
        remedy: The advice, as a sentence.
    """

    file: str
    name: str
    what: What
    reason: str
    remedy: str

    @property
    def red(self) -> bool:
        """True for all but a change that keeps the rules; a check fails for it."""
        return self.what != "unlocked"

    @property
    def hidden_by_lock(self) -> bool:
        """True if a new lock would hide that a version's promise was broken."""
        return self.what not in _PENDING


def check_prompts(locked: Iterable[Prompt], current: Iterable[Prompt]) -> tuple[PromptFinding, ...]:
    """
    Check the prompts by the rules; the findings are sorted by file.

    Args:
        locked: An earlier state: of the lock, or the prompts of another revision.
        current: The present state of the same paths.
    """
    before = {prompt.path: prompt for prompt in locked}
    after = {prompt.path: prompt for prompt in current}
    pairs = [(before.pop(path), after.pop(path)) for path in sorted(before.keys() & after.keys())]
    pairs += _pair_renamed(before, after)
    findings = [finding for old, new in pairs for finding in _compare(old, new)]
    findings += [_finding(new, "new", "is not in the lock", _LOCK) for new in after.values()]
    findings += [
        _finding(old, "gone", "is in the lock, and the file is gone", f"Restore it, or r{_LOCK[1:]}")
        for old in before.values()
    ]
    return tuple(sorted(findings, key=lambda finding: (finding.file, finding.what)))


def _pair_renamed(before: dict[str, Prompt], after: dict[str, Prompt]) -> Iterator[tuple[Prompt, Prompt]]:
    """Pair prompts of one content, then of one name, at two paths; takes them out of both."""
    keys: tuple[Callable[[Prompt], str], ...] = (attrgetter("sha256"), attrgetter("name"))
    for key in keys:
        for path, old in sorted(before.items()):
            new = next((prompt for _, prompt in sorted(after.items()) if key(prompt) == key(old)), None)
            if new is not None:
                del before[path], after[new.path]
                yield old, new


def _compare(old: Prompt, new: Prompt) -> list[PromptFinding]:
    findings = [*_broken_promises(old, new)]
    if new.path != old.path:
        findings.append(_finding(new, "renamed", f"was {printable(old.path)}", _LOCK))
    if old.version is None and new.version is None and new.sha256 != old.sha256:
        reason = "changed, and has no version that would show it"
        findings.append(_finding(new, "unversioned", reason, f"Give it a version, or r{_LOCK[1:]}"))
    if not findings and new != old:
        reason = "differs from its state in the lock"
        if new.version != old.version:
            reason = f"is {new.version}, and the lock holds {old.version or 'no version'}"
        findings.append(_finding(new, "unlocked", reason, _LOCK))
    return findings


def _broken_promises(old: Prompt, new: Prompt) -> Iterator[PromptFinding]:
    """Compare with the promises of the old version; without one there are none."""
    if old.version is None:
        return
    before, after = _numbers(old.version), new.version and _numbers(new.version)
    if not after:
        yield _finding(
            new, "version removed", f"had version {old.version} and has none", "Give it a higher one"
        )
    elif after < before:
        reason = f"the version went back from {old.version} to {new.version}"
        yield _finding(new, "backwards", reason, f"Set it to {_raise_patch(before)} or above")
    elif after == before and new.sha256 != old.sha256:
        reason = f"the content changed, and the version is still {new.version}"
        yield _finding(new, "content", reason, f"Raise it to {_raise_patch(before)} or above")
    if after and after[0] > before[0]:
        return
    remedy = f"Raise the version to {before[0] + 1}.0.0"
    for tool in old.tools:
        if tool not in new.tools:
            reason = f"the tool {printable(tool)} was removed without a new major version"
            yield _finding(new, "tool removed", reason, remedy)
    if old.output and new.output != old.output:
        change = "changed" if new.output else "removed"
        yield _finding(new, "output", f"the output format was {change} without a new major version", remedy)
    if old.kind and new.kind != old.kind:
        reason = f"the kind changed from {old.kind} to {new.kind or 'none'} without a new major version"
        yield _finding(new, "kind", reason, remedy)


def _finding(prompt: Prompt, what: What, reason: str, remedy: str) -> PromptFinding:
    return PromptFinding(file=prompt.path, name=prompt.name, what=what, reason=reason, remedy=remedy)


def _numbers(version: str) -> Version:
    numbers = parse_version(version)
    if numbers is None:
        raise ValueError(f"a prompt cannot have version {version!r}")
    return numbers


def _raise_patch(version: Version) -> str:
    return f"{version[0]}.{version[1]}.{version[2] + 1}"

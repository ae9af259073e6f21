"""
`prompts.lock`: what each prompt was when its version was last settled, one line a prompt.

Its JSON Schema is `lock.schema.json` beside this module. It lies in the folder whose prompts it locks and is
found from any path below that folder.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.json_document import parse_json, read_bytes
from pytest_llmops.documents.reading import BrokenValueError, read_version, reader_of, refuse_twice
from pytest_llmops.errors import Problem, PromptError
from pytest_llmops.printable import printable
from pytest_llmops.prompts.files import Prompt, path_from_root

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

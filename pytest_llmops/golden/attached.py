"""
Pictures and tables that a case's input names by path: `input: {text: …, image: …, table: …}`, or its turns.

The case is known by their content too, so that another picture under the same name is another question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_llmops.errors import CaseFileError, hint
from pytest_llmops.golden.files import MAX_BYTES, describe_wrong_path
from pytest_llmops.printable import excerpt
from pytest_llmops.records import Attached, Case, Golden

_KEYS = ("image", "table")
_INPUT = {"text", *_KEYS}
_TURN = {"role", "content", *_INPUT}
_PICTURES = {b"\x89PNG\r\n\x1a\n": 0, b"\xff\xd8\xff": 0, b"GIF8": 0, b"WEBP": 8}


def find_attached(
    written: Any, root: Path, *, past: bool = False
) -> tuple[tuple[Attached, ...], list[tuple[str, str]]]:
    """
    The files that an input names, and what is wrong with others, by key.

    An input with any key but `text`, `image` and `table` is the app's own matter, and names no file. A turn
    of a conversation, which is a list, may have `role` and `content` too.

    Args:
        past: The input is of another revision; a file that cannot be used is none, and nothing wrong.
    """
    attached: list[Attached] = []
    wrong: list[tuple[str, str]] = []
    if not past and (near := _near_miss(written)):
        wrong.append(near)
    for key, path in _paths(written):
        try:
            attached.append(_read(key, path, root))
        except CaseFileError as error:
            if past:
                attached.append(Attached(path=str(path), sha256=""))
            else:
                wrong.append((key, str(error)))
    return tuple(attached), wrong


def paths_to_export(goldens: Iterable[Golden]) -> list[str]:
    """Paths in the project that golden files of a revision name, and that were not found beside them."""
    attached = {each for golden in goldens for case in golden.cases for each in case.attached}
    paths = {each.path for each in attached if not each.sha256}
    return sorted(path for path in paths if path and not describe_wrong_path(path, None))


def input_with_files(case: Case, root: Path) -> Any:
    """
    What the app is called with: the case's input, with absolute paths of its files.

    Raises:
        CaseFileError: A file is not as it was when the golden file was read.
    """
    if not case.attached:
        return case.input
    known = {each.path: each.sha256 for each in case.attached}

    def locate(key: str, path: Any) -> str:
        if _read(key, path, root).sha256 != known.get(path):
            raise CaseFileError(
                f"{key}: {excerpt(path)} has changed since the golden file was read, or the case is of "
                "another branch: run again, or merge that branch first"
            )
        return str((root / path).absolute())

    def place(key: str, value: Any) -> Any:
        if key not in _KEYS:
            return value
        return [locate(key, path) for path in value] if isinstance(value, list) else locate(key, value)

    turns = [
        {key: place(key, value) for key, value in turn.items()} if _names_files(turn, keys) else turn
        for turn, keys in _turns(case.input)
    ]
    return turns if isinstance(case.input, list) else turns[0]


def _turns(written: Any) -> list[tuple[Any, set[str]]]:
    """An input, or the turns of one, each with the keys beside which it may name files."""
    return [(turn, _TURN) for turn in written] if isinstance(written, list) else [(written, _INPUT)]


def _names_files(turn: Any, keys: set[str]) -> bool:
    return isinstance(turn, Mapping) and set(turn) <= keys


def _near_miss(written: Any) -> tuple[str, str] | None:
    """A key beside a file's that is nearly another one's, with which no file would be read."""
    for turn, keys in _turns(written):
        if not isinstance(turn, Mapping) or not set(_KEYS) & set(turn):
            continue
        for key in map(str, sorted(set(turn) - keys, key=str)):
            if near := hint(key.casefold(), keys):
                return key, f"unknown key {excerpt(key)} beside a file.{near} No file is read with it."
    return None


def _paths(written: Any) -> Iterator[tuple[str, Any]]:
    for turn, keys in _turns(written):
        for key in _KEYS:
            if _names_files(turn, keys) and key in turn:
                paths = turn[key] if isinstance(turn[key], list) and turn[key] else [turn[key]]
                yield from ((key, path) for path in paths)


def _read(key: str, path: Any, root: Path) -> Attached:
    if not isinstance(path, str) or not path:
        raise CaseFileError(f"{key} must be the path of a file, not {excerpt(path)}")
    if wrong := describe_wrong_path(path, root):
        raise CaseFileError(f"{key} must be the path of a file, from the project's root: {wrong}")
    file = root / path
    if not file.is_file():  # a pipe would be waited for
        raise CaseFileError(f"{key}: {excerpt(path)} is no file")
    if not file.resolve().is_relative_to(root.resolve()):
        raise CaseFileError(f"{key}: {excerpt(path)} is a link out of the project")
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise CaseFileError(f"{key}: {excerpt(path)} cannot be read: {error.strerror}") from None
    if not raw or len(raw) > MAX_BYTES:
        size = f"larger than {MAX_BYTES // 2**20} MiB" if raw else "empty"
        raise CaseFileError(f"{key}: {excerpt(path)} is {size}")
    if key == "image" and not any(raw[at:].startswith(begin) for begin, at in _PICTURES.items()):
        raise CaseFileError(
            f"{key}: {excerpt(path)} is no picture, by its first bytes: PNG, JPEG, GIF or WebP"
        )
    if key == "table":  # git may check it out with other line ends
        raw = raw.replace(b"\r\n", b"\n")
    return Attached(path=path, sha256=sha256(raw).hexdigest())

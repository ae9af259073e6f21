"""Golden files on disk, and the pictures and tables that their cases name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_llmops.documents.document import SUFFIXES
from pytest_llmops.errors import CaseFileError, GoldenError, Problem, hint
from pytest_llmops.printable import excerpt
from pytest_llmops.records import Attached, Case, Golden

# ruff: noqa: PTH110, PTH112, PTH113, PTH114, PTH208  # os.path returns False where Path raises, for names no system takes


MAX_BYTES = 16 * 2**20
_IN_FOLDERS = (".yaml", ".yml")
_NOT_GOLDEN = {"cassettes", "rubrics"}
_CASSETTE = re.compile(rb"version: \d+\r?\ncase: ")
_BEGINNING = 64  # bytes


def find_golden_files(paths: Iterable[str], root: Path) -> list[Path]:
    """
    Return the golden files that the paths name, absolute, each once, in the order named.

    A folder names the `.yaml` and `.yml` files in it and below it, see `find_in_folder`. JSON files are
    golden files only if named themselves, since baselines, reviews and schemas lie in the same folder.

    Args:
        paths: Files or folders; relative ones start at `root`.

    Raises:
        GoldenError: For each path that does not exist, and each that contains no golden file.
    """
    files: dict[Path, None] = {}
    problems = []
    for written in paths:
        path = Path(os.path.normpath(root.absolute() / written))
        inside = find_in_folder(path) if os.path.isdir(path) else [path]
        wrong = find_missing_path(written, root)
        if not wrong and not inside:
            wrong = "there is no .yaml or .yml file in it or below it; name a .json or .jsonl file itself"
        elif not wrong and inside == [path]:
            wrong = _wrong_suffix(path)
        if wrong:
            problems.append(Problem(path=shown_path(path, root), line=0, message=wrong))
        else:
            files.update(dict.fromkeys(inside))
    if problems:
        raise GoldenError(problems)
    return list(files)


def read_golden_bytes(path: Path, display_path: str) -> bytes:
    """
    Return the bytes of a golden file.

    Raises:
        GoldenError: It is missing, no file, of a wrong name, too large or not readable.
    """
    wrong = find_missing_path(str(path), Path())
    wrong = wrong or (None if os.path.isfile(path) else "not a file") or _wrong_suffix(path)
    raw = b""
    if not wrong:
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            wrong = f"cannot be read: {error.strerror}"
    if len(raw) > MAX_BYTES:
        wrong = f"larger than {MAX_BYTES // 2**20} MiB; split it into several files"
    if wrong:
        raise GoldenError([Problem(path=display_path, line=0, message=wrong)])
    return raw


def find_missing_path(written: str, root: Path) -> str | None:
    """Return the problem of a path at which there is nothing, with the near miss; else None."""
    path = root / written
    if os.path.exists(path):
        return None
    if os.path.lexists(path):
        return "a link to a file that does not exist"
    near = hint(path.name[:255], _names(path.parent))
    return f"no such file or folder{'.' if near else ''}{near}"


def describe_wrong_path(written: str, root: Path | None) -> str | None:
    """Return the problem of a path in the project; without a root, the path need not exist."""
    if os.path.isabs(written) or ".." in Path(written).parts:  # noqa: PTH117  # a text that may be no path
        return f"{excerpt(written)} must lie in the project and start at its root"
    missing = root and find_missing_path(written, root)
    return f"{excerpt(written)}: {missing}" if missing else None


def shown_path(path: Path, root: Path) -> str:
    """Return the path from the root, with forward slashes."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


def find_in_folder(folder: Path) -> list[Path]:
    """
    Return the golden files in a folder and below it: its own first, then those of each folder, by name.

    Every `.yaml` and `.yml` file is one, so that none with a mistake in it is skipped in silence, except
    cassettes, wherever they lie; names that begin with a dot; and folders named `cassettes`, `rubrics` or
    with an underscore in front. Links to folders are not followed.
    """
    files: list[Path] = []
    folders = []
    for name in _names(folder):
        path = folder / name
        if name[0] == ".":
            continue
        if not os.path.isdir(path):
            if name.lower().endswith(_IN_FOLDERS) and not _is_cassette(path):
                files.append(path)
        elif name[0] != "_" and name not in _NOT_GOLDEN and not os.path.islink(path):
            folders.append(path)
    return [*files, *(path for below in folders for path in find_in_folder(below))]


def _is_cassette(path: Path) -> bool:
    """Recognize a cassette by its beginning, which no golden file has: a setting names their folder."""
    try:
        with path.open("rb") as file:
            return _CASSETTE.match(file.read(_BEGINNING)) is not None
    except (OSError, ValueError):
        return False


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (OSError, ValueError):
        return []


def _wrong_suffix(path: Path) -> str | None:
    if path.suffix.lower() in SUFFIXES:
        return None
    return f"not a golden file: its name ends in {path.suffix or 'nothing'!r}, not in {', '.join(SUFFIXES)}"


_KEYS = ("image", "table")
_INPUT = {"text", *_KEYS}
_TURN = {"role", "content", *_INPUT}
_PART_TYPE = re.compile(r"image|file|audio|video")
_PART_PATH = re.compile(r"[^\s:][^\n:]{0,250}\.\w{2,5}")
_PICTURES = {b"\x89PNG\r\n\x1a\n": 0, b"\xff\xd8\xff": 0, b"GIF8": 0, b"WEBP": 8}


def find_attached(
    written: Any, root: Path, *, past: bool = False
) -> tuple[tuple[Attached, ...], list[tuple[str, str]]]:
    """
    Return the files that an input names, `{text: …, image: …, table: …}`, and the problems of others by key.

    An input with any other key belongs to the app, and names no file. The turns of a conversation, which is a
    list, may have `role` and `content` too. The content of the files is part of the case, so that another
    picture under the same name is another question. So is that of the files which parts of messages name,
    `{type: image_url, image_url: {url: photo.png}}`, wherever they are; where there is none, by its path.

    Args:
        past: The input is of another revision; a file that cannot be used is no problem.
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
    attached += [_read_part(path, root) for path in dict.fromkeys(_part_paths(written))]
    return tuple(attached), wrong


def paths_to_export(goldens: Iterable[Golden]) -> list[str]:
    """Return paths in the project that golden files of a revision name, and at which no file was found."""
    goldens = list(goldens)
    attached = {file for golden in goldens for case in golden.cases for file in case.attached}
    paths = {file.path for file in attached if not file.sha256}
    paths |= {golden.table for golden in goldens if golden.table and not golden.cases}
    return sorted(path for path in paths if path and not describe_wrong_path(path, None))


def input_with_files(case: Case, root: Path) -> Any:
    """
    Return the input with which the app is called: the case's, with absolute paths of its files.

    Raises:
        CaseFileError: A file has changed since the golden file was read.
    """
    if not case.attached:
        return case.input
    known = {file.path: file.sha256 for file in case.attached}

    def locate(key: str, value: Any) -> Any:
        if key not in _KEYS:
            return value
        if isinstance(value, list):
            return [locate(key, path) for path in value]
        if _read(key, value, root).sha256 != known.get(value):
            raise CaseFileError(
                f"{key}: {excerpt(value)} has changed since the golden file was read, or the case is of "
                "another branch: run again, or merge that branch first"
            )
        return str((root / value).absolute())

    turns = [
        {key: locate(key, value) for key, value in turn.items()} if _names_files(turn, keys) else turn
        for turn, keys in _turns(case.input)
    ]
    return turns if isinstance(case.input, list) else turns[0]


def _turns(written: Any) -> list[tuple[Any, set[str]]]:
    """The input, or its turns, each with the keys that one which names files may have."""
    return [(turn, _TURN) for turn in written] if isinstance(written, list) else [(written, _INPUT)]


def _names_files(turn: Any, keys: set[str]) -> bool:
    return isinstance(turn, Mapping) and set(turn) <= keys


def _near_miss(written: Any) -> tuple[str, str] | None:
    """An unknown key that is nearly a known one, because of which no file would be read."""
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


def _part_paths(value: Any, *, is_part: bool = False) -> Iterator[str]:
    """Yield the paths of files in parts of messages; a URL is text of the input."""
    if isinstance(value, str):
        if is_part and _PART_PATH.fullmatch(value) and not describe_wrong_path(value, None):
            yield value
    elif isinstance(value, Mapping):
        is_part = is_part or _PART_TYPE.search(str(value.get("type"))) is not None
        for key, item in value.items():
            yield from _part_paths(item, is_part=is_part and key != "type")
    elif isinstance(value, list):
        for item in value:
            yield from _part_paths(item, is_part=is_part)


def _read_part(path: str, root: Path) -> Attached:
    try:
        return _read("part", path, root)
    except CaseFileError:  # the app may look for it elsewhere
        return Attached(path=path, sha256="")


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
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
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

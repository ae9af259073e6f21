"""
Files that the app's own code opens to read: documents, an index, thresholds, settings, weights.

Python reports each opened file to audit hooks, whoever opens it. A hook stays for the life of the process, so
that there is one, which does nothing while nobody watches. Not seen are files that a library opens without
Python's own functions, as SQLite and many vector indexes do, and any that it opens outside the project.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import tempfile
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.recorder.request_settings import is_credential
from pytest_llmops.runner.stamps.app_code import (
    AppCode,
    is_inside,
    is_own,
    mark_changing,
    name_file,
    real_path,
)

# ruff: noqa: PTH100, PTH110, PTH113, PTH116, PTH119, PTH120, PTH122, PTH123  # in an audit hook, which every file that the app opens waits for

_DIGITS = 16
_WRITES = os.O_WRONLY | os.O_RDWR
_SOURCE = (".py", ".pyc")
_NEVER = (".so", ".pyd", ".dylib", ".dll", ".pth", ".egg-link")
_MOST_FRAMES = 200
_MOST_BYTES = 2**28
_MOST_IN_FOLDER = 64
_BINARY_HEAD = 8_192
_EVENTS = frozenset({"open", "os.rename", "sqlite3.connect"})
_KEYS = (".pem", ".key", ".p12", ".pfx", ".jks")
_SNAPSHOT = re.compile(r"models--([^/\\]+)[/\\]snapshots[/\\]([0-9a-f]{7,40})[/\\]")
_ANYBODY = "a thread"
_LIBRARIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
_SYSTEM = tuple(
    f"{folder}{os.sep}"
    for folder in (
        "/bin",
        "/dev",
        "/etc",
        "/lib",
        "/lib64",
        "/proc",
        "/sys",
        "/usr",
        sys.prefix,
        sys.base_prefix,
    )
)
_OUTSIDE = " outside the project"
"""The end of the name of a file that two machines have in different folders."""

_OURS = str(Path(__file__).resolve().parents[2])

_lock = threading.Lock()
_readers: defaultdict[str, set[str]] = defaultdict(set)
"""Path to the project's files whose code opened it; kept for the process, for an app reads a file once."""

_databases: defaultdict[str, set[str]] = defaultdict(set)
"""The same of files that SQLite opened, to read or to write."""

_written: set[str] = set()
_roots: list[str] = []
_hooked = False


def watch(root: Path) -> None:
    """Begin to note what code of this project reads; for each call one of `unwatch`."""
    global _hooked  # noqa: PLW0603 - one hook a process, since none can be removed
    tempfile.gettempdir()
    with _lock:
        _roots.append(os.path.realpath(root))
        if not _hooked:
            _hooked = True
            sys.addaudithook(_hook)


def unwatch(root: Path) -> None:
    with _lock:
        _roots.remove(os.path.realpath(root))


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _roots or event not in _EVENTS:
        return
    try:
        if event == "sqlite3.connect":
            _note_database(os.fsdecode(args[0]))
            return
        if event == "os.rename":  # also the end of an atomic write
            _written.add(os.path.abspath(args[1]))
            return
        path, mode, flags = args
        if isinstance(path, str) and not path.endswith(_NEVER):
            _note(path, mode, flags)
    except Exception:  # noqa: BLE001, S110 - it would come up in the app, at whatever it opens
        pass


def _note(path: str, mode: object, flags: object) -> None:
    path = os.path.abspath(path)
    outside = _is_outside(path)
    if not outside and not _may_count(path):
        return
    if isinstance(mode, str):
        writes = any(mark in mode for mark in "wax+")
    else:
        writes = isinstance(flags, int) and bool(flags & _WRITES)
    if writes:
        _written.add(path)
    elif (reader := _find_reader(direct=outside)) and reader != path:
        _readers[path].add(reader)


def _note_database(name: str) -> None:
    """Note a file of SQLite, which opens it itself; whether it was only read is seen by its time."""
    path = os.path.abspath(urlsplit(name).path if name.startswith("file:") else name)
    if any(is_inside(path, root) for root in _roots) and (reader := _find_reader()):
        _databases[path].add(reader)


def _may_count(path: str) -> bool:
    """Return whether a look at the stack is worth its time: imports alone open thousands of files."""
    if path.endswith(_SOURCE):
        return any(is_own(path, root) for root in _roots)
    inside = any(is_inside(path, root) for root in _roots)
    return inside or "models--" in path or os.path.basename(path).startswith(".env")


def _is_outside(path: str) -> bool:
    """Return whether a file may be data outside the project, and is none of a cache, library or system."""
    if path.startswith(_SYSTEM) or f"{os.sep}." in path or is_library(path) or path.endswith(_SOURCE):
        return False
    if os.path.dirname(path) == tempfile.tempdir:  # whose names are made up; `gettempdir` opens a file itself
        return False
    folders = tuple(f"{root}{os.sep}" for root in _roots)
    return not (path.startswith(folders) or os.path.realpath(path).startswith(folders))


def is_library(path: str) -> bool:
    """Return whether a file is one of an installed package."""
    return any(folder in path for folder in _LIBRARIES)


def _find_reader(*, direct: bool = False) -> str:
    """
    Return the innermost file of the project on the stack; empty where this package or pytest opened the file.

    A thread of a pool, in which a library reads for the app, has neither on its stack: it is anybody's.

    Args:
        direct: Only if nothing but the standard library is between it and the file.
    """
    frame: FrameType | None = sys._getframe(3)  # noqa: SLF001 - documented, and the way of `warnings`
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        file = frame.f_code.co_filename
        if not file.startswith("<"):
            if file.startswith(_OURS):
                return ""
            if any(is_own(file, root) for root in _roots):
                return real_path(file)
            if direct and (is_library(file) or not file.startswith(STDLIB)):
                return ""
        frame = frame.f_back
    if direct:
        return ""
    return "" if threading.current_thread() is threading.main_thread() else _ANYBODY


def imported_by(files: Collection[str], root: Path) -> set[str]:
    """Return sources of the project that code in the files imported by their path, or by a made-up name."""
    imported = set()
    for path in _opened_by(files):
        if path.endswith(_SOURCE):
            source = path
            if path.endswith(".pyc") and "__pycache__" in path:  # pytest's own have a further tag
                folder, name = os.path.split(path)
                stem = name.partition(f".{sys.implementation.cache_tag}")[0]
                source = f"{folder.removesuffix('__pycache__')}{stem}.py"
            if source.endswith(".py") and is_own(source, os.path.realpath(root)) and os.path.exists(source):
                imported.add(os.path.realpath(source))
    return imported


def find_dotenv(files: Collection[str]) -> list[str]:
    """Return the `.env` files that code in the files opened."""
    return sorted(path for path in _opened_by(files) if os.path.basename(path).startswith(".env"))


def stamp_files(code: AppCode, known: Iterable[str], started_s: float) -> dict[str, str]:
    """
    Return `file:PATH` to a digest, and `weights:MODEL` to the revision in a Hugging Face cache.

    Files that the code opened, and those of the project that it names: weights and indexes are opened by
    libraries. Of the latter, one that was written since the start is the app's own state.

    Args:
        known: Files and folders that have stamps already.
        started_s: Of the run, in seconds since the epoch.
    """
    root = code.root
    stamps: dict[str, str] = {}
    outside: defaultdict[str, list[str]] = defaultdict(list)
    top = os.path.realpath(root)
    stamped = [os.path.realpath(root / path) for path in known]
    unsure = {
        path
        for path in (*code.named_files(), *_opened_by(code.facts, _databases))
        if _is_at_rest(path, started_s)
    }
    for path in sorted({*_opened_by(code.facts), *unsure}):
        if match := _SNAPSHOT.search(path):
            stamps[f"weights:{match[1].replace('--', '/')}"] = match[2][:12]
        elif not path.endswith(_SOURCE) and (real := _real_file(path, top, stamped)):
            stamps[f"file:{name_file(real, root)}"] = _digest(real, started_s)
        elif _is_outside(path) and code.facts.keys() & _readers.get(path, set()) and os.path.isfile(path):
            outside[os.path.basename(path)].append(_digest(path, started_s))
    return stamps | {f"file:{name}{_OUTSIDE}": " ".join(sorted(found)) for name, found in outside.items()}


def restamp_file(name: str, stamp: str, root: Path, started_s: float) -> dict[str, str]:
    """Return the stamp of a file by its name, whether the app has read it or not; none where it is gone."""
    path = os.path.realpath(root / name)
    if name.endswith((_OUTSIDE, "/")):
        return {f"file:{name}": stamp}
    return {f"file:{name}": _digest(path, started_s)} if os.path.isfile(path) else {}


def join_folders(stamps: Mapping[str, str]) -> dict[str, str]:
    """Give one stamp, `file:PATH/`, to a folder of which many files were read, by whichever process."""
    by_folder: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, value in stamps.items():
        if name.startswith("file:"):
            by_folder[name.rpartition("/")[0] or "file:."][name] = value
    joined = dict(stamps)
    for folder, files in by_folder.items():
        if len(files) > _MOST_IN_FOLDER:
            text = "\n".join(f"{name} {value}" for name, value in sorted(files.items()))
            joined = {name: value for name, value in joined.items() if name not in files}
            joined[f"{folder}/"] = sha256(text.encode()).hexdigest()[:_DIGITS]
    return joined


def _is_at_rest(path: str, started_s: float) -> bool:
    try:
        return path not in _written and os.stat(path).st_mtime <= started_s
    except OSError:
        return False


def _opened_by(files: Collection[str], noted: Mapping[str, set[str]] = _readers) -> Iterator[str]:
    with _lock:
        opened = [(path, set(readers)) for path, readers in dict(noted).items()]
    own = {*files, _ANYBODY}
    return (path for path, readers in opened if readers & own and path not in _written)


def _real_file(path: str, top: str, stamped: Iterable[str]) -> str:
    """Return the resolved path of a file that needs a stamp; empty for all others."""
    real = os.path.realpath(path)
    if not real.startswith(f"{top}{os.sep}") or not is_own(real, top) or not os.path.isfile(real):
        return ""
    return "" if any(real == place or real.startswith(f"{place}{os.sep}") for place in stamped) else real


def _digest(path: str, started_s: float) -> str:
    """Digest a file; one named as a credential is only read or not, for a short secret could be guessed."""
    stem, suffix = os.path.splitext(os.path.basename(path))
    if suffix in _KEYS or is_credential(stem, ""):
        return "read"
    state = os.stat(path)
    return mark_changing(_hash(path, state.st_size, state.st_mtime_ns), path, started_s)


@lru_cache(maxsize=4_096)
def _hash(path: str, size: int, _modified_ns: int) -> str:
    """Digest a file, with LF as line ends of a text; of one that is too large the size and both ends."""
    digest = sha256()
    with open(path, "rb") as stream:
        if size <= _MOST_BYTES:
            content = stream.read()
            digest.update(content if b"\0" in content[:_BINARY_HEAD] else content.replace(b"\r\n", b"\n"))
        else:
            digest.update(f"{size} ".encode() + stream.read(_BINARY_HEAD))
            stream.seek(-_BINARY_HEAD, os.SEEK_END)
            digest.update(stream.read())
    return digest.hexdigest()[:_DIGITS]

"""Files and folders for one user alone, replaced as a whole, changed by one process at a time."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reference_app.errors import VaultError
from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700
LOCK_TIMEOUT_S = 20.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """
    Make the folder where it is missing, and keep other processes and threads out of the block.

    Raises:
        VaultError: Others may read the folder, or another process keeps the lock.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        check_mode(folder, FOLDER_MODE)
        lock = FileLock(folder / name, timeout=LOCK_TIMEOUT_S, mode=FILE_MODE)
        lock.acquire()
    except Timeout as error:
        raise VaultError(f"Another process has locked {folder} for {LOCK_TIMEOUT_S:.0f} s.") from error
    except OSError as error:
        raise VaultError(f"{folder} cannot be used: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


def read_private(path: Path) -> bytes | None:
    """The file's bytes, None where there is none; raises VaultError where others may read it."""
    try:
        check_mode(path, FILE_MODE)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VaultError(f"{path} cannot be read: {error.strerror}.") from error


def write_private(path: Path, data: bytes) -> None:
    """Replace a file by one that is on the disk as a whole before it takes the place."""
    try:
        with replacing(path) as part:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.chmod(FILE_MODE)
        _sync_folder(path.parent)
    except OSError as error:
        raise VaultError(f"{path} cannot be written: {error.strerror}. It is as it was.") from error


def check_mode(path: Path, wanted: int) -> None:
    """Raise VaultError where the group or others may do anything with the path."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & _OTHERS:
        raise VaultError(f"{path} is open to other users (mode {mode:04o}); run chmod {wanted:o} on it.")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

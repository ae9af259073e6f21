"""
Locks by which processes take turns; the system frees those of a process that dies.

The library filelock would do, but from version 4 on it refuses an app's `os.fork()` in one thread while
another thread forks (an audit hook of the whole process), and the app would be blamed for that.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class FileLock:
    """The lock of a file, held from its making to its release; any thread may release it."""

    def __init__(self, path: Path, *, wait: bool) -> None:
        """
        Take the lock.

        Raises:
            BlockingIOError: It is taken, and this call does not wait.
            OSError: The file cannot be made.
        """
        with _changing:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            _held[self._file] = self
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Free the lock; a second release, or one in a forked child, does nothing."""
        with _changing:
            if _held.get(self._file) is self:
                os.close(self._file)
                del _held[self._file]


@contextmanager
def hold_lock(path: Path, *, timeout_s: float = -1, poll_s: float = 0.05) -> Iterator[None]:
    """
    Hold the lock of a file; the file and its folder are made. One thread cannot hold it twice.

    Args:
        timeout_s: -1 waits without a limit.

    Raises:
        TimeoutError: Another thread or process kept the lock for longer.
        OSError: The file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    while (lock := take_lock(path)) is None:
        if timeout_s >= 0 and time.monotonic() >= deadline:
            raise TimeoutError(f"{path} is locked")
        time.sleep(poll_s)
    try:
        yield
    finally:
        lock.release()


def take_lock(path: Path) -> FileLock | None:
    """Take the lock of a file without waiting; None where it is taken."""
    try:
        return FileLock(path, wait=False)
    except BlockingIOError:
        return None


def wait_for_lock(path: Path) -> FileLock:
    """Take the lock of a file as soon as it is free."""
    return FileLock(path, wait=True)


# A forked child inherits open files with their locks, and would keep them when its parent is gone.
_held: dict[int, FileLock] = {}
_changing = threading.RLock()


def _close_in_child() -> None:
    for file in _held:
        with suppress(OSError):
            os.close(file)
    _held.clear()
    _changing.release()


os.register_at_fork(
    before=_changing.acquire, after_in_parent=_changing.release, after_in_child=_close_in_child
)

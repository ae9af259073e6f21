"""Locks by which processes take turns; the system frees those of a process that dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


@contextmanager
def hold_lock(path: Path, *, timeout_s: float = -1, poll_s: float = 0.05) -> Iterator[None]:
    """
    Hold the lock of a file for this thread; the file and its folder are made.

    Args:
        timeout_s: -1 waits without a limit.

    Raises:
        TimeoutError: Another thread or process kept the lock for longer.
        OSError: The file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _reused_lock(path).acquire(timeout=timeout_s, poll_interval=poll_s):
        yield


def take_lock(path: Path) -> BaseFileLock | None:
    """Take the lock of a file without waiting; None where it is taken. Any thread may release it."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def wait_for_lock(path: Path) -> BaseFileLock:
    """Take the lock of a file as soon as it is free. Any thread may release it."""
    from filelock import FileLock

    lock = FileLock(path, thread_local=False)
    lock.acquire()
    return lock


@lru_cache(maxsize=256)
def _reused_lock(path: Path) -> BaseFileLock:
    """One object a path: making it costs more than taking it."""
    from filelock import FileLock

    return FileLock(path)


os.register_at_fork(after_in_child=_reused_lock.cache_clear)  # a lock object refuses to serve a forked child

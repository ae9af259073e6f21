"""
Results shared by the processes of one session, each case done once.

A lease is a file lock, which the system frees when its holder dies, so that a dead worker's cases can
be taken over at once and no clock decides who is alive.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llmops.records import CaseResult


@dataclass(frozen=True, slots=True)
class SharedStore:
    """
    A folder of this session alone, made by its controller.

    Attributes:
        worker: Number of this process, from 0; one that replaces a dead worker has no share of its own.
        workers: How many processes divide the cases between them.
    """

    folder: Path
    worker: int
    workers: int

    def owner(self, case: str) -> int:
        """The worker to whose share a case belongs."""
        return int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big") % self.workers

    def is_mine(self, case: str) -> bool:
        return self.owner(case) == self.worker

    @contextlib.contextmanager
    def lease(self, case: str) -> Iterator[bool]:
        """Whether this process may do the case now; nobody else can until the block ends."""
        lock = FileLock(self._path(case, "lease"), thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def count_try(self, case: str) -> int:
        """How often the case was begun, this time included; to be called under its lease."""
        with self._path(case, "tries").open("ab") as tries:
            tries.write(b".")
            return tries.tell()

    def announce(self) -> FileLock:
        """Say that this worker does its share; it is believed for as long as the lock is held."""
        lock = FileLock(self.folder / f"worker-{self.worker}.alive", thread_local=False)
        lock.acquire()
        return lock

    def is_working(self, worker: int) -> bool:
        """Whether that worker is alive and has started on its share."""
        if worker == self.worker:
            return True
        path = self.folder / f"worker-{worker}.alive"
        if not path.exists():
            return False
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        return False

    def write(self, result: CaseResult) -> None:
        path = self._path(result.case, "result")
        draft = path.with_suffix(f".{os.getpid()}.draft")
        draft.write_bytes(pickle.dumps(result))
        draft.replace(path)

    def read(self, case: str) -> CaseResult | None:
        """The result of a case, once somebody has it."""
        return _load(self._path(case, "result"))

    def read_all(self) -> dict[str, CaseResult]:
        """Every result there is, by case."""
        loaded = (_load(path) for path in sorted(self.folder.glob("*.result")))
        return {result.case: result for result in loaded if result is not None}

    def _path(self, case: str, kind: str) -> Path:
        return self.folder / f"{hashlib.sha256(case.encode()).hexdigest()[:32]}.{kind}"


def _load(path: Path) -> CaseResult | None:
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return None
    result: CaseResult = pickle.loads(written)  # noqa: S301 - written by this session, in a folder of its user's alone
    return result

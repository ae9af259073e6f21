"""
Results shared by the processes of one session, so that each case is run once.

A lease is a file lock, which the system frees when its holder dies, so that a dead worker's cases can
be taken over at once and no clock decides who is alive.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.file_lock import FileLock, hold_lock, take_lock, wait_for_lock
from pytest_llmops.records import CaseResult

_STOP = "stop"
_JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class SharedStore:
    """
    A folder of this session only, made by its controller.

    Attributes:
        worker: Number of this process, from 0; one that replaces a dead worker has no share.
        workers: How many processes divide the cases between them.
    """

    folder: Path
    worker: int
    workers: int

    @property
    def ledger(self) -> Path:
        """The file of the session's budget."""
        return self.folder / "budget.json"

    def owner(self, case: str) -> int:
        """Return the worker to whose share a case belongs."""
        return int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big") % self.workers

    def is_mine(self, case: str) -> bool:
        return self.owner(case) == self.worker

    @contextlib.contextmanager
    def lease(self, task: str) -> Iterator[bool]:
        """Yield True where this process may run the task now; no other can until the block ends."""
        lock = take_lock(self._path(task, "lease"))
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def count_try(self, task: str) -> int:
        """Count that a task is begun, and return how often it was; to be called under its lease."""
        with self._path(task, "tries").open("ab") as tries:
            tries.write(b".")
            return tries.tell()

    def count_tries(self, task: str) -> int:
        """Return how often the task was begun so far."""
        path = self._path(task, "tries")
        return path.stat().st_size if path.exists() else 0

    @contextlib.contextmanager
    def survived(self, step: str) -> Iterator[int]:
        """
        Enter a step that may end the process, and yield how many processes have ended inside of it before.

        Each process inside has a mark and holds its lock; a mark whose lock is free was left behind.
        """
        ended = 0
        for mark in self.folder.glob(f"{self._path(step, 'inside').name}-*[0-9]"):
            if (lock := take_lock(Path(f"{mark}.lock"))) is not None:
                ended += mark.exists()
                lock.release()
        mark = self._path(step, f"inside-{self.worker}-{os.getpid()}")
        with hold_lock(Path(f"{mark}.lock")):
            mark.touch()
            try:
                yield ended
            finally:
                mark.unlink(missing_ok=True)

    def announce(self, golden: str) -> FileLock:
        """Announce that this worker runs its share of a golden file, for as long as the lock is held."""
        return wait_for_lock(self._path(golden, f"alive-{self.worker}"))

    def is_working(self, worker: int, golden: str) -> bool:
        """True while that worker is alive and has started on its share of a golden file."""
        if worker == self.worker:
            return True
        path = self._path(golden, f"alive-{worker}")
        if not path.exists():
            return False
        if (lock := take_lock(path)) is not None:
            lock.release()
        return lock is None

    def note_journal(self) -> None:
        """Let the other processes know that the controller keeps the results of this session."""
        (self.folder / _JOURNAL).touch()

    def has_journal(self) -> bool:
        return (self.folder / _JOURNAL).exists()

    def stop(self) -> None:
        """Let no process of the session begin a case any more."""
        (self.folder / _STOP).touch()

    def is_stopped(self) -> bool:
        return (self.folder / _STOP).exists()

    def write(self, task: str, result: CaseResult) -> None:
        write_atomically(self._path(task, "result"), pickle.dumps(result), durable=False)

    def read(self, task: str) -> CaseResult | None:
        """Return the result of a task, once some process has it."""
        return _load(self._path(task, "result"))

    def read_all(self) -> list[CaseResult]:
        """Return every result that there is; several of a repeated case."""
        loaded = (_load(path) for path in sorted(self.folder.glob("*.result")))
        return [result for result in loaded if result is not None]

    def report(self, problems: Sequence[str], errors: Sequence[str]) -> None:
        """Hand sentences for the summary, and errors of the suite, to the controller."""
        for kind, sentences in (("problems", problems), ("errors", errors)):
            path = self.folder / f"worker-{self.worker}.{kind}"
            path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")

    def report_stamps(self, stamps: Mapping[str, str]) -> None:
        """Hand the stamps of this process's apps to the controller; later ones take their place."""
        path = self.folder / f"worker-{self.worker}-{os.getpid()}.stamps"
        write_atomically(path, json.dumps(dict(stamps)).encode(), durable=False)

    def report_services(self, services: Mapping[str, bool]) -> None:
        """Hand to the controller which services this process replayed, and which of these it called."""
        path = self.folder / f"worker-{self.worker}.services"
        write_atomically(path, json.dumps(dict(services)).encode(), durable=False)

    def read_services(self) -> dict[str, bool]:
        """Return the services that any process replayed, and whether one of them called it."""
        services: dict[str, bool] = {}
        for path in sorted(self.folder.glob("*.services")):
            for place, was_called in json.loads(path.read_bytes()).items():
                services[place] = services.get(place, False) or was_called
        return services

    def report_limits(self, costs: Mapping[str, tuple[float, int]]) -> None:
        """Hand to the controller the seconds and calls that waited for limits in this process, by host."""
        path = self.folder / f"worker-{self.worker}.limits"
        write_atomically(path, json.dumps(dict(costs)).encode(), durable=False)

    def read_limits(self, own: Mapping[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
        """
        Return the seconds of the process that waited longest for a host, and the calls of all.

        Args:
            own: Of this process, in place of what it may have handed over.
        """
        costs = dict(own)
        for path in sorted(self.folder.glob("*.limits")):
            if path.name == f"worker-{self.worker}.limits":
                continue
            for host, (waited_s, calls) in json.loads(path.read_bytes()).items():
                longest_s, number = costs.get(host, (0.0, 0))
                costs[host] = max(longest_s, waited_s), number + calls
        return costs

    def read_stamps(self) -> list[dict[str, str]]:
        """Return the stamps of each process that reported any."""
        return [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("*.stamps"))]

    def read_reports(self, kind: Literal["problems", "errors"]) -> list[str]:
        """Return the sentences that workers reported, each once."""
        texts = [path.read_text(encoding="utf-8") for path in sorted(self.folder.glob(f"*.{kind}"))]
        return list(dict.fromkeys(line for text in texts for line in text.splitlines()))

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.{kind}"


def _load(path: Path) -> CaseResult | None:
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return None
    result: CaseResult = pickle.loads(written)  # noqa: S301 - written by this session, in a folder of its user
    return result

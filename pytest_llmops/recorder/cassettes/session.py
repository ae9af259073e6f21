"""Cassette sessions: a cassette opened for one repeat of a case, and added to when it ends."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cachetools import LRUCache

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.cassettes.cassette import (
    Calls,
    Place,
    Recorded,
    Stamp,
    load_calls,
    shown_path,
    stamp,
    write_calls,
)
from pytest_llmops.recorder.cassettes.redaction import Redaction
from pytest_llmops.recorder.identity import kind_of
from pytest_llmops.settings import RecordMode

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LOCK_TIMEOUT_S = 30.0
_READ_BYTES = 16_000_000
"""Of files whose calls are held in memory."""


@dataclass(slots=True, kw_only=True)
class CassetteSession:
    """
    One cassette during one repeat of a case.

    Attributes:
        calls: What may be replayed.
        stamp: Of the file as it was read; None when there was none.
        sealed: Nothing may be made that is not in it.
        made: (when the call began, the call as it was, not yet redacted).
    """

    path: Path
    calls: Calls
    stamp: Stamp | None
    sealed: bool
    made: list[tuple[float, Recorded]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The path as people see it."""
        return shown_path(self.path)


class Cassettes:
    """Opens and writes cassettes by the rules of a mode, safely beside other threads and processes."""

    def __init__(self, *, mode: RecordMode, redaction: Redaction, locks: Path) -> None:
        """
        Args:
            locks: Folder for the file that processes take turns by.
        """
        self._mode, self._redaction, self._locks = mode, redaction, locks
        self._lock = threading.Lock()
        self._file_lock: BaseFileLock | None = None
        self._read: LRUCache[Path, tuple[Stamp, Calls]] = LRUCache(_READ_BYTES, getsizeof=_size)
        self._existed: dict[Path, bool] = {}
        # What a rewriting run found, and drops when it first writes; later repeats add to what it wrote.
        self._stale: dict[Path, set[Place]] = {}

    def open(self, path: Path) -> CassetteSession:
        """
        Raises:
            CassetteError: The file is broken, and the mode is none that rewrites it.
        """
        stamped = stamp(path)
        calls = self._load_stamped(path, stamped) if stamped else {}
        with self._lock:
            existed = self._existed.setdefault(path, stamped is not None)
            if self._mode == "all":
                self._stale.setdefault(path, set(calls))
                calls = {}
        sealed = self._mode == "none" or (self._mode == "once" and existed)
        return CassetteSession(path=path, calls=calls, stamp=stamped, sealed=sealed)

    def save(self, case: str, session: CassetteSession) -> str | None:
        """Add what was made to the file; in words why that could not be."""
        if not session.made:
            return None
        try:
            made = [self._redacted(call) for _, call in sorted(session.made, key=lambda pair: pair[0])]
        except Exception as error:  # noqa: BLE001  # a redaction is anybody's code
            # Its message may quote the text that it was to hide.
            return f"{case}: its model calls were not kept: redacting them raised {type(error).__name__}"
        try:
            with self._lock, self._turn():
                merged = self._kept(session)
                merged.update({call.place: call for call in made})
                write_calls(session.path, case, list(merged.values()))
                self._stale.pop(session.path, None)
                self._stale.setdefault(session.path, set())
        except (OSError, CassetteError, ValueError, RecursionError) as error:
            return f"{case}: its model calls were not kept in {session.name}: {error}"
        return None

    def _turn(self) -> BaseFileLock:
        """What processes take turns by; one object, for making it costs more than taking it."""
        from filelock import FileLock

        if self._file_lock is None:
            self._locks.mkdir(parents=True, exist_ok=True)
            self._file_lock = FileLock(self._locks / ".lock", timeout=_LOCK_TIMEOUT_S)
        return self._file_lock

    def _kept(self, session: CassetteSession) -> Calls:
        """What the file holds by now, without what this run replaces."""
        if stamp(session.path) == session.stamp and self._mode != "all":
            return dict(session.calls)
        stale = self._stale.get(session.path, set())
        return {place: call for place, call in self._load(session.path).items() if place not in stale}

    def _load_stamped(self, path: Path, found: Stamp) -> Calls:
        """The app, then each judge, opens the cassette of a case; it is read again only if it has changed."""
        with self._lock:
            known, calls = self._read.get(path, (None, {}))
        if known != found:
            calls = self._load(path)
            with self._lock, suppress(ValueError):  # it alone is too large to be held
                self._read[path] = (found, calls)
        return calls

    def _load(self, path: Path) -> Calls:
        try:
            return load_calls(path)
        except CassetteError:
            if self._mode == "all":  # the remedy that the error names
                return {}
            raise

    def _redacted(self, call: Recorded) -> Recorded:
        return replace(
            call,
            path=self._redaction.text(call.path),
            request=self._redaction.value(call.request),
            body=self._redaction.body(kind_of(call.path), call.body),
        )


def _size(read: tuple[Stamp, Calls]) -> int:
    (_, size, _), _ = read
    return size

"""
What models found, kept between runs: kind and key to bytes, in one SQLite file.

A cache that cannot be read or written is told of once and then done without: a score never depends on it.
"""

from __future__ import annotations

import atexit
import logging
import sqlite3
from contextlib import closing, suppress
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILE = "models.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS entries (kind TEXT, key BLOB, value BLOB, PRIMARY KEY (kind, key))"
_WAIT_S = 10.0
_KEYS_AT_ONCE = 500  # below every SQLite build's limit of parameters

_log = logging.getLogger("pytest_llmops")
_lock = Lock()
_connection: sqlite3.Connection | None = None


def use_cache(folder: Path | None) -> None:
    """Keep what models find in that folder from now on, for this process; None keeps nothing."""
    global _connection  # noqa: PLW0603  one cache a process, as there is one of each model
    with _lock:
        if _connection is not None:
            with suppress(sqlite3.Error):
                _connection.close()
            _connection = None
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _connection = sqlite3.connect(
                folder / FILE, timeout=_WAIT_S, check_same_thread=False, isolation_level=None
            )
            _connection.execute("PRAGMA journal_mode=WAL")
            _connection.execute("PRAGMA synchronous=NORMAL")
            _connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            _give_up(f"{folder}: {error}")


def read(kind: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """What is kept of these keys."""
    found: dict[bytes, bytes] = {}
    with _lock:
        if _connection is None:
            return found
        try:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value FROM entries WHERE kind = ? AND key IN ({marks})"  # noqa: S608  marks only
                found.update(_connection.execute(query, (kind, *some)))
        except sqlite3.Error as error:
            _give_up(str(error))
            return {}
    return found


def holds_any(folder: Path, kinds: Sequence[str]) -> bool:
    """Whether something of these kinds is kept in a folder, whichever cache is in use."""
    marks = ",".join("?" * len(kinds))
    query = f"SELECT 1 FROM entries WHERE kind IN ({marks}) LIMIT 1"  # noqa: S608  marks only
    try:
        with closing(sqlite3.connect(f"{(folder / FILE).as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query, tuple(kinds)).fetchone() is not None
    except (OSError, ValueError, sqlite3.Error):  # there is none
        return False


def write(kind: str, entries: Mapping[bytes, bytes]) -> None:
    """Keep these, all or none."""
    with _lock:
        if _connection is None or not entries:
            return
        try:
            _connection.execute("BEGIN IMMEDIATE")
            _connection.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
                [(kind, key, value) for key, value in entries.items()],
            )
            _connection.execute("COMMIT")
        except sqlite3.Error as error:
            _give_up(str(error))


def _give_up(reason: str) -> None:
    """Logged, not warned: a project that turns warnings into errors must not lose scores over its cache."""
    global _connection  # noqa: PLW0603  as above
    if _connection is not None:
        with suppress(sqlite3.Error):
            _connection.close()
    _connection = None
    _log.warning("the models' cache is not used (%s); delete its folder, or make it writable", reason)


atexit.register(use_cache, None)

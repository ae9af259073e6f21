"""
Cache of results of models and scanners: those used last in memory, all as bytes in one SQLite file.

A cache that cannot be read or written is reported once and not used further: no score depends on it.
"""

from __future__ import annotations

import atexit
import hashlib
import hmac
import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from threading import Lock, RLock
from typing import Generic, TypeVar

from cachetools import LRUCache

Made = TypeVar("Made")

FILE = "models.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS entries (kind TEXT, key BLOB, value BLOB, PRIMARY KEY (kind, key))"
_WAIT_S = 10.0
_KEY_FILE = "cache.key"
_KEY_BYTES = 32
_SIGNATURE_BYTES = 16
_KEYS_AT_ONCE = 500  # below every SQLite build's limit of parameters

_log = logging.getLogger("pytest_llmops")
_lock = RLock()  # a record logged meanwhile may be looked up here again, to be masked
_connection: sqlite3.Connection | None = None
_home: Path | None = None


class Memory(Generic[Made]):
    """
    Results of one kind, those used last in memory.

    Args:
        kind: Its name in the cache.
        at_most: Results kept in memory.
        write: Makes bytes of a result.
        read: Makes the result of bytes; None if they cannot be one, so that it is made again.
        signed: Use a stored result only if this user wrote it under this key: one that was edited, or
            came with somebody else's files, is made again.
    """

    def __init__(
        self,
        kind: str,
        at_most: int,
        write: Callable[[Made], bytes],
        read: Callable[[bytes], Made | None],
        *,
        signed: bool = False,
    ) -> None:
        self._kind = kind
        self._signed = signed
        self._write = write
        self._read = read
        self._held: LRUCache[bytes, Made] = LRUCache(at_most)
        self._lock = Lock()

    def recall(
        self,
        keys: Iterable[bytes],
        make: Callable[[Sequence[bytes]], Iterator[dict[bytes, Made]]],
        *,
        fits: Callable[[bytes, Made], bool] = lambda _key, _result: True,
    ) -> dict[bytes, Made]:
        """
        Return a result for each key.

        Args:
            make: Yields results of the keys that are not stored, in parts, which are kept even if it
                raises later.
            fits: Whether a stored result can be that of its key; one that cannot is made again.
        """
        unique = dict.fromkeys(keys)
        with self._lock:
            values = {key: self._held[key] for key in unique if key in self._held}
        missing = [key for key in unique if key not in values]
        if not missing:
            return values
        stored = {key: self._load(key, value) for key, value in read(self._kind, missing).items()}
        known = {key: result for key, result in stored.items() if result is not None and fits(key, result)}
        self._hold(known)
        values.update(known)
        if missing := [key for key in missing if key not in values]:
            for made in make(missing):
                write(self._kind, {key: self._store(key, result) for key, result in made.items()})
                self._hold(made)
                values.update(made)
        return values

    def forget(self) -> None:
        """Drop the results in memory; those in the file stay."""
        with self._lock:
            self._held.clear()

    def _store(self, key: bytes, result: Made) -> bytes:
        value = self._write(result)
        return _sign(self._kind, key, value) + value if self._signed else value

    def _load(self, key: bytes, stored: bytes) -> Made | None:
        if not self._signed:
            return self._read(stored)
        signature, value = stored[:_SIGNATURE_BYTES], stored[_SIGNATURE_BYTES:]
        return self._read(value) if hmac.compare_digest(signature, _sign(self._kind, key, value)) else None

    def _hold(self, results: dict[bytes, Made]) -> None:
        with self._lock:
            self._held.update(results)


def key_of(*parts: str) -> bytes:
    """Return a key for these parts in this order."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()


def _sign(kind: str, key: bytes, value: bytes) -> bytes:
    signed = b"\0".join((kind.encode(), key, value))
    return hmac.digest(_signing_key(), signed, "sha256")[:_SIGNATURE_BYTES]


@cache
def _signing_key() -> bytes:
    """
    Return this user's key, from outside the working folder: who can edit a row must not be able to sign it.

    If it cannot be stored, or others may read it, the key is one for this process only.
    """
    from platformdirs import user_cache_path

    file = user_cache_path("pytest-llmops") / _KEY_FILE
    fresh = secrets.token_bytes(_KEY_BYTES)
    try:
        if not file.exists():
            _write_first(file, fresh)
        if os.name == "posix":
            state = file.stat()
            if state.st_uid != os.getuid() or state.st_mode & 0o077:
                return fresh
        kept = file.read_bytes()
    except OSError:
        return fresh
    return kept if len(kept) == _KEY_BYTES else fresh


def _write_first(file: Path, data: bytes) -> None:
    """Write a file unless another process was first; none ever reads half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(data)
    try:
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()


def is_at_home(path: Path) -> bool:
    """Return whether a file is in the cache's working folder: who may change one may change the other."""
    return _home is not None and path.resolve().is_relative_to(_home)


def is_private(path: Path) -> bool:
    """Return whether a file is in a working folder that only its owner may enter."""
    return _home is not None and is_at_home(path) and not _home.stat().st_mode & 0o077


def use_cache(folder: Path | None) -> None:
    """Store the results of this process in that folder from now on; None stores nothing."""
    global _connection, _home  # noqa: PLW0603  one cache a process, as there is one of each model
    with _lock:
        _home = folder and folder.resolve().parent
        if _connection is not None:
            with suppress(sqlite3.Error):
                _connection.close()
            _connection = None
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FILE).touch(mode=0o600)  # SQLite gives its other files the mode of this one
            _connection = sqlite3.connect(
                folder / FILE, timeout=_WAIT_S, check_same_thread=False, isolation_level=None
            )
            _connection.execute("PRAGMA journal_mode=WAL")
            _connection.execute("PRAGMA synchronous=NORMAL")
            _connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            _give_up(f"{folder}: {error}")


def read(kind: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the stored values of these keys."""
    rows: dict[bytes, bytes] = {}
    with _lock:
        if _connection is None:
            return rows
        try:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value FROM entries WHERE kind = ? AND key IN ({marks})"  # noqa: S608  marks only
                rows.update(_connection.execute(query, (kind, *some)))
        except sqlite3.Error as error:
            _give_up(str(error))
            return {}
    return rows


def holds_any(folder: Path, kinds: Sequence[str]) -> bool:
    """Return whether a folder stores values of these kinds, whichever cache is in use."""
    marks = ",".join("?" * len(kinds))
    query = f"SELECT 1 FROM entries WHERE kind IN ({marks}) LIMIT 1"  # noqa: S608  marks only
    try:
        with closing(sqlite3.connect(f"{(folder / FILE).as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query, tuple(kinds)).fetchone() is not None
    except (OSError, ValueError, sqlite3.Error):  # there is none
        return False


def write(kind: str, entries: Mapping[bytes, bytes]) -> None:
    """Store these values, all or none."""
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
    """Log, not warn: a project that turns warnings into errors must not lose scores because of its cache."""
    global _connection  # noqa: PLW0603  as above
    if _connection is not None:
        with suppress(sqlite3.Error):
            _connection.close()
    _connection = None
    _log.warning("the models' cache is not used (%s); delete its folder, or make it writable", reason)


atexit.register(use_cache, None)

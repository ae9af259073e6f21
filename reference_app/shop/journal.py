"""
The requests that were accepted, kept beside the shop's database, which itself never changes.

A request waits for the shop's staff and changes no answer: what one question asks for cannot alter what the
next one hears. A new address is personal, so of a request's body only a digest is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError
from reference_app.shop.sales import TODAY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TABLE = """CREATE TABLE IF NOT EXISTS requests (
  key TEXT PRIMARY KEY, operation TEXT NOT NULL, order_id TEXT NOT NULL,
  digest TEXT NOT NULL, day TEXT NOT NULL
)"""
PATIENCE_S = 2.0  # with another process that is writing


class JournalError(AppError):
    """The journal of requests cannot be read or written; the request was not taken."""


class Journal:
    """A file in the cache folder that only its owner can read, for many threads and processes."""

    def __init__(self, cache: Path) -> None:
        self._path = cache / "requests.sqlite"

    def add(self, key: str, operation: str, order_id: str, body: Mapping[str, Any]) -> str | None:
        """
        Add a request, once for each key; the same key again is the same request again.

        Returns:
            The request's number, the same for the same request on every machine; None if the key was used
            for another request before.

        Raises:
            JournalError: The journal cannot be written; nothing was added.
        """
        digest = hashlib.sha256(json.dumps([operation, order_id, body], sort_keys=True).encode()).hexdigest()
        row = (key, operation, order_id, digest, TODAY.isoformat())
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self._path, timeout=PATIENCE_S)) as database, database:
                database.execute(_TABLE)
                database.execute("INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?)", row)
                kept = database.execute("SELECT digest FROM requests WHERE key = ?", (key,)).fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"The journal {self._path} cannot be written: {error}.") from error
        return f"R-{digest[:8].upper()}" if kept == digest else None

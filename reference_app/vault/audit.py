"""The vault's log: append-only, each entry hashed with the one before; it names tokens and never a value."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from hashlib import sha256

from reference_app.guardrails.redaction import mask
from reference_app.vault.access import VaultSettings

SCHEMA = """
CREATE TABLE IF NOT EXISTS keys.log
  (n INTEGER PRIMARY KEY AUTOINCREMENT, time, actor, role, action, token, reason, outcome, hash);
CREATE TRIGGER IF NOT EXISTS keys.no_update BEFORE UPDATE ON log
  BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS keys.no_delete BEFORE DELETE ON log
  BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""


def append(  # noqa: PLR0913, PLR0917 - the fields of an entry
    db: sqlite3.Connection, by: VaultSettings, action: str, outcome: str, token: str | None, reason: str
) -> None:
    """Add an entry in the caller's transaction; personal data in the reason is masked."""
    n, previous = db.execute("SELECT n, hash FROM keys.log ORDER BY n DESC").fetchone() or (0, "")
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    entry = (n + 1, time, by.actor, by.role, action, token, mask(reason)[:200], outcome)
    row = (*entry, _digest(previous, entry))
    db.execute("INSERT INTO keys.log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def find_faults(db: sqlite3.Connection, noted: tuple[int, str] | None = None) -> list[tuple[int, str]]:
    """Return number and fault of each entry that was changed; `noted` is an earlier last number and hash."""
    faults, last, previous = [], 0, ""
    for n, *fields, digest in db.execute("SELECT * FROM keys.log ORDER BY n"):
        if n != last + 1:
            faults.append((last + 1, "is missing"))
        elif _digest(previous, (n, *fields)) != digest:
            faults.append((n, "was changed, inserted or moved"))
        elif noted is not None and n == noted[0] and digest != noted[1]:
            faults.append((n, "is not the one that was noted"))
        last, previous = n, digest
    # SQLite remembers the last number, also of an entry that was deleted.
    (written,) = db.execute("SELECT seq FROM keys.sqlite_sequence WHERE name = 'log'").fetchone() or (0,)
    if last < max(written, noted[0] if noted else 0):
        faults.append((last + 1, "is missing"))
    return faults


def _digest(previous: str, entry: tuple[object, ...]) -> str:
    return sha256(json.dumps([previous, *entry], default=repr).encode()).hexdigest()

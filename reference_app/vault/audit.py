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


def find_faults(db: sqlite3.Connection, noted: str | None = None) -> list[tuple[int, str]]:
    """Return number and fault of each entry that was changed; `noted` is an earlier last one as `N:HASH`."""
    faults, heads, last, previous = [], set(), 0, ""
    for n, *fields, digest in db.execute("SELECT * FROM keys.log ORDER BY n"):
        if n != last + 1:
            faults.append((last + 1, "is missing"))
        elif _digest(previous, (n, *fields)) != digest:
            faults.append((n, "was changed, inserted or moved"))
        last, previous = n, digest
        heads.add(f"{n}:{digest}")
    # SQLite remembers the last number, also of an entry that was deleted.
    (written,) = db.execute("SELECT seq FROM keys.sqlite_sequence WHERE name = 'log'").fetchone() or (0,)
    if last < written:
        faults.append((last + 1, "is missing"))
    if noted is not None and noted not in heads and not faults:
        faults.append((last, "and those before are not what was noted"))
    return faults


def _digest(previous: str, entry: tuple[object, ...]) -> str:
    return sha256(json.dumps([previous, *entry], default=repr).encode()).hexdigest()

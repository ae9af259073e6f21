"""Deleting by age: the data key of a day is destroyed, and with it every value of that day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from reference_app.errors import VaultError
from reference_app.printable import counted
from reference_app.vault.audit import Entry

if TYPE_CHECKING:
    from reference_app.vault.access import Actor
    from reference_app.vault.store import Keys
    from reference_app.vault.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """A day whose values are gone, the id of its data key, and how many tokens cannot be opened any more."""

    period: str
    key_id: str
    count: int


def purge(vault: Vault, *, older_than: timedelta, reason: str, actor: Actor | None = None) -> list[Purged]:
    """
    Destroy the keys of the days that ended longer ago than this, and then their encrypted values.

    The log gets an entry before a key is destroyed, and one when the files were read again and contain
    neither the key nor a value. An interrupted purge is finished by the next.

    Raises:
        VaultError: The key is wrong or a file is damaged; nothing was destroyed.
        AuditError: The log is broken; nothing was destroyed.
    """
    actor = actor or vault.settings.actor
    purged: list[Purged] = []
    with vault.locked():
        keys = vault.store.read_keys()
        if keys is None:
            return []
        try:
            vault.master_key().check(keys.master)
        except VaultError as error:
            vault.audit.append(Entry(actor=actor, action="purge", reason=reason, outcome=error.outcome))
            raise
        for day in sorted({*keys.periods, *vault.store.list_periods()}):
            if _end(day) + older_than > vault.clock():
                continue
            records = vault.store.read_records(day)
            wrapped = keys.periods.get(day)
            if wrapped is None and all(record.sealed is None for record in records.values()):
                continue  # purged before
            key_id = wrapped.id if wrapped else "destroyed before"
            entry = Entry(actor=actor, action="purge", key=f"{day}/{key_id}", reason=reason, outcome="begun")
            vault.audit.append(entry)
            keys = keys.without(day)
            _destroy(vault, keys, day)
            vault.audit.append(replace(entry, outcome=f"destroyed: {counted(len(records), 'token')}"))
            purged.append(Purged(period=day, key_id=key_id, count=len(records)))
    return purged


def _destroy(vault: Vault, keys: Keys, day: str) -> None:
    vault.store.write_keys(keys)
    records = vault.store.read_records(day)
    if records:
        vault.store.write_records(day, [replace(record, sealed=None) for record in records.values()])
    left = vault.store.read_keys()
    if (
        left is None
        or day in left.periods
        or any(one.sealed for one in vault.store.read_records(day).values())
    ):
        raise VaultError(f"The key or the values of {day} are still in the vault's files; purge again.")


def _end(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time.min, UTC) + timedelta(days=1)

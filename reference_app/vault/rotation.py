"""A new master key: the data keys are wrapped anew, the values stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.errors import VaultError
from reference_app.vault.audit import Entry
from reference_app.vault.keys import read_master_key
from reference_app.vault.store import Keys, WrappedKey

if TYPE_CHECKING:
    from reference_app.vault.access import Actor
    from reference_app.vault.vault import Vault


def rotate(vault: Vault, *, reason: str, actor: Actor | None = None) -> int:
    """
    Replace the old master key of the settings by the new one in one step; returns how many keys it wraps.

    Raises:
        VaultError: A key is missing, the old one does not fit, or a file is damaged; nothing was changed.
    """
    if vault.settings.old_key is None:
        raise VaultError(
            "A rotation needs the old key in REFERENCE_APP_VAULT_OLD_KEY, and the new one in "
            "REFERENCE_APP_VAULT_KEY."
        )
    actor = actor or vault.settings.actor
    with vault.locked(), vault.audited("rotate", actor, reason) as entry:
        new = vault.master_key()
        old = read_master_key(vault.settings.old_key, "REFERENCE_APP_VAULT_OLD_KEY")
        keys = vault.store.read_keys()
        if keys is None:
            raise VaultError("There is no vault to rotate.")
        entry["key"] = f"{keys.master}/{new.id}"
        old.check(keys.master)
        periods = {
            day: WrappedKey(id=one.id, wrapped=new.wrap(old.unwrap(one.wrapped, day, one.id), day))
            for day, one in keys.periods.items()
        }
        vault.audit.append(
            Entry(actor=actor, action="rotate", key=entry["key"], reason=reason, outcome="begun")
        )
        vault.store.write_keys(Keys(master=new.id, periods=periods))
        entry["outcome"] = "rotated"
    return len(periods)

"""Who uses the vault, where it lies and for how long it keeps a value."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from reference_app.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

VaultRole = Literal["reader", "investigator"]
KEEP = "30d"
_ACTOR = re.compile(r"[\w.@+-]{1,64}")
_AGE = re.compile(r"(?P<count>\d{1,5})(?P<unit>[hdw])", re.ASCII)
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who opens a token: the name in the log, and the role that permits or forbids it."""

    name: str
    role: VaultRole


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """
    Attributes:
        folder: Of the vault and its audit log.
        head: The file of the audit log's head; elsewhere, whoever cuts the log short cannot adapt it.
        key: Base64 of the master key's 32 bytes; None looks into the keyring.
        old_key: The master key before a rotation.
        audit_key: Makes the log's hashes HMACs, so that they cannot be computed anew without it.
        keep: Age at which `vault purge` destroys what is in the vault.
    """

    folder: Path
    head: Path
    actor: Actor
    keep: timedelta
    key: str | None = field(default=None, repr=False)
    old_key: str | None = field(default=None, repr=False)
    audit_key: str | None = field(default=None, repr=False)


def read_vault_settings(environ: Mapping[str, str] = os.environ) -> VaultSettings:
    """
    Read the variables of the vault; opens no file.

    Raises:
        SettingsError: A variable contains what the vault cannot use.
    """
    import platformdirs

    folder = Path(
        environ.get("REFERENCE_APP_VAULT") or platformdirs.user_data_path("reference-app") / "vault"
    )
    folder = folder.expanduser().resolve()
    head = environ.get("REFERENCE_APP_AUDIT_HEAD")
    return VaultSettings(
        folder=folder,
        head=Path(head).expanduser().resolve() if head else folder / "audit.head",
        actor=Actor(
            name=_read_actor(environ.get("REFERENCE_APP_ACTOR") or _user()),
            role=_read_role(environ.get("REFERENCE_APP_VAULT_ROLE") or "reader"),
        ),
        keep=read_age(environ.get("REFERENCE_APP_VAULT_KEEP") or KEEP, "REFERENCE_APP_VAULT_KEEP"),
        key=environ.get("REFERENCE_APP_VAULT_KEY") or None,
        old_key=environ.get("REFERENCE_APP_VAULT_OLD_KEY") or None,
        audit_key=environ.get("REFERENCE_APP_AUDIT_KEY") or None,
    )


def read_age(text: str, name: str) -> timedelta:
    """`30d` as a duration; hours, days and weeks."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise SettingsError(f"{name} is {text[:20]!r}; write an age like 12h, 30d or 8w.")
    return timedelta(**{_UNITS[found["unit"]]: int(found["count"])})


def _read_actor(name: str) -> str:
    if not _ACTOR.fullmatch(name):
        raise SettingsError("REFERENCE_APP_ACTOR must be 1 to 64 letters, digits or any of . @ + - _.")
    return name


def _read_role(value: str) -> VaultRole:
    for role in get_args(VaultRole):
        if value == role:
            return role  # type: ignore[no-any-return]  # one of the literals
    raise SettingsError(f"REFERENCE_APP_VAULT_ROLE is {value[:40]!r}; it must be reader or investigator.")


def _user() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
    return name if _ACTOR.fullmatch(name) else "unknown"

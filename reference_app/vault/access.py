"""Settings of the vault: who uses it, where its files are and for how long it keeps a value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from reference_app.errors import SettingsError, VaultError


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """Settings of one vault and of who uses it."""

    folder: Path
    actor: str  # name in the log
    role: str  # an investigator may open tokens, a reader may not
    keep_days: int  # age at which `vault purge` deletes values
    key: str | None = field(default=None, repr=False)  # base64 of 32 bytes; None reads the file
    key_file: Path | None = None


def read_vault_settings(environ: Mapping[str, str] = os.environ) -> VaultSettings:
    """Read the variables of the vault and open no file; raises SettingsError for a value it cannot use."""
    import platformdirs

    folder = environ.get("REFERENCE_APP_VAULT") or platformdirs.user_data_path("reference-app") / "vault"
    key_file = environ.get("REFERENCE_APP_VAULT_KEY_FILE")
    role = environ.get("REFERENCE_APP_VAULT_ROLE") or "reader"
    if role not in ("reader", "investigator"):
        raise SettingsError(f"REFERENCE_APP_VAULT_ROLE is {role[:40]!r}; it must be reader or investigator.")
    return VaultSettings(
        folder=Path(folder).expanduser().resolve(),
        actor=environ.get("REFERENCE_APP_ACTOR") or environ.get("USER") or "unknown",
        role=role,
        keep_days=read_days(environ.get("REFERENCE_APP_VAULT_KEEP") or "30d", "REFERENCE_APP_VAULT_KEEP"),
        key=environ.get("REFERENCE_APP_VAULT_KEY") or None,
        key_file=Path(key_file).expanduser().resolve() if key_file else None,
    )


def read_days(text: str, name: str) -> int:
    """Return the days in a text like `30d` or `30`; `name` is the variable or option in the SettingsError."""
    match = re.fullmatch(r"([0-9]{1,5})d?", text)
    if match is None:
        raise SettingsError(f"{name} is {text[:20]!r}; write a number of days like 30d.")
    return int(match[1])


def read_master_key(settings: VaultSettings) -> Fernet:
    """Read the master key; raises VaultError, without the key, where there is none or others may read it."""
    name, text = "REFERENCE_APP_VAULT_KEY", settings.key
    try:
        if text is None and settings.key_file is not None:
            name = str(settings.key_file)
            check_private(settings.key_file)
            text = settings.key_file.read_text("ascii", "replace").strip()
        if text is not None:
            return Fernet(text)
    except OSError as error:
        raise VaultError(f"{name} cannot be read: {error.strerror}.", "failed: no key") from error
    except ValueError as error:
        raise VaultError(f"{name} is no base64 of 32 bytes.", "failed: wrong key") from error
    raise VaultError(
        "The vault needs a key: put the output of `python -m reference_app vault key` into "
        "REFERENCE_APP_VAULT_KEY, or into a file of mode 0600 that REFERENCE_APP_VAULT_KEY_FILE names.",
        "failed: no key",
    )


def check_private(path: Path) -> None:
    """Raise VaultError where the group or others may do anything with the path."""
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        wanted = "700" if path.is_dir() else "600"
        raise VaultError(f"{path} is open to other users (mode {mode:o}); run chmod {wanted} on it.")

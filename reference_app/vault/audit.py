"""The log of everything that was done with the vault; it names tokens and never a value."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from reference_app.errors import AuditError, VaultError
from reference_app.guardrails.redaction import mask
from reference_app.vault import chain
from reference_app.vault.files import (
    FILE_MODE,
    FOLDER_MODE,
    check_mode,
    locked,
    read_private,
    write_private,
)

if TYPE_CHECKING:
    from pathlib import Path

    from reference_app.vault.access import Actor, VaultSettings

Action = Literal["create", "open", "rotate", "purge"]
MAX_REASON_CHARACTERS = 200
MIN_AUDIT_KEY_BYTES = 16
LOG, LOCK = "audit.jsonl", ".audit.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    What happened.

    Attributes:
        token: Of the vault; a text that is none of its tokens is not written, it may be the value itself.
        key: Period and id of a data key.
        reason: As the actor gave it; personal data in it is masked.
        outcome: Such as `opened`, `refused: role` or `failed: wrong key`.
    """

    actor: Actor
    action: Action
    outcome: str
    token: str | None = None
    key: str | None = None
    reason: str = ""


class AuditLog:
    """Appends entries and finds changed ones; safe for several processes."""

    def __init__(self, settings: VaultSettings) -> None:
        self.path: Path = settings.folder / LOG
        self._folder, self._head_path = settings.folder, settings.head
        self._key = _read_audit_key(settings.audit_key)

    def append(self, entry: Entry, *, starts: bool = False) -> None:
        """
        Write one entry, on the disk before this returns.

        Args:
            entry: What happened.
            starts: Whether there may be no log yet.

        Raises:
            AuditError: The log does not end where its head says; to go on would hide that.
        """
        fields = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "actor": entry.actor.name,
            "role": entry.actor.role,
            "action": entry.action,
            "token": entry.token,
            "key": entry.key,
            "reason": mask(entry.reason)[:MAX_REASON_CHARACTERS],
            "outcome": entry.outcome,
        }
        with locked(self._folder, LOCK):
            head = self._find_end(starts=starts)
            line, after = chain.link(fields, head, self._key)
            self._write_head(replace(head, pending=after.hash))
            try:
                _append(self.path, line)
            except OSError as error:
                raise AuditError(f"{self.path} cannot be written: {error.strerror}.") from error
            self._write_head(after)

    def read(self) -> tuple[list[chain.Line], int]:
        """The entries that can be read, and how many lines cannot; `verify` says what was changed."""
        data = read_private(self.path)
        if data is None:
            raise VaultError(f"There is no audit log {self.path}.")
        lines = [chain.read_line(text) for text in data.splitlines()]
        entries = [fields for fields in lines if fields is not None]
        return entries, len(lines) - len(entries)

    def verify(self, noted: tuple[int, str] | None = None) -> tuple[chain.Head, list[chain.Fault]]:
        """
        Compare every line with the line before and the last with the head.

        Args:
            noted: Count and hash of a head that was noted earlier; a log that was replaced together with its
                head does not contain it.

        Raises:
            VaultError: There is neither log nor head, or others may read them.
        """
        with locked(self._folder, LOCK):
            data, sealed = read_private(self.path), read_private(self._head_path)
        if data is None and sealed is None:
            raise VaultError(f"There is no audit log {self.path}.")
        if sealed is None:
            return chain.Head(), [chain.Fault(line=1, message=f"has no head {self._head_path}")]
        try:
            head = chain.read_head(sealed, self._key)
        except (ValueError, TypeError):
            fault = "cannot be compared: the head was changed, or REFERENCE_APP_AUDIT_KEY is not its key"
            return chain.Head(), [chain.Fault(line=1, message=fault)]
        faults = chain.find_faults(data or b"", head, self._key)
        if noted is not None and not faults:
            faults = _compare(noted, data or b"")
        return head, faults

    def check(self) -> None:
        """Raises AuditError where any line of the log was changed; a log that is still to begin is sound."""
        with locked(self._folder, LOCK):
            head = self._find_end(starts=True)
            data = read_private(self.path) or b""
        if chain.find_faults(data, head, self._key):
            raise self._broken()

    def _find_end(self, *, starts: bool) -> chain.Head:
        sealed, size = read_private(self._head_path), _size(self.path)
        if sealed is None:
            if size is None and starts:
                return chain.Head()
            raise self._broken()
        try:
            head = chain.read_head(sealed, self._key)
        except (ValueError, TypeError):
            raise self._broken() from None
        if (size or 0) == head.size:
            return replace(head, pending="")
        finished = None
        if head.pending and (size or 0) > head.size:
            finished = chain.finish(head, (read_private(self.path) or b"")[head.size :])
        if finished is None:
            raise self._broken()
        after, torn = finished
        if torn:
            os.truncate(self.path, after.size)
        return after

    def _write_head(self, head: chain.Head) -> None:
        self._head_path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        write_private(self._head_path, chain.write_head(head, self._key))

    def _broken(self) -> AuditError:
        return AuditError(
            f"The audit log {self.path} does not agree with its head, so nothing is opened or purged; "
            "`python -m reference_app audit verify` says where."
        )


def _compare(noted: tuple[int, str], data: bytes) -> list[chain.Fault]:
    count, wanted = noted
    lines = data.split(b"\n")[:-1]
    fields = chain.read_line(lines[count - 1]) if 1 <= count <= len(lines) else None
    if fields is not None and fields["hash"] == wanted:
        return []
    return [chain.Fault(line=max(1, count), message="is not the entry that was noted")]


def _append(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
    try:
        written = 0
        while written < len(line):
            written += os.write(handle, line[written:])
        os.fsync(handle)
    finally:
        os.close(handle)


def _size(path: Path) -> int | None:
    try:
        check_mode(path, FILE_MODE)
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _read_audit_key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = base64.urlsafe_b64decode(text.encode())
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < MIN_AUDIT_KEY_BYTES:
        raise VaultError(f"REFERENCE_APP_AUDIT_KEY is no base64 of at least {MIN_AUDIT_KEY_BYTES} bytes.")
    return key

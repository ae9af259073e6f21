"""Writing of files that are complete or absent."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pytest_llmops.cache import is_private

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_NAME = 40  # characters of the file's name in the draft's, which file systems limit


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """
    Write a file so that a reader sees the old one or the new one, never a part of one.

    In a private working folder only its owner may read it: inputs and answers of the app may be anything.

    Args:
        durable: Wait until the disk has it; off for files that can be made again.

    Raises:
        OSError: The folder cannot be made or written.
    """
    part = path.with_name(f".{path.name[:_NAME]}.{secrets.token_hex(4)}.part")
    mode = 0o600 if is_private(part) else 0o666  # the umask applies
    try:
        try:
            opened = os.open(part, _NEW, mode)
        except FileNotFoundError:  # rare, so the folder is looked for only now
            part.parent.mkdir(parents=True, exist_ok=True)
            opened = os.open(part, _NEW, mode)
        with os.fdopen(opened, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

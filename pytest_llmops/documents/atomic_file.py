"""Files that are there completely or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pytest_llmops.cache import is_private

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_NAME = 40  # of the file's own name in the draft's, which may not grow too long for the file system


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """
    Write a file: whoever reads sees the old one or the new one, never a part of one.

    In a private working folder only its owner may read it: what the app is asked and answers may be anything.

    Args:
        durable: Wait until the disk has it; not for files that can be made again.

    Raises:
        OSError: The folder cannot be made or written.
    """
    part = path.with_name(f".{path.name[:_NAME]}.{secrets.token_hex(4)}.part")
    try:
        _write(part, data, durable=durable)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write(part: Path, data: bytes, *, durable: bool) -> None:
    mode = 0o600 if is_private(part) else 0o666  # less what the umask takes
    try:
        opened = os.open(part, _NEW, mode)
    except FileNotFoundError:  # the folder is made only where it is missing, which is rare
        part.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(part, _NEW, mode)
    with os.fdopen(opened, "wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())

"""Files that are there completely or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_NAME = 40  # of the file's own name in the draft's, which may not grow too long for the file system


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """
    Write a file: whoever reads sees the old one or the new one, never a part of one.

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
    try:
        file = part.open("wb")
    except FileNotFoundError:  # the folder is made only where it is missing, which is rare
        part.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("wb")
    with file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())

"""Text of files that a user put into one folder, read by a process that can do nothing else."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from reference_app.safety import RefusedError
from reference_app.safety.reader import REFUSED

KINDS = ("txt", "md", "csv", "json")
MAX_NAME_CHARACTERS = 500
MAX_PART_BYTES = 255
REASON_BYTES = 200  # of a reader that refuses
READER = Path(__file__).with_name("reader.py")

_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_ENCODED = re.compile(r"%(?:2e|2f|5c|00|25)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost; sizes in bytes, of the file, of its text and of the reader's memory."""

    file_bytes: int = 2_000_000
    text_bytes: int = 4_000_000
    memory_bytes: int = 512_000_000
    cpu_s: int = 5
    timeout_s: float = 10.0


def read_file(folder: Path, name: str, *, limits: Limits | None = None) -> str:
    """
    The text of a file in the folder or below it.

    This process only opens the file and hands it, open, to a reader that has no environment and may not
    open another file or a socket, write to a file, or use more memory and processor time than it is given;
    where the system permits, it has no network interface either. A user other than root cannot start a
    process from it; root can, as no limit of that kind holds for root.

    Args:
        folder: May itself be a link; no link below it is followed.
        name: From a model, so hostile; parts are separated by `/` on every system.
        limits: None for the usual ones.

    Raises:
        RefusedError: The name leaves the folder or is none, or the file is missing, special, too large or no
            text of its kind, or reading it took too long or broke the reader.
    """
    limits = limits or Limits()
    name = _resolve_dots(name)
    kind = _check_name(name)
    descriptor = _open(folder, name.split("/"))
    try:
        if os.fstat(descriptor).st_size > limits.file_bytes:
            raise _refusal(f"it is larger than {limits.file_bytes} bytes")
        return _read(descriptor, kind, limits)
    finally:
        os.close(descriptor)


def _resolve_dots(name: str) -> str:
    """The name without `.` and `..` that stays inside; no link is followed, so it is the same file."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _refusal(reason: str) -> RefusedError:
    return RefusedError(f"The file is refused: {reason}.")


def _check_name(name: str) -> str:
    """The kind of file; raises for a name that any system could take for more than a name."""
    plain = unicodedata.normalize("NFKC", name)
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise _refusal("its name is empty or too long")
    if (
        not plain.isprintable()
        or any(sign in plain for sign in '\\:*?"<>|')
        or plain.count("/") != name.count("/")
    ):
        raise _refusal("its name holds characters that names of files may not hold")
    if _ENCODED.search(name):
        raise _refusal("its name is percent-encoded")
    for part in plain.split("/"):
        if part in ("", ".", "..") or part != part.strip(" ") or part.endswith("."):
            raise _refusal("its name leaves the folder or is not plain")
        if part.startswith((".", "~")) or _DEVICE.fullmatch(part):
            raise _refusal("its name is kept for the system")
        if len(os.fsencode(part)) > MAX_PART_BYTES:
            raise _refusal("its name is empty or too long")
    kind = plain.rpartition(".")[2].lower()
    if "." not in plain or kind not in KINDS:
        raise _refusal(f"only files that end in {', '.join('.' + one for one in KINDS)} are read")
    return kind


def _open(folder: Path, parts: list[str]) -> int:
    """An open regular file, reached folder by folder, so that no link leads away, even one made meanwhile."""
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal("the folder of files is missing") from error
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            os.close(place)
            place = below
        # A device may act when it is opened, so it is looked at before; and after, as it may have changed.
        if not stat.S_ISREG(os.stat(parts[-1], dir_fd=place, follow_symlinks=False).st_mode):
            raise _refusal("it is no regular file")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(parts[-1], flags, dir_fd=place)
    except OSError as error:
        raise _refusal("there is no such file, or it may not be read, or a link leads to it") from error
    finally:
        os.close(place)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refusal("it is no regular file")
    return descriptor


def _read(descriptor: int, kind: str, limits: Limits) -> str:
    with subprocess.Popen(  # noqa: S603 - our own script, given numbers and one of four words
        [
            sys.executable,
            "-IS",
            str(READER),
            kind,
            *map(str, (limits.file_bytes, limits.text_bytes, limits.memory_bytes, limits.cpu_s)),
        ],
        stdin=descriptor,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        cwd="/",
    ) as process:
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        room = max(limits.text_bytes, REASON_BYTES)
        clock = threading.Timer(limits.timeout_s, stop)
        clock.start()
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe was asked for
            output = process.stdout.read(room + 1)
            if len(output) > room:
                process.kill()
            code = process.wait()
        finally:
            clock.cancel()
    if late.is_set():
        raise _refusal(f"reading it takes longer than {limits.timeout_s} seconds")
    if code == 0:
        return output.decode()
    if code == REFUSED:
        raise _refusal(output.decode("ascii", "replace"))
    raise _refusal("reading it needs more memory, time or rights than it is given")

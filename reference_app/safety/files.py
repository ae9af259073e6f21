"""Text of files that a user put into one folder."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import unicodedata
from pathlib import Path

from reference_app.safety import RefusedError

KINDS = ("txt", "md", "csv", "json")
MAX_NAME_CHARACTERS = 500
MAX_PART_BYTES = 255
MAX_BYTES = 2_000_000

_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_ENCODED = re.compile(r"%(?:2e|2f|5c|00|25)", re.IGNORECASE)


def read_file(folder: Path, name: str, *, max_bytes: int = MAX_BYTES) -> str:
    """
    The text of a file in the folder or below it.

    Rows of a table come one a line, with ` | ` between cells, and JSON on one line.

    Args:
        folder: May itself be a link; no link below it is followed.
        name: From a model, so hostile; parts are separated by `/` on every system.

    Raises:
        RefusedError: The name leaves the folder or is none, or the file is missing, special, too large or no
            text of its kind.
    """
    name = _resolve_dots(name)
    kind = _check_name(name)
    with open(_open(folder, name.split("/")), "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise _refusal(f"it is larger than {max_bytes} bytes")
    try:
        text = data.decode("utf-8-sig")
        if "\0" in text:
            raise _refusal("it is no text")
        if kind == "json":
            text = json.dumps(json.loads(text), ensure_ascii=False)
            text.encode()
        return _read_table(text) if kind == "csv" else text
    except UnicodeError as error:
        raise _refusal("it is not in UTF-8") from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise _refusal(f"it is no {kind.upper()}, or is nested too deeply") from error


def _read_table(text: str) -> str:
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = csv.reader(io.StringIO(text, newline=""), dialect, strict=True)
    return "\n".join(" | ".join(" ".join(cell.split()) for cell in row) for row in rows if row)


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
    strange = not plain.isprintable() or any(sign in plain for sign in '\\:*?"<>|') or _ENCODED.search(name)
    if strange or plain.count("/") != name.count("/"):
        raise _refusal("its name holds characters that names of files may not hold")
    for part in plain.split("/"):
        if part in ("", ".", "..") or part != part.strip(" ") or part.endswith("."):
            raise _refusal("its name leaves the folder or is not plain")
        if part.startswith((".", "~")) or _DEVICE.fullmatch(part) or len(os.fsencode(part)) > MAX_PART_BYTES:
            raise _refusal("its name is kept for the system")
    kind = plain.rpartition(".")[2].lower()
    if "." not in plain or kind not in KINDS:
        raise _refusal(f"only files that end in {', '.join('.' + one for one in KINDS)} are read")
    return kind


def _open(folder: Path, parts: list[str]) -> int:
    """An open regular file, reached folder by folder, so that no link leads away, even one made meanwhile."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refusal("the folder of files is missing") from error
    try:
        for part in parts[:-1]:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=place)
            os.close(place)
            place = below
        # A device may act when it is opened, so it is looked at before.
        if stat.S_ISREG(os.stat(parts[-1], dir_fd=place, follow_symlinks=False).st_mode):
            return os.open(parts[-1], flags, dir_fd=place)
    except OSError as error:
        raise _refusal("there is no such file, or it may not be read, or a link leads to it") from error
    finally:
        os.close(place)
    raise _refusal("it is no regular file")

"""
Runs as a script of its own, apart from the app: reads one file of a user from standard input.

Arguments: kind, bytes of the file, bytes of its text, bytes of memory, seconds of processor time. Writes the
text and ends with 0, or writes why not and ends with 3. Before the first byte is read it gives up what it
does not need. With no descriptor to be had, nothing can be opened, neither a file nor a socket.
"""

from __future__ import annotations

import csv
import ctypes
import encodings.utf_8_sig  # noqa: F401 - found by name later, when no file can be opened
import io
import json
import resource
import sys

REFUSED = 3
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # flags of unshare(2)
NO_NEW_PRIVILEGES = 38  # option of prctl(2)


class UnreadableError(Exception):
    """The file is no text of its kind; the message completes "The file is refused: …"."""


def give_up_rights(memory_bytes: int, cpu_s: int) -> None:
    """Own no network where the system permits, and no more than the limits anywhere."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "unshare"):
        _ = libc.unshare(NEW_USER | NEW_NETWORK) == 0 or libc.unshare(NEW_NETWORK)
    if hasattr(libc, "prctl"):
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def read(kind: str, data: bytes) -> str:
    """The text of a file; rows of a table come one a line, with ` | ` between cells, and JSON on one line."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data:
        raise UnreadableError("it is not in UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("it is not in UTF-8") from None
    if kind == "csv":
        return read_table(text)
    if kind == "json":
        return read_json(text)
    return text


def read_table(text: str) -> str:
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), dialect, strict=True))
    except csv.Error:
        raise UnreadableError("it is no table of comma-separated values") from None
    return "\n".join(" | ".join(" ".join(cell.split()) for cell in row) for row in rows if row)


def read_json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        raise UnreadableError("it is no JSON, or is nested too deeply") from None


def main(kind: str, file_bytes: int, text_bytes: int, memory_bytes: int, cpu_s: int) -> int:
    give_up_rights(memory_bytes, cpu_s)
    data = sys.stdin.buffer.read(file_bytes + 1)
    try:
        output, code = read(kind, data).encode("utf-8"), 0
    except UnreadableError as error:
        output, code = str(error).encode(), REFUSED
    except UnicodeEncodeError:
        output, code = b"it is no text", REFUSED
    for size, limit, what in ((len(data), file_bytes, "it"), (len(output), text_bytes, "its text")):
        if size > limit:
            output, code = f"{what} is larger than {limit} bytes".encode(), REFUSED
    sys.stdout.buffer.write(output)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))

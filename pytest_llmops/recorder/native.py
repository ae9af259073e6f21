"""Native code in this process that can open connections without Python's sockets."""

from __future__ import annotations

import _socket
import re
import struct
import sys
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

_CODE = re.compile(
    r"^\S+ ..x. \S+ \S+ \S+ +(/.*)$", re.MULTILINE
)  # files of code, in the list of what is mapped
# Of Python itself and the system; and models' engines, which can serve or share work and are no clients.
_NO_CLIENTS = re.compile(
    r"/(?:lib(?:c|crypto|ssl|python|resolv|nss|nsl|uuid|anl|pthread|torch|gloo)\b|ld-|_ssl|onnxruntime|xllamacpp)"
    r"|/(?:onnxruntime|xllamacpp|torch|cryptography)/"
)
_loaded = {"libraries": 0, "functions": 0}
_OF_GO = b"\xff Go buildinf:"  # whose programs ask the kernel, and not the library of the system
_SYMBOLS = 11  # the type of an ELF section: symbols that the loader looks up


def may_connect() -> bool:
    """Return whether a library is loaded that calls `connect` of the system by itself, or `ctypes` did."""
    return _loaded["functions"] > 0 or _find_clients(_loaded["libraries"])


def note_loaded() -> None:
    """Note that a library is about to be loaded."""
    _loaded["libraries"] += 1


def note_looked_up() -> None:
    """Note that `ctypes` was asked for a function that connects."""
    _loaded["functions"] += 1


@lru_cache(maxsize=8)
def _find_clients(_: int) -> bool:
    """Look again whenever another library was loaded."""
    try:
        libraries = set(_CODE.findall(Path("/proc/self/maps").read_text(errors="replace")))
        libraries.discard(str(Path("/proc/self/exe").resolve()))
    except OSError:
        return False
    # Python's own extension modules, whose connections the audit events tell of, unless they are built in.
    own = f"{Path(getattr(_socket, '__file__', None) or sys.executable).parent}/"
    return any(
        _calls_connect(library)
        for library in libraries
        if not library.startswith(own) and not _NO_CLIENTS.search(library)
    )


@cache
def _calls_connect(library: str) -> bool:
    """Return whether an ELF file of 64 bits lacks the symbol `connect`, which it then gets, or is of Go."""
    with suppress(OSError, struct.error), Path(library).open("rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        (start,) = struct.unpack_from("<Q", head, 40)
        size, count = struct.unpack_from("<HH", head, 58)
        file.seek(start)
        sections = [
            struct.unpack("<IIQQQQI", entry[:44])
            for entry in (file.read(size) for _ in range(count))
            if len(entry) == size
        ]
        for _, kind, _, _, offset, length, link in sections:
            file.seek(offset)
            if file.read(len(_OF_GO)) == _OF_GO:
                return True
            if kind == _SYMBOLS:
                file.seek(sections[link][4])
                names = file.read(sections[link][5])
                file.seek(offset)
                symbols = file.read(length)
                return any(
                    not defined_in and names.startswith(b"connect\0", name)
                    for name, _, _, defined_in in struct.iter_unpack("<IBBH16x", symbols)
                )
    return False

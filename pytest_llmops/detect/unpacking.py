"""Files as text, gzip and zstd unpacked while they are read, and no more of them than a limit."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from pytest_llmops.errors import ScanError

PACKED = frozenset({".gz", ".zst"})
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MOST_UNPACKED = 1 << 30  # bytes; a few kilobytes can unpack to any number
_SAMPLE = 8192  # bytes in which a file shows that it is no text


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """
    The file's text.

    Raises:
        ScanError: It cannot be read to its end: here, or where it is read.
    """
    with _readable(path), path.open("rb") as file, _unpacked(path, file) as unpacked:
        yield io.TextIOWrapper(unpacked, encoding="utf-8-sig")


def is_text(path: Path) -> bool:
    """Whether a file begins as text does; one that cannot be read may, so that a scan says why it cannot."""
    try:
        with _readable(path), path.open("rb") as file, _unpacked(path, file) as unpacked:
            return b"\0" not in unpacked.read(_SAMPLE)
    except ScanError:
        return True


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise ScanError(f"{path}: cannot be scanned, it is not UTF-8 text") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ScanError(f"{path}: cannot be unpacked, it is cut off or damaged") from error
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror or error}); name files") from error
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # of whichever library there is
            raise
        raise ScanError(f"{path}: cannot be unpacked, it is cut off or damaged") from error


def _unpacked(path: Path, file: BinaryIO) -> io.BufferedReader:
    start = file.read(len(_ZSTD))
    file.seek(0)
    if start.startswith(_GZIP):
        return io.BufferedReader(_Limited(path, cast("BinaryIO", gzip.GzipFile(fileobj=file))))
    if start == _ZSTD:
        return io.BufferedReader(_Limited(path, _open_zstd(path, file)))
    return io.BufferedReader(cast("io.RawIOBase", file))


def _open_zstd(path: Path, file: BinaryIO) -> BinaryIO:
    for name in ("compression.zstd", "zstandard"):
        if find_spec(name.partition(".")[0]) and find_spec(name):
            return cast("BinaryIO", import_module(name).open(file, "rb"))
    raise ScanError(f"{path}: needs: pip install zstandard")


class _Limited(io.RawIOBase):
    """What is unpacked, until it is too much."""

    def __init__(self, path: Path, unpacked: BinaryIO) -> None:
        self._path, self._unpacked, self._left = path, unpacked, _MOST_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader passes one
        read = self._unpacked.read(min(len(buffer), self._left + 1))
        self._left -= len(read)
        if self._left < 0:
            raise ScanError(
                f"{self._path}: unpacks to more than {_MOST_UNPACKED:,} bytes; unpack it and scan that"
            )
        buffer[: len(read)] = read
        return len(read)

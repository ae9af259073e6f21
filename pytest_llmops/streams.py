"""
Output to a reader that may close its end early.

The exit code is the verdict, so a stream that cannot be written (`| head -1`, `>&-`, a full disk) must not
end the run: its file would be missing, and a failed check would look like a passed one.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Windows reports EINVAL for a pipe without a reader. Python has None for a stream that is closed from the
# start, so one that is closed later was closed by the app, which is reported.
_READER_LEFT = (errno.EPIPE, errno.EINVAL)


@dataclass(slots=True)
class Lost:
    """
    Loss of output to stdout.

    Attributes:
        error: The reason; None if nothing was lost, or if the reader closed the stream.
    """

    error: OSError | None = None


@contextmanager
def outlive_readers() -> Iterator[Lost]:
    """
    Keep the process alive when stdout or stderr can no longer be written; further output is dropped.

    Streams that are not the process's own, such as those that pytest captures, stay as they are.
    """
    lost, before = Lost(), (sys.stdout, sys.stderr)
    guarded = sys.stdout, sys.stderr = _guard(sys.stdout, 1, lost), _guard(sys.stderr, 2, Lost())
    try:
        yield lost
    finally:
        for stream in guarded:  # pytest writes to them, even if `sys` has others by now
            if not stream.closed:
                stream.flush()
        sys.stdout.flush()
        if lost.error:
            print(f"stdout: {lost.error.strerror}; what was printed is not complete", file=sys.stderr)  # noqa: T201 - a command talks to its user
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _guard(stream: TextIO | None, descriptor: int, lost: Lost) -> TextIO:
    if stream is None:  # closed, and the next file that is opened would take its place
        return open(_null(descriptor), "w", encoding="utf-8", closefd=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    unbuffered = isinstance(stream.buffer, io.FileIO)  # PYTHONUNBUFFERED
    raw = stream.buffer if unbuffered else getattr(stream.buffer, "raw", None)
    if type(raw) is not io.FileIO or raw.fileno() != descriptor:
        return stream
    stream.flush()
    guarded = _Guarded(descriptor, lost)
    return io.TextIOWrapper(
        guarded if unbuffered else io.BufferedWriter(guarded),  # as Python does
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _null(descriptor: int) -> int:
    """Put the null device in a descriptor's place, so that C code and children write there too."""
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    return descriptor


class _Guarded(io.FileIO):
    """
    A stream that is replaced by the null device when it cannot be written.

    If the app closed its descriptor, the next file that was opened may have got it. That file is not written
    to, and the output is lost.
    """

    def __init__(self, descriptor: int, lost: Lost) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._lost = lost
        self._file = file_of(descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            if file_of(self.fileno()) != self._file:
                self._lose(OSError(errno.EBADF, os.strerror(errno.EBADF)))
                return memoryview(data).nbytes
            return super().write(data)
        except OSError as error:
            if error.errno not in _READER_LEFT:
                self._lose(error)
            _null(self.fileno())
            self._file = file_of(self.fileno())
            return memoryview(data).nbytes

    def _lose(self, error: OSError) -> None:
        """Keep the first error: a thread that writes while streams are replaced meets another."""
        self._lost.error = self._lost.error or error


def file_of(descriptor: int) -> tuple[int, int]:
    """
    Return the device and inode of a descriptor's file.

    Raises:
        OSError: It is closed.
    """
    state = os.fstat(descriptor)
    return state.st_dev, state.st_ino

"""Bytes of requests: addresses, bodies, and what is copied without a look at it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pytest_llmops.features.proxy.way_out import PORTS, Target

PIECE = 64 * 2**10
_MOST_HELD = 32 * 2**20  # bytes that are known whole before any of them is sent
_HOST = re.compile(r"[^/?]*")


class Body(NamedTuple):
    """
    The body of a request.

    Attributes:
        framing: Headers that tell its length.
        start: All of it, unless it is long.
        rest: What is to be sent after the start, as it comes.
    """

    framing: tuple[tuple[str, str], ...]
    start: bytes
    rest: Iterable[bytes]


def read_target(url: str) -> Target:
    """
    Read an address.

    Raises:
        ValueError: It has no host, no such port, or is none of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("it names no http:// or https:// address")
    _, _, rest = url.partition("#")[0].partition("://")
    path = _HOST.sub("", rest, count=1)
    path = path if path.startswith("/") else f"/{path}"
    path = "".join(sign if sign.isascii() else f"%{ord(sign):02X}" for sign in path)
    return Target(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], path)


def read_body(stream: Any, length: str | None, coding: str | None) -> Body:
    """
    Read a body to its end; of a long one as much as fits.

    Args:
        length: The header `Content-Length`; `coding` is `Transfer-Encoding`.

    Raises:
        ValueError: It is damaged, or cut off.
        OSError: The client is silent or gone.
    """
    is_chunked = "chunked" in (coding or "").lower()
    if not is_chunked and length is None:
        return Body((), b"", ())
    pieces = _read_chunks(stream) if is_chunked else _read_pieces(stream, _read_size(length or "", 10))
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) > _MOST_HELD:
            break
    else:
        return Body((("Content-Length", str(len(held))),), bytes(held), ())
    if not is_chunked:
        return Body((("Content-Length", length or ""),), bytes(held), pieces)
    return Body((("Transfer-Encoding", "chunked"),), write_chunk(bytes(held)), _write_chunks(pieces))


def write_chunk(piece: bytes) -> bytes:
    """Return a piece as one of a body without a length; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def copy(read: Callable[[int], bytes], to: socket.socket) -> None:
    """Copy all that comes, until one side ends."""
    with suppress(OSError, ValueError):
        for piece in iter(partial(read, PIECE), b""):
            to.sendall(piece)
    end(to, socket.SHUT_WR)


def end(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    """End a connection that another thread may wait for."""
    with suppress(OSError):
        socket.socket.shutdown(connection, how)  # not that of TLS, which would wait for the other side


def _read_size(text: str, base: int) -> int:
    size = int(text.strip(), base)
    if size < 0:
        raise ValueError("a size below 0")
    return size


def _read_pieces(stream: Any, size: int) -> Iterator[bytes]:
    while size > 0:
        if not (piece := stream.read1(min(size, PIECE))):
            raise ValueError("the body is cut off")
        size -= len(piece)
        yield piece


def _read_chunks(stream: Any) -> Iterator[bytes]:
    while size := _read_size(stream.readline(PIECE).partition(b";")[0].decode("latin-1"), 16):
        yield from _read_pieces(stream, size)
        stream.readline(PIECE)
    while stream.readline(PIECE).strip():  # the trailers
        pass


def _write_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from map(write_chunk, pieces)
    yield write_chunk(b"")

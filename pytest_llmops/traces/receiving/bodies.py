"""Bodies of requests, whole and decompressed, and never larger than the limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from io import BytesIO
from typing import Protocol

from pytest_llmops.traces.decoding.values import DecodingError

MOST_BYTES = 64 * 2**20
_PIECE = 64 * 2**10
_MOST_TRAILERS = 100
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class Readable(Protocol):
    """What a body is read from: a socket's file."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class TooLargeError(Exception):
    """A body is larger than the limit, as it is sent or once it is decompressed."""


def read_body(stream: Readable, headers: Mapping[str, str], most: int = MOST_BYTES) -> bytes:
    """
    The body of a request, as its content encoding has it.

    Raises:
        TooLargeError: It is larger than the limit.
        DecodingError: It is cut off, or not as its headers say.
    """
    if "chunked" in (headers.get("transfer-encoding") or "").lower():
        sent = b"".join(_read_chunks(stream, most))
    else:
        sent = _read_exactly(stream, _read_size(headers.get("content-length") or "0", 10), most)
    encodings = [each.strip().lower() for each in (headers.get("content-encoding") or "").split(",")]
    for encoding in reversed(encodings):
        if encoding not in {"", "identity"}:
            sent = _decompress(encoding, sent, most)
    return sent


def _read_size(text: str, base: int) -> int:
    try:
        size = int(text.strip(), base)
    except ValueError:
        size = -1
    if size < 0:
        raise DecodingError("the size of its body is no number")
    return size


def _read_exactly(stream: Readable, size: int, most: int) -> bytes:
    if size > most:
        raise TooLargeError
    body = stream.read(size)
    if len(body) < size:
        raise DecodingError("its body is cut off")
    return body


def _read_chunks(stream: Readable, most: int) -> Iterator[bytes]:
    while size := _read_size(stream.readline(_PIECE).partition(b";")[0].decode("latin-1"), 16):
        yield _read_exactly(stream, size, most)
        most -= size
        stream.readline(_PIECE)
    for _ in range(_MOST_TRAILERS):
        if not stream.readline(_PIECE).strip():  # which ends them
            return
    raise DecodingError("it has too many trailers")


def _decompress(encoding: str, body: bytes, most: int) -> bytes:
    read = {"gzip": _gunzip, "x-gzip": _gunzip, "deflate": _gunzip, "zstd": _unzstd}.get(encoding)
    if read is None:
        raise DecodingError("its content encoding is not known")
    parts, size = [], 0
    for part in read(body):
        size += len(part)
        if size > most:
            raise TooLargeError
        parts.append(part)
    return b"".join(parts)


def _gunzip(body: bytes) -> Iterator[bytes]:
    """Of gzip every member, as RFC 1952 has it."""
    while body:
        member = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            while body and not member.eof:
                yield member.decompress(body, _PIECE)
                body = member.unconsumed_tail or member.unused_data
        except zlib.error:
            raise DecodingError("it cannot be decompressed") from None
        if not member.eof:
            raise DecodingError("its compressed body is cut off")


def _unzstd(body: bytes) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise DecodingError("it is compressed by zstd; install zstandard to read it") from None
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(BytesIO(body), read_across_frames=True)
        yield from iter(partial(reader.read, _PIECE), b"")
    except zstandard.ZstdError:
        raise DecodingError("it cannot be decompressed") from None

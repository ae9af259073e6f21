"""Bodies of answers as cassettes keep them: JSON, lines of events as text, or bytes in base64."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from pytest_llmops.recorder.providers.reader import mapping

_EVENTS = "event-stream"
_AMAZON = "application/vnd.amazon.eventstream"
_BYTES = ("audio/", "image/", "video/", "application/octet-stream", "application/pdf", "application/zip")
_BASE64 = "base64"
_STRING = 7  # the type of a header of Amazon's frames, and the only one that its services send
_PRELUDE, _CRC = 12, 4
_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def parse_body(content: bytes, content_type: str, *, any_text: bool = False) -> Any:
    """
    Return an answer's JSON; the text of its events if it is a stream; what it is in base64 if it is no text.

    Args:
        any_text: A text that is neither JSON nor a stream is an answer too.

    Raises:
        ValueError: It is none of these.
    """
    if _AMAZON in content_type:
        return "".join(map(_as_line, _read_frames(content)))
    if any(kind in content_type for kind in _BYTES):
        return {_BASE64: base64.b64encode(content).decode("ascii")}
    text = content.decode("utf-8")
    if _EVENTS in content_type:
        return text
    try:
        body = json.loads(text)
    except ValueError:
        if any_text or _are_lines(text):
            return text
        raise
    return body if isinstance(body, (dict, list)) and not _is_a_line(content_type) else text


def encode_body(body: Any, content_type: str = "") -> bytes:
    """The bytes of an answer: events as they came, JSON in a form that means the same."""
    if isinstance(body, str):
        return _write_frames(body) if _AMAZON in content_type else body.encode("utf-8")
    if isinstance(body, Mapping) and set(body) == {_BASE64}:
        return base64.b64decode(body[_BASE64])
    return json.dumps(body).encode("ascii")


def event_lines(text: str) -> Iterator[tuple[str, Any]]:
    """Each line of a stream of events, with the JSON object it carries, or None."""
    for line in text.split("\n"):
        data = line[5:] if line.startswith("data:") else line if line.startswith("{") else ""
        value = None
        if data:
            try:
                value = json.loads(data)
            except (ValueError, RecursionError):
                value = None
        yield line, value if isinstance(value, dict) else None


def rewrite_line(line: str, data: str) -> str:
    """The line with other data in it."""
    return f"{'data: ' if line.startswith('data:') else ''}{data}" + ("\r" if line.endswith("\r") else "")


def _is_a_line(content_type: str) -> bool:
    return any(kind in content_type for kind in ("ndjson", "jsonl", "stream+json"))


def _are_lines(text: str) -> bool:
    lines = [value for line, value in event_lines(text) if line.strip()]
    return len(lines) > 1 and all(value is not None for value in lines)


def decode(content: bytes, encoding: str) -> bytes:
    """
    Undo the content coding of a body.

    Raises:
        ValueError: Nobody here knows it.
        EOFError: The body is cut.
        Exception: What the decoder raises for a damaged body.
    """
    for name in reversed([name.strip().lower() for name in encoding.split(",")]):
        if name in _WINDOW:
            content = _inflate(content, _WINDOW[name])
        elif name == "br":
            content = _first_of("brotli", "brotlicffi").decompress(content)
        elif name == "zstd":
            decoder = _first_of("compression.zstd", "backports.zstd", "zstandard")
            if hasattr(decoder, "ZstdDecompressor") and not hasattr(decoder, "decompress"):
                content = decoder.ZstdDecompressor().decompressobj().decompress(content)
            else:
                content = decoder.decompress(content)
        elif name not in ("", "identity"):
            raise ValueError(f"the content coding {name} is not known")
    return content


def _first_of(*names: str) -> Any:
    """One of these modules, of which the client has one, since it asked for the coding."""
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    raise ValueError(f"none of {', '.join(names)} is installed")


def _inflate(content: bytes, window: int) -> bytes:
    decoder = zlib.decompressobj(window)
    try:
        whole = decoder.decompress(content)
    except zlib.error:
        if window != zlib.MAX_WBITS:
            raise
        decoder = zlib.decompressobj(-zlib.MAX_WBITS)  # as some servers understand `deflate`
        whole = decoder.decompress(content)
    if content and not decoder.eof:
        raise EOFError("the body is cut")
    return whole


# --- Amazon's event streams: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html ---------


def _read_frames(content: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """
    Yield headers and payload of each frame.

    Raises:
        ValueError: The content ends in the middle of one, or is damaged.
    """
    at = 0
    while at < len(content):
        if len(content) - at < _PRELUDE + _CRC:
            raise ValueError("the stream ends in the middle of a frame")
        total, size, crc = struct.unpack_from(">III", content, at)
        if total < _PRELUDE + _CRC or size > total - _PRELUDE - _CRC:
            raise ValueError("a frame of the stream is damaged")
        frame = content[at : at + total]
        if len(frame) < total or zlib.crc32(frame[:8]) != crc:
            raise ValueError("the stream ends in the middle of a frame")
        yield _read_headers(frame[_PRELUDE : _PRELUDE + size]), frame[_PRELUDE + size : -_CRC]
        at += total


def _read_headers(data: bytes) -> dict[str, str]:
    try:
        return _parse_headers(data)
    except (struct.error, IndexError) as error:
        raise ValueError("a header of the stream is damaged") from error


def _parse_headers(data: bytes) -> dict[str, str]:
    headers, at = {}, 0
    while at < len(data):
        end = at + 1 + data[at]
        name = data[at + 1 : end].decode()
        if data[end] != _STRING:
            raise ValueError(f"the header {name} is no text")
        (size,) = struct.unpack_from(">H", data, end + 1)
        headers[name] = data[end + 3 : end + 3 + size].decode()
        at = end + 3 + size
    return headers


def _as_line(frame: tuple[dict[str, str], bytes]) -> str:
    headers, payload = frame
    value: Any = json.loads(payload or b"{}")
    kind = headers.get(":event-type") or headers.get(":exception-type", "")
    if kind == "chunk" and isinstance(written := mapping(value).get("bytes"), str):
        value = {**value, "bytes": json.loads(base64.b64decode(written))}
    return json.dumps({"headers": headers, kind: value}, ensure_ascii=False) + "\n"


def _write_frames(text: str) -> bytes:
    frames = []
    for _, event in event_lines(text):
        if event is None:
            continue
        headers = event["headers"]
        kind = headers.get(":event-type") or headers.get(":exception-type", "")
        value = event[kind]
        if kind == "chunk" and isinstance(value.get("bytes"), dict):
            value = {**value, "bytes": base64.b64encode(json.dumps(value["bytes"]).encode()).decode()}
        frames.append(_write_frame(headers, json.dumps(value).encode()))
    return b"".join(frames)


def _write_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    parts = []
    for name, value in headers.items():
        key, data = name.encode(), value.encode()
        parts.append(bytes([len(key)]) + key + bytes([_STRING]) + struct.pack(">H", len(data)) + data)
    head = b"".join(parts)
    prelude = struct.pack(">II", _PRELUDE + len(head) + len(payload) + _CRC, len(head))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return frame + struct.pack(">I", zlib.crc32(frame))

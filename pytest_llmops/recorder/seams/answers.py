"""Answers as they come over a connection, and as they are given back without one."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_llmops.recorder.bodies import decode
from pytest_llmops.recorder.egress import MOST_ANSWERED
from pytest_llmops.recorder.exchange import Exchange

if TYPE_CHECKING:
    from http.client import HTTPMessage

_HIT = re.compile(r"\b(?:tcp_(?:\w+_)?)?hit\b", re.IGNORECASE)


class Given(io.BytesIO):
    """A socket from which an HTTP response can be read, without a connection."""

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self.getvalue())

    def settimeout(self, _: float | None) -> None:
        """Take a time limit; nothing here waits."""

    def shutdown(self, _: int) -> None:
        """End nothing."""

    def sendall(self, _: bytes) -> None:
        """Send nothing."""


class BoundedBytes:
    """The bytes of an answer as they come; of one that is too long to be looked at, none."""

    def __init__(self, head: bytes = b"") -> None:
        self._parts, self._size = [head], 0

    def add(self, data: bytes) -> None:
        self._size += len(data)
        if self.fault:
            self._parts.clear()
        else:
            self._parts.append(data)

    @property
    def fault(self) -> str:
        """Why they cannot be looked at; empty where they can."""
        return f"the answer has more than {MOST_ANSWERED >> 20} MiB" if self._size > MOST_ANSWERED else ""

    def join(self) -> bytes:
        return b"".join(self._parts)


class Answer(NamedTuple):
    """
    An HTTP response, its transfer and content codings undone.

    Attributes:
        whole: False where it is cut.
        fault: Why nobody can read its body; empty where one can, or where it is only cut.
    """

    status: int
    headers: HTTPMessage
    content: bytes
    whole: bool
    fault: str = ""

    def give(self, exchange: Exchange, *, left: bool) -> None:
        """
        Log it as the answer of a call.

        Args:
            left: The app stopped reading it, so that a missing end is no fault of the provider.
        """
        fault = self.fault
        if not self.whole and not left:
            fault = fault or "the connection was closed in the middle of the answer"
        if fault:
            exchange.fail(fault, status=self.status)
            return
        exchange.answer(
            self.status,
            self.headers.get("content-type", ""),
            self.content,
            whole=self.whole,
            cached=is_cached(self.headers.items()),
        )


def write_answer(content_type: str, body: bytes) -> bytes:
    """Write a response of status 200, after which the connection is closed."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode("latin-1") + body


def read_answer(raw: bytes, method: str) -> Answer | None:
    """Read a response from the bytes of a connection; None where even its head is missing."""
    from http.client import HTTPException, HTTPResponse

    response = HTTPResponse(Given(raw), method=method)  # type: ignore[arg-type] # `makefile` is all it uses
    try:
        response.begin()
    except (HTTPException, ValueError, OSError):
        return None
    content, whole = b"", True
    try:
        content = response.read()
    except HTTPException as error:
        content, whole = getattr(error, "partial", b""), False
    except (ValueError, OSError):
        whole = False
    content, whole, fault = undo_coding(content, response.headers.get("content-encoding", ""), whole=whole)
    return Answer(response.status, response.headers, content, whole, fault)


def undo_coding(content: bytes, encoding: str, *, whole: bool) -> tuple[bytes, bool, str]:
    """
    Undo the content coding of a body.

    Args:
        whole: All of it came.

    Returns:
        The body, empty where nobody can read it; whether all of it is there; and the fault of one that is
        damaged. One that is cut, or in a coding that nobody here knows, is just not all there.
    """
    try:
        return decode(content, encoding), whole, ""
    except ValueError:
        return b"", False, ""
    except Exception as error:  # noqa: BLE001 - whichever decoder it is
        is_damaged = whole or isinstance(error, zlib.error)  # others tell a cut by the same error
        return b"", False, f"the answer is damaged: it is no {encoding}" if is_damaged else ""


def is_cached(headers: Iterable[tuple[str, str]]) -> bool:
    """True if a cache reports a hit, as `x-cache` and `cf-cache-status` do, whatever the cache is called."""
    return any("cache" in name.lower() and _HIT.search(value) for name, value in headers)

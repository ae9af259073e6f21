"""
Requests of `http.client`, and of all that is built on it: urllib, urllib3, requests, botocore.

A request is collected in place of being sent. When its response is asked for, it is known whole: then it is
replayed without a connection, or the connection is opened and it is sent.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.egress import (
    MOST_COLLECTED,
    TOO_LONG,
    Egress,
    begin,
    is_listening,
    looking,
    note_connection,
    note_unread,
    pass_unread,
    refuse,
    refuse_unread,
)
from pytest_llmops.recorder.exchange import Exchange
from pytest_llmops.recorder.identity import is_loopback
from pytest_llmops.recorder.patches import Change
from pytest_llmops.recorder.processes import note_looked
from pytest_llmops.recorder.seams.answers import BoundedBytes, Given, read_answer, undo_coding, write_answer

LIBRARIES = ("http.client", "urllib3.connection")
_HTTP, _HTTPS = 80, 443
_TUNNEL = ("_tunnel_host", "_tunnel_port", "_tunnel_headers")
_REQUEST_SENT = "Request-sent"  # of a connection, in `http.client`
_SENDING = frozenset({"sendmsg", "sendto", "sendfile", "makefile", "detach", "dup"})
_GOES_ON = "asks for another protocol (Upgrade), or waits for leave to send its body (Expect)"
_MORE = re.compile(rb"\r\n(?:upgrade|expect):", re.IGNORECASE)  # more than a request and its response


def find_clients() -> Iterator[Change]:
    """Yield the methods of the connections that are imported by now."""
    if (plain := sys.modules.get("http.client")) is not None and hasattr(plain, "HTTPSConnection"):
        yield plain.HTTPConnection, "putrequest", _collect
        yield plain.HTTPConnection, "getresponse", _answer
        pooled = getattr(sys.modules.get("urllib3.connection"), "HTTPSConnection", None)
        # A fork of urllib3 goes by the same name and does not rest on `http.client`.
        if pooled is not None and issubclass(pooled, plain.HTTPConnection):
            yield pooled, "connect", _wait  # which pools call before there is a request


class _Waiting:
    """
    Stands where a connection's socket is, and collects what is sent.

    Attributes:
        real: The socket of an open connection, which is used again; None where there is none yet.
    """

    def __init__(self, connection: Any, real: Any = None) -> None:
        self.real = real
        self._sent = bytearray()
        self._has_head = False
        self._connection = connection
        self._timeout = connection.timeout  # of the connection; clients set another one for the answer

    def sendall(self, data: Any) -> None:
        self._sent += data
        head: bytes | bytearray = b""
        if not self._has_head:
            head, end, _ = self._sent.partition(b"\r\n\r\n")
            self._has_head = bool(end)
        is_long = len(self._sent) > MOST_COLLECTED
        if self._has_head and (_MORE.search(head) or is_long):
            raw = self.take()
            request = _read_request(self._connection, raw)
            if is_long:
                pass_unread(request, TOO_LONG)
            else:
                refuse_unread(request, _GOES_ON)
                note_connection(request.host, request.port or self._connection.port)
            self.transmit(raw, request.host)
            if not is_long:
                note_unread(self.real)

    def take(self) -> bytes:
        """Take what was collected, which is the caller's to send or to replay from now on."""
        raw = bytes(self._sent)
        self._sent.clear()
        return raw

    def send(self, data: Any) -> int:
        self.sendall(data)
        return len(data)

    def transmit(self, raw: bytes, host: str) -> None:
        """
        Open the connection unless it is open, and send a request.

        Args:
            host: Of the request; the connection may be to a proxy.
        """
        with looking(host):
            was_open = self.real is not None
            self.open()
            self._connection.sock = self.real
            if was_open and is_loopback(host):
                self._note_peer()
            note_looked(self.real)
            self.real.sendall(raw)

    def _note_peer(self) -> None:
        """Note another machine to which a request to this one goes, on a connection of an earlier one."""
        with suppress(OSError):
            peer = self.real.getpeername()
            if isinstance(peer, tuple) and not is_loopback(peer[0]):  # a socket of a file has a path
                note_connection(peer[0], peer[1], opened=self.real)

    def disconnect(self) -> None:
        """Close the connection, so that a request is sent on a new one; after a pause the old may be dead."""
        if self.real is not None:
            with suppress(OSError):
                self.real.close()
        self.real = None

    def open(self) -> None:
        connection = self._connection
        if self.real is not None:
            return
        connection.sock = None
        timeout, connection.timeout = connection.timeout, self._timeout
        try:
            connection.connect()
        finally:
            connection.timeout = timeout
        self.real = connection.sock
        if timeout is None or isinstance(timeout, int | float):
            self.real.settimeout(timeout)

    def settimeout(self, timeout: float | None) -> None:
        if self.real is not None:
            self.real.settimeout(timeout)

    def shutdown(self, how: int) -> None:
        if self.real is not None:
            self.real.shutdown(how)

    def close(self) -> None:
        if self._has_head and self._sent:
            self._send_unanswered()
        if self.real is not None:
            self.real.close()

    def _send_unanswered(self) -> None:
        """Send a request whose response nobody asks for."""
        raw = self.take()
        try:
            request = _read_request(self._connection, raw)
            exchange = _begin(request) if is_listening() else None
        except (CassetteError, ValueError):  # the log has it, and whoever closes expects none
            return
        if exchange is None or exchange.replay is None:
            with suppress(OSError):
                self.transmit(raw, request.host)
            self._connection.sock = None
        if exchange is not None:
            exchange.fail("the app closed the connection before the answer came")

    def fileno(self) -> int:
        return -1 if self.real is None else int(self.real.fileno())

    def __getattr__(self, name: str) -> Any:
        connection = self._connection
        if name in _SENDING:
            note_connection(connection.host, connection.port)
        with looking(connection.host):  # who asks for more than this needs the connection
            self.open()
            connection.sock = self
        if name in _SENDING:
            self.real.sendall(self.take())
            note_unread(self.real)
        return getattr(self.real, name)


def _wait(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def connect(self: Any) -> Any:
        if not is_listening():
            return original(self)
        self.sock = _Waiting(self)
        self.is_verified = True  # else urllib3 warns of a certificate that nobody looked at
        return None

    return connect


def _collect(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def putrequest(self: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        if is_listening() and not isinstance(self.sock, _Waiting):
            self.sock = _Waiting(self, self.sock)
        return original(self, method, url, *args, **options)

    return putrequest


def _answer(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def getresponse(self: Any, *args: Any, **options: Any) -> Any:
        waiting = self.sock
        if not isinstance(waiting, _Waiting):
            return original(self, *args, **options)
        raw = waiting.take()
        if not raw and waiting.real is not None:  # sent already, by a method of the socket
            self.sock = waiting.real
            return original(self, *args, **options)
        try:
            request = _read_request(self, raw)
            exchange = _begin(request) if is_listening() else None
        except BaseException:
            self.close()
            raise
        if exchange is not None and exchange.replay is not None:
            waiting.close()
            self.sock = Given(write_answer(*exchange.replay))
            return original(self, *args, **options)

        def fetch() -> Any:
            waiting.transmit(raw, request.host)
            with looking():
                return original(self, *args, **options)

        try:
            response = fetch() if exchange is None else _send(self, waiting, exchange, fetch)
        except BaseException as error:
            if exchange is not None:
                exchange.fail(error)
            raise
        if exchange is not None and response.fp is not None:
            response.fp = _WatchedFile(response, exchange, request.method)
        return response

    return getresponse


def _send(connection: Any, waiting: _Waiting, exchange: Exchange, fetch: Callable[[], Any]) -> Any:
    """Send a call once its provider's limits let it, and again while they refuse it; return the response."""
    tunnel = {name: getattr(connection, name) for name in _TUNNEL}
    while True:
        exchange.wait()
        response = fetch()
        if not exchange.is_refused(response.status, response.headers):
            return response
        body = response.read()
        plain, _, _ = undo_coding(body, response.headers.get("content-encoding", ""), whole=True)
        if not exchange.goes_again(response.headers, plain):
            # Back to where nobody has read it.
            del response.headers["transfer-encoding"]
            del response.headers["content-length"]
            response.headers["content-length"] = str(len(body))
            response.fp, response.length, response.chunked = io.BytesIO(body), len(body), False
            return response
        waiting.disconnect()
        for name, value in tunnel.items():  # which the end of a connection makes some clients forget
            setattr(connection, name, value)
        connection._HTTPConnection__response = None  # noqa: SLF001 - nothing else asks for one more response
        connection._HTTPConnection__state = _REQUEST_SENT  # noqa: SLF001 - as above


def _begin(request: Egress) -> Exchange | None:
    """
    Begin a call as `begin` does.

    Raises:
        CassetteError: It may not be made, or another request follows at once.
    """
    headers = {name.lower(): value for name, value in request.headers}
    length = headers.get("content-length", "0")
    is_whole = "transfer-encoding" in headers or not length.isdecimal() or len(request.content) <= int(length)
    if not is_whole:
        refuse(
            f"{request.method} {request.path} is followed by more than its body, so it cannot be read: send "
            "one request after the other"
        )
    return begin(request)


def _read_request(connection: Any, raw: bytes) -> Egress:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, target = first.partition(" ")
    target = target.rpartition(" ")[0]
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    if any(name.lower() == "transfer-encoding" and "chunked" in value for name, value in headers):
        body = _join_chunks(body)
    url = urlsplit(target) if "://" in target.partition("?")[0] else None
    if url is not None and url.hostname:  # by way of a proxy
        host, port = url.hostname, url.port
        target = f"{url.path}?{url.query}"
    else:
        host = connection._tunnel_host or connection.host  # noqa: SLF001 - the way of a proxy for https
        port = connection._tunnel_port if connection._tunnel_host else connection.port  # noqa: SLF001
    usual = port in (_HTTP, _HTTPS)
    return Egress(
        method=method,
        host=host.strip("[]"),
        port=None if usual else port,
        path=target.partition("?")[0],
        query=target.partition("?")[2],
        headers=headers,
        content=body,
    )


def _join_chunks(body: bytes) -> bytes:
    parts, rest = [], io.BytesIO(body)
    try:
        while size := int(rest.readline().partition(b";")[0].strip() or b"0", 16):
            parts.append(rest.read(size))
            rest.readline()
    except ValueError:  # the header names a coding that the body has not
        return body
    return b"".join(parts)


class _WatchedFile:
    """The body of a response, handed on as it is read, and logged once it is closed."""

    def __init__(self, response: Any, exchange: Exchange, method: str) -> None:
        self._file, self._exchange, self._method = response.fp, exchange, method
        head = f"HTTP/1.1 {response.status} OK\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        self._raw = BoundedBytes(f"{head}\r\n".encode("latin-1", "replace"))
        self._at_end = False
        exchange.leave = self.finish

    def read(self, *size: int) -> bytes:
        return self._keep(self._file.read, *size, wanted=size[0] if size and size[0] is not None else -1)

    def read1(self, *size: int) -> bytes:
        return self._keep(self._file.read1, *size, wanted=-1)

    def readline(self, *size: int) -> bytes:
        return self._keep(self._file.readline, *size, wanted=1)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            self.finish()

    def finish(self) -> None:
        """Log the answer, as far as it was read."""
        if self._raw.fault:
            self._exchange.fail(self._raw.fault)
            return
        answer = read_answer(self._raw.join(), self._method)
        if answer is not None:
            answer.give(self._exchange, left=not self._at_end)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)  # `peek`, `flush`, `closed`

    def _keep(self, read: Callable[..., bytes], *size: int, wanted: int) -> bytes:
        try:
            data = read(*size)
        except BaseException as error:
            self._exchange.fail(error, status=200)
            raise
        self._at_end = self._at_end or (not data and wanted != 0) or len(data) < wanted
        self._raw.add(data)
        return data

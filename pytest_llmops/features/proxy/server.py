"""
The server of the proxy: one thread per connection, none of which can keep a session from ending.

A request is sent on by `http.client` of this process, in the context of the case that started the sender. So
the seam of `http.client` records, replays or refuses it as any other of the case's.
"""

from __future__ import annotations

import base64
import json
import re
import select
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from pytest_llmops.errors import CassetteError, describe_error
from pytest_llmops.features.proxy.certificates import Authority
from pytest_llmops.features.proxy.children import BASE, NO_CASE
from pytest_llmops.features.proxy.way_out import PORTS, Target, WayOut
from pytest_llmops.printable import counted, name_counts, printable
from pytest_llmops.recorder.egress import looking, note_connection
from pytest_llmops.recorder.threads import start_outside

_PIECE = 64 * 2**10
_MOST_HELD = 32 * 2**20  # bytes of a body that is known whole before any of it is sent
_MOST_PLACES = 100  # that are named, since a sender may choose them
_SILENCE_S = 300.0  # after which a connection without data is closed
_FIRST_S = 1.0  # in which a client speaks first, if it is one of HTTP
_LAST_S = 2.0
_POLL_S = 0.02
_HANDSHAKE = 0x16  # the first byte of TLS
_HTTP = re.compile(rb"(?!PRI )[A-Z]+ ")  # the preface of HTTP/2 is PRI
_LED = re.compile(rf"/{BASE}/(?P<token>\w+)/(?P<scheme>https?)/(?P<rest>.*)", re.DOTALL)
_PER_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "http2-settings", "expect",
})  # fmt: skip
_HERE = ("127.0.0.1", "localhost")


@dataclass(slots=True)
class Notes:
    """
    Counts of what could not be looked at, by destination.

    Attributes:
        distrusted: Clients left when they saw the certificate of the proxy.
        broken: Requests on which the proxy itself broke.
    """

    distrusted: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: Counter[str], place: str) -> None:
        with self._lock:
            kind[place if len(kind) < _MOST_PLACES or place in kind else "other places"] += 1

    def errors(self) -> Iterator[str]:
        """Yield a sentence for each kind."""
        if count := self.distrusted.total():
            yield (
                f"error: {counted(count, 'connection')} of other processes ended before a request, most likely "
                f"since the client does not accept the certificate of --llm-proxy: {_name(self.distrusted)}; let "
                "it trust the file that SSL_CERT_FILE names, or list the host in NO_PROXY and under "
                "`record: {allow: …}`"
            )
        if count := self.broken.total():
            yield f"error: --llm-proxy broke on {counted(count, 'request')}: {_name(self.broken)}"


def _name(places: Counter[str]) -> str:
    return name_counts({printable(place, 100): count for place, count in places.items()})


class Server(ThreadingHTTPServer):
    """
    Listens on a free port of 127.0.0.1 until it is closed.

    Attributes:
        context_of: Returns the context of a case by its token.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, authority: Authority, way_out: WayOut, notes: Notes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authority, self.way_out, self.notes = authority, way_out, notes
        self.context_of: Callable[[str], Context] = lambda _: Context()
        self.sockets: WeakSet[socket.socket] = WeakSet()
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_S,), daemon=True)
        start_outside(self._thread)

    @property
    def port(self) -> int:
        return self.server_port

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.sockets.add(connection)
        return connection, address

    def close(self) -> None:
        self.shutdown()
        self._thread.join(_LAST_S)
        self.server_close()
        for connection in list(self.sockets):
            _end(connection)

    def handle_error(self, *_: Any) -> None:
        """Note a fault, which must not be lost in a thread; clients that go away are none."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.notes.count(self.notes.broken, describe_error(error))


class _Handler(BaseHTTPRequestHandler):
    """
    Attributes:
        tunnel: Where a client has asked to be connected to; it believes to talk to that host.
        token: Of the case, as it was sent with that request.
    """

    protocol_version = "HTTP/1.1"
    timeout = _SILENCE_S
    server: Server
    tunnel: Target | None = None
    token: str = NO_CASE

    def log_message(self, *_: Any) -> None:
        """Print nothing: the terminal is the report's."""

    def finish(self) -> None:
        super().finish()
        with suppress(OSError):  # one of TLS took the place of the socket that the server closes
            self.connection.close()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of HTTP/1.1, and note where it was to go."""
        if self.tunnel is not None:
            with suppress(CassetteError):
                self._note_unread(self.tunnel)
        self._refuse(code, explain or message or "this is no request of HTTP/1.1")

    # --- a request ------------------------------------------------------------------------------------------

    def _do(self) -> None:
        try:
            target, token = self._find_target()
        except ValueError as error:
            self.send_error(400, str(error))
            return
        try:
            self.server.context_of(token).run(self._send_on, target)
        except Exception as error:  # noqa: BLE001 - a fault that a sender can cause must not be lost in a thread
            self.server.notes.count(self.server.notes.broken, f"{target.authority} ({describe_error(error)})")
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_TRACE = _do  # noqa: N815

    def _find_target(self) -> tuple[Target, str]:
        """
        Return where a request is to go, and the token of its case.

        Raises:
            ValueError: It names no host.
        """
        url, token = self.path, self._read_token() or self.token
        if "://" not in url.partition("?")[0]:
            scheme, authority = (self.tunnel.scheme, self.tunnel.authority) if self.tunnel else ("http", "")
            url = f"{scheme}://{authority or f'127.0.0.1:{self.server.port}'}{url}"
        target = _read_target(url)
        if target.port == self.server.port and target.host in _HERE:
            if (led := _LED.fullmatch(target.path)) is None:
                raise ValueError("this is the proxy of pytest-llmops, and the request names no other host")
            target, token = _read_target(f"{led['scheme']}://{led['rest']}"), led["token"]
        return target, token

    def _read_token(self) -> str:
        scheme, _, credentials = (self.headers.get("proxy-authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return ""
        with suppress(ValueError):
            return base64.b64decode(credentials).decode("latin-1").partition(":")[0]
        return ""

    def _send_on(self, target: Target) -> None:
        try:
            framing, held, rest = self._read_body()
        except (ValueError, OSError):  # cut, or silent: nothing of it leaves
            self._refuse(400, "the body of the request is cut off or damaged")
            return
        connection, path, added = self.server.way_out.connect(target)
        try:
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (*self._list_headers(target), *framing, *added.items()):
                connection.putheader(name, value)
            connection.endheaders(held)
            for piece in rest:
                connection.send(piece)
            with self._watch_client(connection):
                response = connection.getresponse()
        except CassetteError as error:
            connection.close()
            self._refuse(403, str(error))
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            self._refuse(502, f"{target.authority} gave no answer: {describe_error(error)}")
        else:
            try:
                self._pass_on(response, connection)
            finally:
                response.close()
                connection.close()

    def _list_headers(self, target: Target) -> Iterator[tuple[str, str]]:
        dropped = _PER_HOP | {"content-length", "host", "accept-encoding"} | _named(self.headers.get("connection"))
        yield "Host", target.authority
        for name, value in self.headers.items():
            if name.lower() not in dropped:
                yield name, value
        if "gzip" in (self.headers.get("accept-encoding") or ""):
            yield "Accept-Encoding", "gzip"  # of what a client can read, what surely can be read here
        if self._wants_websocket():
            yield from (("Connection", "Upgrade"), ("Upgrade", "websocket"))

    def _wants_websocket(self) -> bool:
        return (self.headers.get("upgrade") or "").lower() == "websocket"

    def _read_body(self) -> tuple[list[tuple[str, str]], bytes, Iterable[bytes]]:
        """
        Read a body, and return headers that tell its length, its bytes, and those of a long one to be sent after.

        Raises:
            ValueError, OSError: It is damaged, or the client left.
        """
        length = self.headers.get("content-length")
        is_chunked = "chunked" in (self.headers.get("transfer-encoding") or "").lower()
        if not is_chunked and length is None:
            return [], b"", ()
        pieces = _read_chunks(self.rfile) if is_chunked else _read_pieces(self.rfile, _read_size(length or "", 10))
        held = bytearray()
        for piece in pieces:
            held += piece
            if len(held) > _MOST_HELD:
                break
        else:
            return [("Content-Length", str(len(held)))], bytes(held), ()
        if not is_chunked:
            return [("Content-Length", length or "")], bytes(held), pieces
        chunks = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        return [("Transfer-Encoding", "chunked")], b"%x\r\n%b\r\n" % (len(held), held), _ended(chunks)

    @contextmanager
    def _watch_client(self, connection: HTTPConnection) -> Iterator[None]:
        """Close a connection whose answer nobody waits for any more: the call has failed, and is tried again."""
        done = threading.Event()
        if hangs_up := getattr(select, "POLLRDHUP", 0):
            poll = select.poll()
            poll.register(self.connection, hangs_up)

            def watch() -> None:
                while not done.is_set():
                    if poll.poll(100):
                        opened = connection.sock
                        if isinstance(opened, socket.socket) and not done.is_set():
                            _end(opened)
                            return
                        done.wait(_POLL_S)

            start_outside(threading.Thread(target=watch, daemon=True))
        try:
            yield
        finally:
            done.set()

    # --- an answer ------------------------------------------------------------------------------------------

    def _pass_on(self, response: HTTPResponse, connection: HTTPConnection) -> None:
        """Send a response on as it comes; its end only once the call is in the log."""
        is_switched = response.status == 101  # noqa: PLR2004 - of HTTP
        has_body = self.command != "HEAD" and response.status not in {101, 204, 304}
        is_chunked = has_body and response.length is None and self.request_version == "HTTP/1.1"
        self.close_connection = self.close_connection or (has_body and response.length is None and not is_chunked)
        self.send_response_only(response.status, response.reason)
        dropped = _PER_HOP | _named(response.headers.get("connection"))
        for name, value in response.getheaders():
            if name.lower() not in dropped:
                self.send_header(name, value)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if is_switched:
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "websocket")
        elif self.close_connection:
            self.send_header("Connection", "close")
        try:
            self.end_headers()
            if is_switched:
                self._relay(response.fp.read1, connection.sock)
                return
            while has_body and (piece := response.read1(_PIECE)):
                if response.length == 0:
                    response.read1(1)  # to its end, by which the log knows that it is whole
                    response.close()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            if has_body and response.length:
                raise HTTPException("the answer is cut off")  # noqa: TRY301 - as other cut answers
            response.close()
            if is_chunked:
                self.wfile.write(b"0\r\n\r\n")
        except (OSError, HTTPException):  # here or there somebody left: the client must not take it for an end
            self.close_connection = True
            response.close()
            _end(self.connection)

    def _refuse(self, status: int, message: str) -> None:
        self.close_connection = True
        body = json.dumps({"error": {"message": printable(message, 1000), "type": "pytest_llmops_proxy"}}).encode()
        with suppress(OSError):
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    # --- a tunnel -------------------------------------------------------------------------------------------

    def do_CONNECT(self) -> None:  # noqa: N802 - a name that `http.server` looks for
        self.token = self._read_token()
        try:
            target = _read_target(f"https://{self.path}")
        except ValueError as error:
            self.send_error(400, str(error))
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.close_connection = False  # whatever the client wants of the connection to a proxy
        if self._begins_tls():
            self._play(target)
        elif first := self._peek():
            self.tunnel = target._replace(scheme="http")
            if not _HTTP.match(first):
                self._pass_unread(self.tunnel, is_tls=False)

    def _begins_tls(self) -> bool:
        return self._peek()[:1] == bytes([_HANDSHAKE])

    def _peek(self) -> bytes:
        """Return the first bytes of a tunnel; a space for a client that waits for the server to speak."""
        if not select.select([self.connection], [], [], _FIRST_S)[0]:
            return b" "
        return self.connection.recv(16, socket.MSG_PEEK)

    def _play(self, target: Target) -> None:
        """Play the part of a host, to see what is sent to it."""
        first = b""
        with suppress(OSError, ValueError):  # a name that no host can have has no certificate
            context = self.server.authority.context_for(target.host)
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.server.sockets.add(self.connection)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
            self.tunnel = target
            first = self.rfile.peek(1)  # type: ignore[attr-defined] # a BufferedReader
        if not first:
            self.close_connection = True
            self.server.notes.count(self.server.notes.distrusted, f"{target.host}:{target.port}")
            with suppress(CassetteError):
                self._note_unread(target)
        elif not _HTTP.match(first):
            self._pass_unread(target, is_tls=True)

    def _note_unread(self, target: Target) -> None:
        """
        Note a connection in which nobody can look.

        Raises:
            CassetteError: It may not be made.
        """
        self.server.context_of(self.token).run(note_connection, target.host, target.port, target.host)

    def _pass_unread(self, target: Target, *, is_tls: bool) -> None:
        """Connect a client with a host in some other protocol, if the mode lets it."""
        self.close_connection = True
        with suppress(CassetteError, OSError, HTTPException), looking():
            self._note_unread(target)
            connection = self.server.way_out.tunnel(target._replace(scheme="https" if is_tls else "http"))
            with closing(connection):
                connection.connect()
                self._relay(connection.sock.recv, connection.sock)

    def _relay(self, read: Callable[[int], bytes], other: socket.socket) -> None:
        self.close_connection = True
        self.connection.settimeout(None)
        other.settimeout(None)
        self.server.sockets.add(other)
        read_here = self.rfile.read1  # type: ignore[attr-defined] # a BufferedReader
        start_outside(threading.Thread(target=_copy, args=(read_here, other), daemon=True))
        _copy(read, self.connection)
        _end(other)


def _read_target(url: str) -> Target:
    """
    Read an address.

    Raises:
        ValueError: It has no host, no such port, or is none of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("only http:// and https:// are sent on")
    rest = url.partition("://")[2].partition("#")[0]
    path = rest[re.match(r"[^/?]*", rest).end() :]  # type: ignore[union-attr] # it matches nothing too
    path = path if path.startswith("/") else f"/{path}"
    shown = "".join(sign if sign.isascii() else f"%{ord(sign):02X}" for sign in path)
    return Target(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], shown)


def _named(connection: str | None) -> set[str]:
    """The headers that concern one connection alone, as one of them lists."""
    return {name.strip().lower() for name in (connection or "").split(",")}


def _read_size(text: str, base: int) -> int:
    size = int(text.strip(), base)
    if size < 0:
        raise ValueError("a size below 0")
    return size


def _read_pieces(stream: Any, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = stream.read1(min(size, _PIECE))
        if not piece:
            raise ValueError("the body is cut off")
        size -= len(piece)
        yield piece


def _read_chunks(stream: Any) -> Iterator[bytes]:
    while size := _read_size(stream.readline(_PIECE).partition(b";")[0].decode("latin-1"), 16):
        yield from _read_pieces(stream, size)
        stream.readline(_PIECE)
    while stream.readline(_PIECE).strip():  # the trailers
        pass


def _ended(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b"0\r\n\r\n"


def _copy(read: Callable[[int], bytes], to: socket.socket) -> None:
    with suppress(OSError, ValueError):
        for piece in iter(partial(read, _PIECE), b""):
            to.sendall(piece)
    _end(to, socket.SHUT_WR)


def _end(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, how)

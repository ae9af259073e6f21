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
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from weakref import WeakSet

from pytest_llmops.errors import CassetteError, StopAppError, describe_error
from pytest_llmops.features.proxy.certificates import Authority
from pytest_llmops.features.proxy.children import BASE, NO_CASE
from pytest_llmops.features.proxy.way_out import Target, WayOut
from pytest_llmops.features.proxy.wire import PIECE, copy, end, read_body, read_target, write_chunk
from pytest_llmops.printable import counted, name_counts, printable
from pytest_llmops.recorder.egress import looking, note_connection
from pytest_llmops.recorder.threads import start_outside

_MOST_REASONS = 100  # that are kept apart, since a sender may choose them
_SILENCE_S = 300.0  # after which a connection without data is closed
_FIRST_S = 1.0  # in which a client speaks first, if it is one of HTTP
_LAST_S = 2.0
_POLL_S = 0.02
_LOOK_MS = 100
_HANGS_UP: int = getattr(select, "POLLRDHUP", 0)  # Linux
_SWITCHED = 101  # to another protocol, of which HTTP knows no more
_BODILESS = (_SWITCHED, 204, 304)
_TLS = b"\x16"  # the first byte of a handshake
_HTTP = re.compile(rb"(?!PRI )[A-Z]+ ")  # the preface of HTTP/2 is PRI
_LED = re.compile(rf"/{BASE}/(?P<token>\w+)/(?P<scheme>https?)/(?P<rest>.*)", re.DOTALL)
_HERE = ("127.0.0.1", "localhost")
_PER_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade", "http2-settings", "expect",
})  # fmt: skip
_REWRITTEN = frozenset({"host", "content-length", "accept-encoding"})


@dataclass(slots=True)
class Notes:
    """
    Counts of what could not be looked at.

    Attributes:
        distrusted: Clients that left when they saw the certificate of the proxy, by destination.
        unread: Requests that could not be read, by reason.
    """

    distrusted: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: Counter[str], reason: str) -> None:
        with self._lock:
            kind[reason if len(kind) < _MOST_REASONS or reason in kind else "others"] += 1

    def errors(self) -> Iterator[str]:
        """Yield a sentence for each kind."""
        if count := self.distrusted.total():
            places = name_counts({printable(place, 100): count for place, count in self.distrusted.items()})
            yield (
                f"error: {counted(count, 'connection')} of other processes ended before a request, most "
                f"likely since the client does not accept the certificate of --llm-proxy: {places}; let it "
                "trust the file that SSL_CERT_FILE names, or list the host in NO_PROXY and under "
                "`record: {allow: …}`"
            )
        if count := self.unread.total():
            reasons = "; ".join(printable(reason, 200) for reason in sorted(self.unread)[:3])
            yield f"error: --llm-proxy could not send on {counted(count, 'request')}: {reasons}"


class Server(ThreadingHTTPServer):
    """
    Listens on a free port of 127.0.0.1 until it is closed.

    Attributes:
        context_of: Returns the context of a case by its token.
        sockets: To be ended with the server.
        waiting: The clients that wait for an answer, by what is set when it has come.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, authority: Authority, way_out: WayOut, notes: Notes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.authority, self.way_out, self.notes = authority, way_out, notes
        self.context_of: Callable[[str], Context] = lambda _: Context()
        self.sockets: WeakSet[socket.socket] = WeakSet()
        self.waiting: dict[threading.Event, socket.socket] = {}
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_S,), daemon=True)
        start_outside(self._thread)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.sockets.add(connection)
        return connection, address

    def close(self) -> None:
        self.shutdown()
        self._thread.join(_LAST_S)
        self.server_close()
        for connection in list(self.sockets):
            end(connection)

    def handle_error(self, *_: Any) -> None:
        """Note a fault, which must not be lost in a thread; clients that go away are none."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.notes.count(self.notes.unread, describe_error(error))


class _Handler(BaseHTTPRequestHandler):
    """
    Reads one connection.

    Attributes:
        tunnel: The host to which the client believes to be connected.
        token: Of the case, as it was sent when the tunnel was asked for.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body of an answer waits for the client to confirm its head
    timeout = _SILENCE_S
    server: Server
    tunnel: Target | None = None
    token: str = NO_CASE

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # which `http.server` looks for, with any method
            return self._do
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Print nothing: the terminal is the report's."""

    def finish(self) -> None:
        super().finish()
        with suppress(OSError):  # one of TLS took the place of the socket that the server closes
            self.connection.close()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of HTTP/1.1, and note it."""
        reason = explain or message or "it is no request of HTTP/1.1"
        if self.tunnel is not None:
            with suppress(CassetteError):
                self._note_unread(self.tunnel)
            reason = f"{reason} (to {self.tunnel.authority})"
        self.server.notes.count(self.server.notes.unread, reason)
        self._refuse(code, reason)

    # --- a request ------------------------------------------------------------------------------------------

    def _do(self) -> None:
        try:
            target, token = self._find_target()
        except ValueError as error:
            self.send_error(400, str(error))
        else:
            self.server.context_of(token).run(self._send_on, target)

    def _find_target(self) -> tuple[Target, str]:
        """
        Return where a request is to go, and the token of its case.

        Raises:
            ValueError: It names no host.
        """
        url, token = self.path, self._read_token() or self.token
        if "://" not in url.partition("?")[0]:
            here = Target("http", "127.0.0.1", self.server.server_port)
            scheme, authority = (self.tunnel or here).scheme, (self.tunnel or here).authority
            url = f"{scheme}://{authority}{url}"
        target = read_target(url)
        if target.port == self.server.server_port and target.host in _HERE:
            if (led := _LED.fullmatch(target.path)) is None:
                raise ValueError("it names no other host than the proxy")
            target, token = read_target(f"{led['scheme']}://{led['rest']}"), led["token"]
        return target, token

    def _read_token(self) -> str:
        scheme, _, credentials = (self.headers.get("proxy-authorization") or "").partition(" ")
        with suppress(ValueError):
            if scheme.lower() == "basic":
                return base64.b64decode(credentials).decode("latin-1").partition(":")[0]
        return ""

    def _send_on(self, target: Target) -> None:
        try:
            body = read_body(self.rfile, self.headers["content-length"], self.headers["transfer-encoding"])
        except (ValueError, OSError):  # nothing of it leaves
            self._refuse(400, "the body of the request is cut off or damaged")
            return
        self._wait_for_the_gone()
        connection, path, added = self.server.way_out.connect(target)
        with closing(connection):
            try:
                connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
                for name, value in (*self._list_headers(target), *body.framing, *added.items()):
                    connection.putheader(name, value)
                connection.endheaders(body.start)
                for piece in body.rest:
                    connection.send(piece)
                with self._watch_client(connection):
                    response = connection.getresponse()
            except (CassetteError, StopAppError) as error:
                self._refuse(403, str(error))
            except (OSError, HTTPException, ValueError) as error:
                self._refuse(502, f"{target.authority} gave no answer: {describe_error(error)}")
            else:
                with closing(response):
                    self._pass_on(response, connection)

    def _list_headers(self, target: Target) -> Iterator[tuple[str, str]]:
        dropped = _PER_HOP | _REWRITTEN | _named(self.headers["connection"])
        yield "Host", target.authority
        for name, value in self.headers.items():
            if name.lower() not in dropped:
                yield name, value
        if "gzip" in (self.headers["accept-encoding"] or ""):
            yield "Accept-Encoding", "gzip"  # of what a client can read, what surely can be read here
        if (self.headers["upgrade"] or "").lower() == "websocket":
            yield from (("Connection", "Upgrade"), ("Upgrade", "websocket"))

    @contextmanager
    def _watch_client(self, connection: HTTPConnection) -> Iterator[None]:
        """End a connection whose answer nobody waits for: the call has failed, and may be tried again."""
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                if not _is_gone(self.connection, _LOOK_MS) or done.is_set():
                    continue
                if isinstance(connection.sock, socket.socket):  # and not what the seam puts there before
                    end(connection.sock)
                    return
                done.wait(_POLL_S)

        self.server.waiting[done] = self.connection
        if _HANGS_UP:
            start_outside(threading.Thread(target=watch, daemon=True))
        try:
            yield
        finally:
            del self.server.waiting[done]
            done.set()

    def _wait_for_the_gone(self) -> None:
        """Wait for calls that their clients gave up: this one may be such a call, tried again."""
        for done, client in tuple(self.server.waiting.items()):
            if _is_gone(client):
                done.wait(_LAST_S)

    # --- an answer ------------------------------------------------------------------------------------------

    def _pass_on(self, response: HTTPResponse, connection: HTTPConnection) -> None:
        """Send a response on as it comes; the end of it only once the call is in the log."""
        has_body = self.command != "HEAD" and response.status not in _BODILESS
        is_chunked = has_body and response.length is None and self.request_version == "HTTP/1.1"
        if has_body and response.length is None and not is_chunked:
            self.close_connection = True
        try:
            self._send_head(response, is_chunked=is_chunked)
            if response.status == _SWITCHED:
                self._relay(response.fp.read1, connection.sock)
            elif has_body:
                self._send_body(response, is_chunked=is_chunked)
        except (OSError, HTTPException):  # somebody left: the client must not take it for the end
            self.close_connection = True
            response.close()
            end(self.connection)

    def _send_head(self, response: HTTPResponse, *, is_chunked: bool) -> None:
        self.send_response_only(response.status, response.reason)
        dropped = _PER_HOP | _named(response.headers["connection"])
        dropped |= {"content-length"} if is_chunked else set()
        for name, value in response.getheaders():
            if name.lower() not in dropped:
                self.send_header(name, value)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if response.status == _SWITCHED:
            self.send_header("Upgrade", response.headers["upgrade"] or "websocket")
            self.send_header("Connection", "Upgrade")
        elif self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_body(self, response: HTTPResponse, *, is_chunked: bool) -> None:
        """
        Send a body on.

        Raises:
            HTTPException: It is cut off.
            OSError: One side is gone.
        """
        while piece := response.read1(PIECE):
            if response.length == 0:
                response.read1(1)  # to its end, by which the log knows that it is whole
                response.close()
            self.wfile.write(write_chunk(piece) if is_chunked else piece)
        if response.length:
            raise HTTPException("the answer is cut off")
        response.close()
        if is_chunked:
            self.wfile.write(write_chunk(b""))

    def _refuse(self, status: int, message: str) -> None:
        self.close_connection = True
        error = {"message": printable(message, 1000), "type": "pytest_llmops_proxy"}
        body = json.dumps({"error": error}).encode()
        with suppress(OSError):
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

    # --- a tunnel -------------------------------------------------------------------------------------------

    def do_CONNECT(self) -> None:
        self.token = self._read_token()
        try:
            target = read_target(f"https://{self.path}")
        except ValueError as error:
            self.send_error(400, str(error))
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.close_connection = False  # whatever the client wants of the connection to a proxy
        first = self._peek()
        if first.startswith(_TLS):
            self._play(target)
        elif first:
            self.tunnel = target._replace(scheme="http")
            if not _HTTP.match(first):
                self._pass_unread(self.tunnel)

    def _peek(self) -> bytes:
        """Return the first bytes of a tunnel; a space for a client that waits for the server to speak."""
        if not select.select([self.connection], [], [], _FIRST_S)[0]:
            return b" "
        first: bytes = self.connection.recv(len("OPTIONS "), socket.MSG_PEEK)
        return first

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
            self._pass_unread(target)

    def _note_unread(self, target: Target) -> None:
        """
        Note a connection in which nobody can look.

        Raises:
            CassetteError: It may not be made.
        """
        self.server.context_of(self.token).run(note_connection, target.host, target.port, target.host)

    def _pass_unread(self, target: Target) -> None:
        """Connect a client with a host in some other protocol, if the mode lets it."""
        self.close_connection = True
        with suppress(CassetteError, OSError, HTTPException), looking():
            self._note_unread(target)
            with closing(self.server.way_out.tunnel(target)) as connection:
                connection.connect()
                self._relay(connection.sock.recv, connection.sock)

    def _relay(self, read: Callable[[int], bytes], other: socket.socket) -> None:
        """Copy between a client and a host, for as long as they want."""
        self.close_connection = True
        self.connection.settimeout(None)
        other.settimeout(None)
        self.server.sockets.add(other)
        start_outside(threading.Thread(target=copy, args=(self.rfile.read1, other), daemon=True))
        copy(read, self.connection)
        end(other)


def _is_gone(client: socket.socket, within_ms: int = 0) -> bool:
    """Return whether a client has hung up; False where the system does not tell."""
    with suppress(ValueError):  # it is closed, and its answer has been sent
        poll = select.poll()
        poll.register(client, _HANGS_UP)
        return bool(_HANGS_UP and poll.poll(within_ms))
    return False


def _named(connection: str | None) -> set[str]:
    """The headers that concern one connection alone, as one of them lists."""
    return {name.strip().lower() for name in (connection or "").split(",")}

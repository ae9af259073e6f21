"""The server: one thread per connection, none of which can keep a session from ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.recorder.interception.threads import start_outside
from pytest_llmops.traces.receiving.bodies import TooLargeError, read_body
from pytest_llmops.traces.receiving.notes import Notes
from pytest_llmops.traces.receiving.routes import Reply, Request, Routes

_SILENCE_S = 10.0  # after which a client that sends nothing is left alone
_LAST_S = 2.0  # that a request which has begun may still take at the end
_POLL_S = 0.02


class Server(ThreadingHTTPServer):
    """
    Listens on a free port of 127.0.0.1 until it is closed.

    Attributes:
        active: Requests that have begun and are not answered.
        forwarding: Requests that are answered and being sent on.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, routes: Routes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes = routes
        self.active = self.forwarding = 0
        self._connections: WeakSet[socket] = WeakSet()
        self._noted = (0, 0)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_S,), daemon=True)
        start_outside(self._thread)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def notes(self) -> Notes:
        return self.routes.notes

    def change(self, *, active: int = 0, forwarding: int = 0) -> None:
        with self._lock:
            self.active += active
            self.forwarding += forwarding

    def get_request(self) -> tuple[socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def wait(self) -> None:
        """Let the requests that have begun be answered, within two seconds; note once those that are not."""
        deadline = time.monotonic() + _LAST_S
        while self.active + self.forwarding > 0 and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        (unanswered, unforwarded), self._noted = self._noted, (self.active, self.forwarding)
        for _ in range(unanswered, self._noted[0]):
            self.notes.count(self.notes.unread, "it was not complete at the end of the run")
        for _ in range(unforwarded, self._noted[1]):
            self.notes.count(self.notes.unforwarded, "not done at the end of the run")

    def close(self) -> None:
        self.shutdown()
        self._thread.join(_LAST_S)
        self.server_close()
        for connection in list(self._connections):  # kept alive for requests that would come too late
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no news; what it left unsaid was counted where it was read."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE_S
    server: Server

    def log_message(self, *_: Any) -> None:
        """Print nothing: the terminal is the report's."""

    def _do(self) -> None:
        self.server.change(active=1)
        then = None
        try:
            reply = self._answer()
            then = reply.then
            self._send(reply)
        finally:
            self.server.change(active=-1, forwarding=int(then is not None))
            if then is not None:
                self._finish(then)

    def _finish(self, then: Callable[[], None]) -> None:
        try:
            then()
        finally:
            self.server.change(forwarding=-1)

    def _answer(self) -> Reply:
        notes = self.server.notes
        try:
            body = read_body(self.rfile, self.headers)  # type: ignore[arg-type] # headers are read as a mapping
            path = urlsplit(self.path).path
            kind = (self.headers.get("content-type") or "").strip()
            return self.server.routes.answer(
                Request(method=self.command, path=path, content_type=kind, body=body)
            )
        except TooLargeError:
            notes.count(notes.unread, "it is larger than 64 MiB")
            return self._refuse(413, "larger than 64 MiB")
        except TimeoutError:
            notes.count(notes.unread, f"its sender was silent for {_SILENCE_S:g} s")
            return self._refuse(408, "nothing came")
        except LLMOpsError as error:  # a decoding error, or a library that is missing
            notes.count(notes.unread, str(error))
            return self._refuse(400, str(error))
        except Exception as error:  # noqa: BLE001 - what a sender can cause must not be lost in a thread
            notes.count(notes.unread, f"it broke the reader ({type(error).__name__})")
            return self._refuse(400, "not readable")

    def _refuse(self, status: int, why: str) -> Reply:
        self.close_connection = True  # what is left of the body would be taken for a request
        return Reply.of({"message": why}, status)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _do  # noqa: N815 - the names that `http.server` looks for

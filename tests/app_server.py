"""A service on this machine that answers as a test says, and keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    A request.

    Attributes:
        headers: With their names in lower case.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    An answer.

    Attributes:
        body: JSON, text, bytes, or pieces that are sent one by one.
        cut: Close the connection before the end.
    """

    body: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


Answer = Callable[[Asked], Any]


@dataclass(slots=True)
class AppServer(LoopbackServer):
    """Use as a context manager."""

    answer: Answer
    asked: list[Asked] = field(default_factory=list)

    def open_server(self) -> ThreadingHTTPServer:
        return _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": self}))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may leave."""


class _Handler(BaseHTTPRequestHandler):
    service: AppServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(
            method=self.command,
            path=parts.path,
            query=parse_qs(parts.query),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("content-length") or 0)),
        )
        self.service.asked.append(asked)
        said = self.service.answer(asked)
        self._reply(said if isinstance(said, Reply) else Reply(body=said))

    def _reply(self, reply: Reply) -> None:
        body, kind = reply.body, "application/json"
        if isinstance(body, (str, bytes)):
            kind, body = "text/plain; charset=utf-8", body.encode() if isinstance(body, str) else body
        elif isinstance(body, (dict, list)) or body is None:
            body = json.dumps(body).encode()
        self.send_response(reply.status)
        headers = {"content-type": kind, **reply.headers}
        if isinstance(body, bytes):
            headers["content-length"] = str(len(body) + reply.cut)
        else:
            headers["transfer-encoding"] = "chunked"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if isinstance(body, bytes):
            self.wfile.write(body)
        else:
            self._send_pieces(body, cut=reply.cut)
        if reply.cut:
            self.close_connection = True

    def _send_pieces(self, pieces: Iterable[str], *, cut: bool) -> None:
        for piece in pieces:
            content = piece.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            self.wfile.flush()
        if not cut:
            self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - as `http.server` finds them

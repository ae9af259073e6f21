"""A server that keeps what is posted to it: a collector, or LangSmith's own endpoint."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Collector:
    """
    Attributes:
        posted: Method, path, headers and body of each request.
    """

    def __init__(self, status: int = 200) -> None:
        self.posted: list[tuple[str, str, Any, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                collector.posted.append((self.command, self.path, self.headers, body))
                self._reply()

            def do_GET(self) -> None:
                self._reply()

            def _reply(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"{}")

            do_PATCH = do_POST  # noqa: N815 - the name that `http.server` looks for

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

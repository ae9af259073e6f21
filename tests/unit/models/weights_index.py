"""A package index on the loopback interface, with the faults that a test asks for."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

JSON = "application/vnd.pypi.simple.v1+json"


class Index:
    """
    Serves `files` at `url`.

    Attributes:
        requests: Path and headers of each, as they came.
        answers: Statuses given instead of an answer, first ones first.
        cut_after: Bytes after which each answer with a file is cut, first ones first.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: list[int] = []
        self.cut_after: list[int] = []
        self.as_html = False
        self.ignores_range = False
        self.delay_s = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901  one small method after another
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.requests.append((self.path, dict(self.headers)))
                if index.answers:
                    self.send_error(index.answers.pop(0))
                elif self.path.startswith("/simple/"):
                    self._send_page()
                else:
                    self._send_file(index.files[self.path.rpartition("/")[2]])

            def log_message(self, *_: object) -> None:
                """Nothing: standard error is the test's."""

            def _send_page(self) -> None:
                names = list(index.files)
                if index.as_html or JSON not in self.headers["Accept"]:
                    kind = "text/html"
                    body = "".join(f'<a href="../../files/{name}#sha256=0">{name}</a>' for name in names)
                else:
                    kind = JSON
                    body = json.dumps({"files": [{"url": f"/files/{name}"} for name in names]})
                self._send(200, body.encode(), {"Content-Type": kind})

            def _send_file(self, content: bytes) -> None:
                time.sleep(index.delay_s)
                asked = self.headers.get("Range")
                if asked is None or index.ignores_range:
                    self._send(200, content, {})
                    return
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                place = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self._send(206, content[start:], {"Content-Range": place})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if index.cut_after and not self.path.startswith("/simple/"):
                    body = body[: index.cut_after.pop(0)]
                self.wfile.write(body)

        return Handler

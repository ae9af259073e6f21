"""Servers on this machine that run while a block does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Self


@dataclass(slots=True)
class LoopbackServer:
    """
    Use as a context manager.

    Attributes:
        port: Of the server, while it runs.
    """

    port: int = field(default=0, init=False)
    _server: ThreadingHTTPServer | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open_server(self) -> ThreadingHTTPServer:
        """Return a server that is bound to a free port."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._server = self.open_server()
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

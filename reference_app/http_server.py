"""Uvicorn, silent: it writes no log line, because one may quote a customer."""

from __future__ import annotations

import logging
import socket
import threading
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

STOP_S = 5.0
BACKLOG = 512  # a golden run connects with every case at once


def make_server(app: ASGIApp, grace_s: int) -> uvicorn.Server:
    """Return a server that still needs a listening socket; at its end it waits `grace_s` for open answers."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level=logging.CRITICAL + 1,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=600,  # a client must not send into a connection that is just being closed
        timeout_graceful_shutdown=grace_s,
    )
    return uvicorn.Server(config)


def listen(address: tuple[Any, ...], family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """
    Return a listening socket whose connections send at once what is written.

    Otherwise the second part of an answer on a kept connection waits for 40 ms.

    Raises:
        OSError: The port is taken or not allowed, or the host is none of this machine's.
    """
    listener = socket.create_server(address, family=family, backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # which its connections inherit
    return listener


class LoopbackServer:
    """Serves an application in a thread on a free port of 127.0.0.1; raises OSError where none is free."""

    def __init__(self, app: ASGIApp) -> None:
        self._server = make_server(app, grace_s=1)
        listener = listen(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # In a context of its own: what it serves belongs to no question, not even to the first one.
        run = Context().run
        self._thread = threading.Thread(target=run, args=(self._server.run, [listener]), daemon=True)
        self._thread.start()

    @property
    def runs(self) -> bool:
        """Whether it still answers; in a forked child it does not."""
        return self._thread.is_alive()

    def close(self, *, cut: bool = False) -> None:
        """Stop after the open answers, or at once, cutting every connection."""
        if self.runs:
            self._server.force_exit = cut
            self._server.should_exit = True
            self._thread.join(STOP_S)

"""Uvicorn, silent; what this process serves on loopback shares one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from concurrent.futures import wait
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

STOP_S = 5.0
BACKLOG = 512  # a golden run connects with every case at once


def make_server(app: ASGIApp, grace_s: int) -> uvicorn.Server:
    """
    A server that still needs a listening socket.

    Args:
        app: Says itself what goes wrong: a log line or a traceback may quote a customer.
        grace_s: How long it waits at its end for the answers it is working on.
    """
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
    A listening socket whose connections send at once what is written.

    Otherwise the second part of an answer on a kept connection waits for 40 ms. asyncio does so itself only
    for sockets that name their protocol.

    Raises:
        OSError: The port is taken or not allowed, or the host is none of this machine's.
    """
    listener = socket.create_server(address, family=family, backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # which its connections inherit
    return listener


class LoopbackServer:
    """
    Serves an application on a free port of 127.0.0.1 until `close`.

    Raises:
        OSError: No port can be had.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._server = make_server(app, grace_s=1)
        listener = listen(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._loop = _LOOP.start()
        # In a context of its own: what it serves belongs to no question, not even to the first one.
        self._served = Context().run(
            asyncio.run_coroutine_threadsafe, self._server.serve([listener]), self._loop
        )

    @property
    def runs(self) -> bool:
        """Whether it still answers; in a forked child it does not."""
        return self._loop is _LOOP.running and not self._served.done()

    def close(self, *, cut: bool = False) -> None:
        """Stop after the answers it is working on, or at once, cutting every connection."""
        if self.runs:
            self._loop.call_soon_threadsafe(self._stop, cut)
            wait([self._served], STOP_S)

    def _stop(self, cut: bool) -> None:  # noqa: FBT001 - given by position
        self._server.should_exit = True
        for connection in list(self._server.server_state.connections) if cut else ():
            connection.transport.abort()


class _Loop:
    """The event loop; it starts with the first server."""

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """A forked child has no thread that runs the loop."""
        self._lock = threading.Lock()
        self.running: asyncio.AbstractEventLoop | None = None

    def start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self.running is None:
                self.running = asyncio.new_event_loop()
                threading.Thread(
                    target=self.running.run_forever, name="reference-app-servers", daemon=True
                ).start()
            return self.running


_LOOP = _Loop()

"""Starts the service on loopback when it is first needed."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from reference_app.errors import AppError

if TYPE_CHECKING:
    from pathlib import Path

    from uvicorn import Server

START_S = 20.0
STOP_S = 5.0


class ShopError(AppError):
    """The shop's service could not be started, or its address is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """
    Where the service listens.

    Attributes:
        url: Without a slash at the end.
        token: Empty if the service asks for none.
    """

    url: str
    token: str = field(default="", repr=False)


class Shop(Protocol):
    """A service of the shop, here or elsewhere."""

    def start(self) -> Address:
        """Its address; starts it if need be."""

    def close(self) -> None:
        """Stop what `start` started."""


class RemoteShop:
    """
    A service that somebody else runs.

    Raises:
        ShopError: The URL is not like https://shop.example.com/api, or the token no header can hold.
    """

    def __init__(self, url: str, token: str = "") -> None:
        try:
            parts = urlsplit(url)
            sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            sound = False
        if not sound or {"@", "?", "#", " "} & set(url) or not url.isprintable():
            # The URL is not shown, because it may hold a password.
            raise ShopError(
                "The shop's address must be like https://shop.example.com/api, without a user, query or #."
            )
        if not (token.isascii() and token.isprintable() and token == token.strip()):
            raise ShopError("The shop's token must be printable ASCII characters, with no space at its ends.")
        self._address = Address(url=url.rstrip("/"), token=token)

    def start(self) -> Address:
        return self._address

    def close(self) -> None:
        pass


class LocalShop:
    """
    A service on loopback in a thread of this process; costs nothing before its first start.

    It can be started again after it was closed, at another port and with another token.
    """

    def __init__(self, orders: Path, cache: Path) -> None:
        self._orders = orders
        self._cache = cache
        self._lock = threading.Lock()
        self._running: tuple[Address, Server, threading.Thread] | None = None

    def start(self) -> Address:
        """
        Its address; a service that has died is started again.

        Raises:
            OrdersError: The shop's database cannot be made.
            ShopError: The service does not start.
        """
        with self._lock:
            if self._running is None or not self._running[2].is_alive():
                self._running = self._start()
            return self._running[0]

    def close(self) -> None:
        """Stop it after the answers it is working on; nothing happens if it does not run."""
        with self._lock:
            if self._running is not None:
                _, server, thread = self._running
                self._running = None
                server.should_exit = True
                thread.join(STOP_S)

    def _start(self) -> tuple[Address, Server, threading.Thread]:
        import logging

        import uvicorn

        from reference_app.shop.database import open_shop
        from reference_app.shop.journal import Journal
        from reference_app.shop.service import create_service

        token = secrets.token_urlsafe(24)
        service = create_service(open_shop(self._orders, self._cache), Journal(self._cache), token)
        # Silent, since a log line holds what a customer asked for; failures come back as answers.
        config = uvicorn.Config(
            service,
            host="127.0.0.1",
            port=0,
            log_config=None,
            log_level=logging.CRITICAL + 1,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="shop", daemon=True)
        thread.start()
        until = time.monotonic() + START_S
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                server.should_exit = True
                raise ShopError("The shop's service did not start on loopback.")
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        return Address(url=f"http://127.0.0.1:{port}", token=token), server, thread

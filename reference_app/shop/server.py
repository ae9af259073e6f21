"""Starts the service on loopback when it is first needed."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reference_app.errors import AppError

if TYPE_CHECKING:
    from pathlib import Path

    from reference_app.http_server import LoopbackServer


class ShopError(AppError):
    """The shop's service could not be started, or its address is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the service listens: a URL without a slash at the end, and a token that may be empty."""

    url: str
    token: str = field(default="", repr=False)


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
    """A service on loopback in this process; costs nothing before its start, and can be started again."""

    def __init__(self, orders: Path, cache: Path) -> None:
        self._orders, self._cache = orders, cache
        self._lock = threading.Lock()
        self._running: tuple[Address, LoopbackServer] | None = None

    def start(self) -> Address:
        """
        Its address; a service that has died is started again.

        Raises:
            OrdersError: The shop's database cannot be made.
            ShopError: The service does not start.
        """
        with self._lock:
            if self._running is None or not self._running[1].runs:
                self._running = self._start()
            return self._running[0]

    def close(self) -> None:
        """Stop it after the answers it is working on; nothing happens if it does not run."""
        with self._lock:
            if self._running is not None:
                self._running[1].close()
                self._running = None

    def _start(self) -> tuple[Address, LoopbackServer]:
        from reference_app.http_server import LoopbackServer
        from reference_app.shop.database import open_shop
        from reference_app.shop.journal import Journal
        from reference_app.shop.service import create_service

        token = secrets.token_urlsafe(24)
        try:
            server = LoopbackServer(
                create_service(open_shop(self._orders, self._cache), Journal(self._cache), token)
            )
        except OSError as error:
            raise ShopError(f"The shop's service did not start on loopback: {error.strerror}.") from error
        return Address(url=server.url, token=token), server


Shop = LocalShop | RemoteShop

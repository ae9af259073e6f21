"""Connections from the proxy to where requests go, by way of the proxy that the user has set."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from pytest_llmops.errors import SettingsError
from pytest_llmops.recorder.identity import is_loopback, name_place

PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """
    Where a request goes.

    Attributes:
        path: With the query.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as a `Host` header has them."""
        return name_place(self.host, None if self.port == PORTS[self.scheme] else self.port)


def read_proxies() -> dict[str, SplitResult]:
    """
    Return the user's own proxies by scheme, from the environment or the system.

    Raises:
        SettingsError: One is not an HTTP proxy.
    """
    written = getproxies()
    proxies = {}
    for scheme in PORTS:
        if address := written.get(scheme) or written.get("all"):
            proxy = urlsplit(address if "://" in address else f"http://{address}")
            try:
                is_usable = proxy.scheme == "http" and bool(proxy.hostname) and proxy.port != 0
            except ValueError:
                is_usable = False
            if not is_usable:  # named without its address, which may hold a password
                raise SettingsError(
                    f"proxy: the environment's own proxy for {scheme} is none of the form http://HOST:PORT, "
                    "so nothing could be sent on by it"
                )
            proxies[scheme] = proxy
    return proxies


@dataclass(frozen=True, slots=True)
class WayOut:
    """
    Makes connections, which open when they are first used.

    Attributes:
        context: Trusts the certificates of the hosts.
        proxies: Of the user, by scheme.
    """

    context: ssl.SSLContext
    proxies: Mapping[str, SplitResult]

    def connect(self, target: Target) -> tuple[HTTPConnection, str, dict[str, str]]:
        """Return a connection for a request, what the request names there, and headers to add."""
        proxy = self.proxies.get(target.scheme)
        if proxy is None or is_loopback(target.host) or proxy_bypass(target.host):
            return self._open(target.scheme, target.host, target.port), target.path, {}
        credentials = {}
        if proxy.username:
            pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            credentials["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        connection = self._open(target.scheme, proxy.hostname or "", proxy.port or PORTS["http"])
        if target.scheme == "http":
            return connection, f"http://{target.authority}{target.path}", credentials
        connection.set_tunnel(target.host, target.port, credentials)
        return connection, target.path, {}

    def tunnel(self, target: Target) -> HTTPConnection:
        """Return a connection for what is no HTTP."""
        connection, _, credentials = self.connect(target)
        if credentials:
            connection.set_tunnel(target.host, target.port, credentials)
        return connection

    def _open(self, scheme: str, host: str, port: int) -> HTTPConnection:
        return (
            HTTPSConnection(host, port, context=self.context)
            if scheme == "https"
            else HTTPConnection(host, port)
        )

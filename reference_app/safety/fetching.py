"""Getting a page from a listed host, connected to the very address that was checked."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpcore2

from reference_app.safety import RefusedError
from reference_app.safety.urls import Allowed, Resolve, Target, find_address, read_url, resolve

if TYPE_CHECKING:
    from reference_app.safety.addresses import Address

MAX_REDIRECTS = 3
MAX_BYTES = 1_000_000
TIMEOUT_S = 10.0
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    What a server answered, whatever its status.

    Attributes:
        url: Of the last hop.
        kind: The content type as sent; empty where none was.
    """

    url: str
    status: int
    kind: str
    body: bytes


def fetch(  # noqa: PLR0913 - limits have defaults
    url: str,
    allowed: Allowed,
    *,
    ask: Resolve = resolve,
    max_bytes: int = MAX_BYTES,
    timeout_s: float = TIMEOUT_S,
    trusted: ssl.SSLContext | None = None,
) -> Page:
    """
    Get a page; each hop of at most three is checked as the first, and none leads from https to http.

    No proxy and no cookie is used, and no compressed body is taken, as a small one may unfold to any size.

    Args:
        url: From a model, so hostile.
        allowed: Hosts and ports.
        ask: The resolver; its own time counts only once it is back.
        max_bytes: Of the body.
        timeout_s: For all hops together, headers and body included.
        trusted: Certificate authorities; None for the usual ones.

    Raises:
        RefusedError: A hop is not allowed, or the answer is too large, too slow or no answer at all.
    """
    deadline = time.monotonic() + timeout_s
    target = read_url(url, allowed)
    for _ in range(MAX_REDIRECTS + 1):
        address = find_address(target, allowed, ask)
        with _send(target, address, deadline, trusted) as answer:
            headers = {
                name.lower().decode("latin-1"): value.decode("latin-1") for name, value in answer.headers
            }
            if answer.status not in REDIRECTS or "location" not in headers:
                return Page(
                    url=target.url,
                    status=answer.status,
                    kind=headers.get("content-type", ""),
                    body=_read(answer, headers, max_bytes),
                )
        target = _follow(target, headers["location"], allowed)
    raise RefusedError(f"The page is refused: more than {MAX_REDIRECTS} redirects.")


def _follow(target: Target, location: str, allowed: Allowed) -> Target:
    try:
        # What `urljoin` would clean away is refused in the joined text, so it is checked on its own first.
        plain = location.isprintable() and " " not in location and "\\" not in location
        following = read_url(urljoin(target.url, location) if plain else location, allowed)
    except (RefusedError, ValueError) as error:
        raise RefusedError("The page is refused: it redirects to a URL that is not allowed.") from error
    if (target.scheme, following.scheme) == ("https", "http"):
        raise RefusedError("The page is refused: it redirects from https to http.")
    return following


@contextmanager
def _send(
    target: Target, address: Address, deadline: float, trusted: ssl.SSLContext | None
) -> Iterator[httpcore2.Response]:
    """The request names the host, in its header and in TLS; the connection goes to the address."""
    backend = _Pinned(str(address), deadline)
    context = trusted or ssl.create_default_context()
    try:
        with (
            httpcore2.ConnectionPool(network_backend=backend, ssl_context=context) as pool,
            pool.stream(
                "GET",
                target.url,
                headers={"Accept-Encoding": "identity", "User-Agent": "reference-app", "Connection": "close"},
            ) as answer,
        ):
            yield answer
    except httpcore2.TimeoutException as error:
        raise RefusedError("The page is refused: its server takes too long.") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise RefusedError("The page is refused: its server does not answer as it should.") from error


def _read(answer: httpcore2.Response, headers: dict[str, str], max_bytes: int) -> bytes:
    if headers.get("content-encoding", "identity") != "identity":
        raise RefusedError("The page is refused: its server compresses it unasked.")
    body = bytearray()
    for piece in answer.iter_stream():
        body += piece
        if len(body) > max_bytes:
            raise RefusedError(f"The page is refused: it is larger than {max_bytes} bytes.")
    return bytes(body)


class _Pinned(httpcore2.NetworkBackend):
    """Connects to one address whatever it is asked for, and waits for nothing beyond the deadline."""

    def __init__(self, address: str, deadline: float) -> None:
        self._address = address
        self._deadline = deadline
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - resolved and checked before
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        inner = self._inner.connect_tcp(
            self._address, port, left(self._deadline), local_address, socket_options
        )
        return _Timed(inner, self._deadline)


class _Timed(httpcore2.NetworkStream):
    """A connection on which a server that sends one byte at a time gains no time."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._inner.read(max_bytes, left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._inner.write(buffer, left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        return _Timed(
            self._inner.start_tls(ssl_context, server_hostname, left(self._deadline)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def left(deadline: float) -> float:
    """Seconds until the deadline; the socket's own time-out comes at once where none are left."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise httpcore2.ReadTimeout
    return remaining

"""Getting a page from a listed host, connected to the very address that was checked."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from urllib.parse import urljoin

import httpcore2

from reference_app.safety import RefusedError
from reference_app.safety.urls import PORTS, Allowed, Resolve, Target, find_address, read_url, resolve

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
        ask: The resolver; its own time does not count.
        max_bytes: Of the body.
        timeout_s: For each wait for the server, and for all hops and the body together.
        trusted: Certificate authorities; None for the usual ones.

    Raises:
        RefusedError: A hop is not allowed, or the answer is too large, too slow or no answer at all.
    """
    deadline = time.monotonic() + timeout_s
    target = read_url(url, allowed)
    try:
        with httpcore2.ConnectionPool(ssl_context=trusted or ssl.create_default_context()) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                address = str(find_address(target, allowed, ask))
                page, location = _get(pool, target, address, deadline, max_bytes)
                if page.status not in REDIRECTS or location is None:
                    return page
                target = _follow(target, location, allowed)
    except httpcore2.TimeoutException as error:
        raise RefusedError("The page is refused: its server takes too long.") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise RefusedError("The page is refused: its server does not answer as it should.") from error
    raise RefusedError(f"The page is refused: more than {MAX_REDIRECTS} redirects.")


def _get(
    pool: httpcore2.ConnectionPool, target: Target, address: str, deadline: float, max_bytes: int
) -> tuple[Page, str | None]:
    """One hop: header and TLS name the host, while the connection goes to the address."""
    if (left := deadline - time.monotonic()) <= 0:
        raise RefusedError("The page is refused: its server takes too long.")
    port = "" if target.port == PORTS[target.scheme] else f":{target.port}"
    host = f"[{target.host}]" if ":" in target.host else target.host
    with pool.stream(
        "GET",
        httpcore2.URL(scheme=target.scheme, host=address, port=target.port, target=target.path),
        headers={"Host": f"{host}{port}", "Accept-Encoding": "identity", "User-Agent": "reference-app"},
        extensions={
            "sni_hostname": target.host,
            "timeout": dict.fromkeys(("connect", "read", "write", "pool"), left),
        },
    ) as answer:
        headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
        if headers.get("content-encoding", "identity") != "identity":
            raise RefusedError("The page is refused: its server compresses it unasked.")
        body = bytearray()
        for piece in answer.iter_stream():
            body += piece
            if len(body) > max_bytes:
                raise RefusedError(f"The page is refused: it is larger than {max_bytes} bytes.")
            if time.monotonic() > deadline:
                raise RefusedError("The page is refused: its server takes too long.")
        kind = headers.get("content-type", "")
        page = Page(url=target.url, status=answer.status, kind=kind, body=bytes(body))
        return page, headers.get("location")


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

"""What every request passes first: the host it names, and the size of its body."""

from __future__ import annotations

import json
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64_000
MAX_DRAINED_BYTES = 1_000_000
"""Of a body that is too large, so many are still read: a client that is writing would not see the answer."""
LOCAL = "localhost"


class Door:
    """
    Refuses what is addressed to another host (a page that rebinds its name to this address), or too large.

    Args:
        app: Gets every other request; its body has been read by then.
        host: What the server is bound to. A loopback address goes by `localhost` too; an address that means
            every interface goes by this machine's name and by any address, which no name can be bound to.
        headers: Set on every answer.
    """

    def __init__(self, app: ASGIApp, host: str, headers: Iterable[tuple[str, str]]) -> None:
        self._app = app
        self._names = {host.lower()}
        self._by_any_address = False
        address = _read_address(host)
        if host.lower() == LOCAL or (address is not None and address.is_loopback):
            self._names |= {LOCAL}
        elif address is not None and address.is_unspecified:
            self._names |= {LOCAL, socket.gethostname().lower()}
            self._by_any_address = True
        self._headers = [(name.encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headed = self._head(send)
        if not self._is_addressed([value for name, value in scope["headers"] if name == b"host"]):
            await _refuse(headed, 400, "This server does not go by that host name.")
            return
        body = await _read(receive)
        if body is None:
            await _refuse(headed, 413, f"The body has more than {MAX_BODY_BYTES} bytes.")
            return
        await self._app(scope, _replay(body, receive), headed)

    def _is_addressed(self, hosts: list[bytes]) -> bool:
        if len(hosts) != 1:
            return False
        host = hosts[0].decode("latin-1").lower()
        name, colon, port = host.rpartition(":")
        if not colon or host.endswith("]"):
            name, port = host, "0"
        name = name.removeprefix("[").removesuffix("]")
        if not (port.isascii() and port.isdigit()):
            return False
        return name in self._names or (self._by_any_address and _read_address(name) is not None)

    def _head(self, send: Send) -> Send:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        return headed


def _read_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


async def _read(receive: Receive) -> bytes | None:
    """The body; None where it is too large, whether or not it said so, or never came whole."""
    body, length = b"", 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        length += len(message.get("body", b""))
        if length <= MAX_BODY_BYTES:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return body if length <= MAX_BODY_BYTES else None
        if length > MAX_DRAINED_BYTES:
            return None


def _replay(body: bytes, receive: Receive) -> Receive:
    read = False

    async def replay() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send: Send, status: int, message: str) -> None:
    content = json.dumps({"error": {"status": status, "message": message}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

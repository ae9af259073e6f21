"""Binds the address and serves until Ctrl-C."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

from reference_app.errors import AppError

if TYPE_CHECKING:
    from reference_app.serving.protocol import Support

MAX_PORT = 65_535
GRACE_S = 3


class ServingError(AppError):
    """The address cannot be bound."""


def serve(app: Support, host: str = "127.0.0.1", port: int = 8321) -> None:
    """
    Answer over HTTP until Ctrl-C.

    Args:
        app: Answers; may be asked from many threads at once.
        host: An address of this machine, or a name of one. There is no login: whoever reaches it may ask.
        port: 0 takes a free one.

    Raises:
        ServingError: The address cannot be bound.
    """
    from reference_app.http_server import make_server
    from reference_app.serving.routes import build

    with bind(host, port) as listener:
        address, port = listener.getsockname()[:2]
        sys.stderr.write(f"reference_app: http://{f'[{host}]' if ':' in host else host}:{port}\n")
        if not ip_address(address).is_loopback:
            sys.stderr.write("reference_app: there is no login; whoever reaches this address may ask.\n")
        sys.stderr.flush()
        make_server(build(app, host), GRACE_S).run(sockets=[listener])


def bind(host: str, port: int) -> socket.socket:
    """
    Raises:
        ServingError: The host is none of this machine's, or the port is taken or not allowed.
    """
    from reference_app.http_server import listen

    if not 0 <= port <= MAX_PORT:  # the system would take the rest of a division
        raise ServingError(f"{port} is no port; it must be 0 to {MAX_PORT}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return listen(address[:2], family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ServingError(
            f"{host}:{port} cannot be served on: {reason}; name another --port or --host."
        ) from error

"""Binds the address and serves until Ctrl-C."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING

from reference_app.errors import AppError
from reference_app.http_server import listen, make_server

if TYPE_CHECKING:
    from reference_app.app import SupportApp


def serve(app: SupportApp, host: str = "127.0.0.1", port: int = 8321, grace_s: int = 3) -> None:
    """Answer over HTTP until Ctrl-C; port 0 takes a free one. Raises AppError."""
    from reference_app.serving.replies import load_sections
    from reference_app.serving.routes import build

    with bind(host, port) as listener:
        server = make_server(build(app, host, load_sections()), grace_s)
        address, port = listener.getsockname()[:2]
        sys.stderr.write(f"reference_app: http://{f'[{host}]' if ':' in host else host}:{port}\n")
        if not ip_address(address).is_loopback:
            sys.stderr.write("reference_app: there is no login; whoever reaches this address may ask.\n")
        server.run(sockets=[listener])


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises AppError where the host or port is not to be had."""
    if not 0 <= port <= 65535:  # noqa: PLR2004 - two bytes
        raise AppError(f"{port} is no port; name a --port from 0 to 65535.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return listen((address[0], port), family)
    except (OSError, OverflowError, UnicodeError) as error:
        message = f"{host}:{port} cannot be served on: {getattr(error, 'strerror', None) or error}"
        raise AppError(f"{message}; name another --port or --host.") from error

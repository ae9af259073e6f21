"""Opens the tools and serves them over one transport."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from reference_app.settings import Settings, read_settings
from reference_app.variants.mcp.calls import Calls

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from reference_app.nodes.tools import Suspect

GRACE_S = 3


def serve(port: int | None = None) -> None:
    """
    Answer one client over stdio, or, with a port of 127.0.0.1, any over HTTP at /mcp until Ctrl-C.

    Raises:
        AppError: The settings name something that is missing, or the port cannot be bound.
    """
    settings = read_settings()
    with open_calls(settings, "pipe" if port is None else "tcp") as calls:
        server = make_server(calls)
        if port is None:
            anyio.run(_serve_stdio, server)
        else:
            _serve_http(server, port)


@contextmanager
def open_calls(settings: Settings, transport: str) -> Iterator[Calls]:
    """The tools under these settings, with the guards of calls that need no question."""
    from reference_app.assembly import sql_writer
    from reference_app.documents.encoders import open_encoders
    from reference_app.models.client import open_models
    from reference_app.models.weights import find_weights
    from reference_app.nodes.guards import suspect
    from reference_app.nodes.tools import screen_calls
    from reference_app.tools.toolbox import open_toolbox

    embedded = settings.model is None or settings.embedding_model is None
    weights = find_weights(settings.weights, settings.adapter) if embedded else None
    models = open_models(settings, weights)
    try:
        encode = open_encoders(settings, weights, models).encode
        tools = open_toolbox(settings, encode, sql_writer(settings, models))
        try:
            guards = settings.guards
            screen = screen_calls(tools.registry, settings.role, guards, tools.unsigned)
            screening: Suspect = suspect if "input" in guards else lambda _: None
            yield Calls(tools, settings, screen, screening, transport)
        finally:
            tools.close()
    finally:
        models.close()


def make_server(calls: Calls) -> Server[Any]:
    """A server whose spans are the app's own: masked, and sent where its settings say."""
    server: Server[Any] = Server(
        "fellwind-shop", version="1.0.0", on_list_tools=calls.list, on_call_tool=calls.call
    )
    server.middleware = [calls.trace]
    return server


async def _serve_stdio(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _serve_http(server: Server[Any], port: int) -> None:
    from reference_app.http_server import make_server as make_http_server
    from reference_app.serving.server import bind

    app: ASGIApp = server.streamable_http_app()
    with bind("127.0.0.1", port) as listener:
        sys.stderr.write(f"reference_app: http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
        sys.stderr.flush()
        http = make_http_server(app, GRACE_S)
        http.config.lifespan = "on"  # in it the sessions run
        http.run(sockets=[listener])

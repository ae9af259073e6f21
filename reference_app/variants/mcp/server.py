"""The app's tools over MCP: its registry decides about calls, and a person's yes comes from the client."""

from __future__ import annotations

import json
import secrets
import sys
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
from anyio.to_thread import run_sync
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from opentelemetry import context, propagate

from reference_app.app import SupportApp
from reference_app.settings import read_settings
from reference_app.tools.mcp import write_question
from reference_app.tools.registry import Confirmation

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from reference_app.tools.gate import Gate

MAX_WAITING, GRACE_S = 1000, 3  # questions to people, of which the oldest is dropped; seconds at the end
FORM = {
    "type": "object",
    "properties": {"agreed": {"type": "boolean", "title": "Make this call"}},
    "required": ["agreed"],
}


class Calls:
    """The handlers of a server."""

    def __init__(self, tools: Gate) -> None:
        self._tools, self._role = tools, tools.settings.role
        self._waiting: OrderedDict[str, Confirmation] = OrderedDict()

    async def list(self, *_: Any) -> types.ListToolsResult:
        """What may be called, with the closed schemas of the registry; no tool that nobody signed for."""
        return types.ListToolsResult(
            tools=[
                types.Tool(name=tool.name, description=tool.description, input_schema=dict(tool.parameters))
                for tool in self._tools.planned
            ]
        )

    async def call(
        self, ctx: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        """Make a call that is allowed or that a person agrees to; `pending` where a client cannot ask one."""
        name, arguments = params.name, params.arguments or {}
        decided = self._tools.registry.decide(name, arguments, self._role)
        if not any(tool.name == name for tool in self._tools.planned):
            return _tell(
                "denied", decided.reason or f"{name} is refused: it is not as somebody signed for it."
            )
        able = ctx.session.client_capabilities
        asks = able is not None and able.elicitation is not None
        if decided.outcome != "confirm" or not asks:
            return await self._run(ctx, name, arguments, None)
        agreed, message = Confirmation.of(name, arguments), write_question(name, arguments)
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            reply: Any = await ctx.session.elicit_form(message, FORM, ctx.request_id)
        elif (seen := self._waiting.pop(params.request_state or "", None)) is None:
            form = types.ElicitRequestFormParams(message=message, requested_schema=FORM)
            ticket = secrets.token_urlsafe()  # for one answer: nobody confirms what was never asked
            self._waiting[ticket] = agreed
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
            requests = {"confirm": types.ElicitRequest(params=form)}
            return types.InputRequiredResult(input_requests=requests, request_state=ticket)
        else:
            reply, agreed = (params.input_responses or {}).get("confirm"), seen  # to the call that was shown
        if getattr(reply, "action", "") != "accept" or (reply.content or {}).get("agreed") is not True:
            return _tell("denied", f"A person did not agree to {name} with these arguments.")
        return await self._run(ctx, name, arguments, agreed)

    async def _run(
        self,
        ctx: ServerRequestContext[Any],
        name: str,
        arguments: dict[str, Any],
        agreed: Confirmation | None,
    ) -> types.CallToolResult:
        """Its spans are children of the client's."""
        carried = {key: value for key, value in dict(ctx.meta or {}).items() if isinstance(value, str)}
        token = context.attach(propagate.extract(carried))
        try:
            made = await run_sync(partial(self._tools.registry.run, name, arguments, self._role, agreed))
        finally:
            context.detach(token)
        if made.decision == "pending":
            digest = Confirmation.of(name, arguments).digest
            return _tell("pending", f"Nothing was done. {made.reason}", digest=digest)
        if made.result is None:
            return _tell("denied", made.reason)
        content = [types.TextContent(text=json.dumps(made.result, ensure_ascii=False))]
        return types.CallToolResult(
            content=content, structured_content=made.result, is_error="error" in made.result
        )


def make_server(calls: Calls) -> Server[Any]:
    """A server without the SDK's own spans, which are not masked."""
    server: Server[Any] = Server(
        "fellwind-shop", version="1.0.0", on_list_tools=calls.list, on_call_tool=calls.call
    )
    server.middleware = []
    return server


def serve(port: int | None = None) -> None:
    """
    Answer one client over stdio, or, with a port of 127.0.0.1, any over HTTP at /mcp until Ctrl-C.

    Raises:
        AppError: The settings name something that is missing, or the port cannot be bound.
    """
    app = SupportApp(replace(read_settings(), mcp=None))
    server = make_server(Calls(app.context.tools))
    try:
        anyio.run(_serve_stdio, server) if port is None else _serve_http(server, port)
    finally:
        app.close()


async def _serve_stdio(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _serve_http(server: Server[Any], port: int) -> None:
    from reference_app.http_server import make_server as make_http_server
    from reference_app.serving.server import bind

    with bind("127.0.0.1", port) as listener:
        sys.stderr.write(f"reference_app: http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
        sys.stderr.flush()
        http = make_http_server(server.streamable_http_app(), GRACE_S)
        http.config.lifespan = "on"  # in it the sessions run
        http.run(sockets=[listener])


def _tell(status: str, text: str, **more: str) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=text)],
        structured_content={"status": status, "reason": text, **more},
        is_error=status == "denied",
    )

"""Requests for tools: each goes through the app's registry, and a person's yes comes from the client."""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import mcp_types as types
from anyio.to_thread import run_sync
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from opentelemetry import context, propagate

from reference_app.nodes.tools import screen_result
from reference_app.state import Call
from reference_app.tools.mcp import write_question
from reference_app.tools.registry import Confirmation
from reference_app.tracing import export_to, trace

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from reference_app.nodes.tools import Screen, Suspect
    from reference_app.settings import Settings
    from reference_app.state import ToolCall
    from reference_app.tools.registry import Decision
    from reference_app.tools.toolbox import Toolbox

MAX_WAITING = 1000  # questions to people; the oldest is dropped
_FORM = {
    "type": "object",
    "properties": {"agreed": {"type": "boolean", "title": "Make this call"}},
    "required": ["agreed"],
}


class Calls:
    """The handlers of a server; each call is decided by the registry, in a thread."""

    def __init__(
        self, tools: Toolbox, settings: Settings, screen: Screen, suspect: Suspect, transport: str
    ) -> None:
        """`transport` is `pipe` or `tcp`, as the conventions for spans name it."""
        self._tools = tools
        self._settings = settings
        self._screen = screen
        self._suspect = suspect
        self._transport = transport
        self._waiting: OrderedDict[str, str] = OrderedDict()

    async def list(
        self, _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """What may be called, with the closed schemas of the registry."""
        signed = (one for one in self._tools.registry.tools if one.name not in self._tools.unsigned)
        return types.ListToolsResult(
            tools=[
                types.Tool(name=one.name, description=one.description, input_schema=dict(one.parameters))
                for one in signed
            ]
        )

    async def call(
        self, ctx: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        """
        Make a call that is allowed, or that a person agrees to; else say why not.

        A person is asked through the client. Where it cannot ask, nothing is done and the result is
        `pending` with the call's digest.
        """
        name, arguments = params.name, params.arguments or {}
        decided = self._tools.registry.decide(name, arguments, self._settings.role)
        objection = self._screen(Call(name=name, arguments=arguments), "", "")
        if decided.outcome != "confirm" or objection or not _can_ask(ctx):
            return await self._run(name, arguments, None, objection)
        asked = Confirmation.of(name, arguments)
        message = write_question(name, arguments)
        form = types.ElicitRequestFormParams(message=message, requested_schema=_FORM)
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            answer = await ctx.session.elicit_form(message, _FORM, ctx.request_id)
        elif (digest := self._waiting.pop(params.request_state or "", None)) is None:
            ticket = self._wait(asked.digest)
            return types.InputRequiredResult(
                input_requests={"confirm": types.ElicitRequest(params=form)}, request_state=ticket
            )
        else:
            given = (params.input_responses or {}).get("confirm")
            answer = given if isinstance(given, types.ElicitResult) else types.ElicitResult(action="cancel")
            asked = Confirmation(digest)  # of the call that the person saw
        if answer.action != "accept" or (answer.content or {}).get("agreed") is not True:
            return _tell("denied", f"A person did not agree to {name} with these arguments.", failed=True)
        return await self._run(name, arguments, asked)

    async def trace(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """A span of each request, child of the client's; masked, unlike the SDK's own."""
        name = (ctx.params or {}).get("name") if ctx.method == "tools/call" else None
        carried = {key: value for key, value in dict(ctx.meta or {}).items() if isinstance(value, str)}
        token = context.attach(propagate.extract(carried))
        try:
            with (
                export_to(self._settings.tracing),
                trace(
                    f"{ctx.method} {name}" if self._is_known(name) else ctx.method,
                    mcp__method__name=ctx.method,
                    mcp__protocol__version=ctx.protocol_version,
                    network__transport=self._transport,
                    jsonrpc__request__id=None if ctx.request_id is None else str(ctx.request_id),
                    gen_ai__operation__name="execute_tool" if ctx.method == "tools/call" else None,
                    gen_ai__tool__name=None if name is None else str(name)[:60],
                ),
            ):
                return await call_next(ctx)
        finally:
            context.detach(token)

    async def _run(
        self,
        name: str,
        arguments: dict[str, Any],
        confirmation: Confirmation | None,
        objection: Decision | None = None,
    ) -> types.CallToolResult:
        made = await run_sync(self._make, name, arguments, confirmation, objection)
        if made.decision == "pending":
            digest = Confirmation.of(name, arguments).digest
            return _tell("pending", f"Nothing was done. {made.reason}", digest=digest)
        if made.decision == "denied" or made.result is None:
            return _tell("denied", made.reason, failed=True)
        text = json.dumps(made.result, ensure_ascii=False)
        return types.CallToolResult(
            content=[types.TextContent(text=text)],
            structured_content=made.result,
            is_error="error" in made.result,
        )

    def _make(
        self,
        name: str,
        arguments: dict[str, Any],
        confirmation: Confirmation | None,
        objection: Decision | None,
    ) -> ToolCall:
        made = self._tools.registry.run(
            name, arguments, self._settings.role, confirmation, objection=objection
        )
        return screen_result(made, self._suspect)

    def _wait(self, digest: str) -> str:
        """A ticket that is good for one answer, so that nobody confirms what this server never asked."""
        ticket = secrets.token_urlsafe()
        self._waiting[ticket] = digest
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
        return ticket

    def _is_known(self, name: object) -> bool:
        return any(one.name == name for one in self._tools.registry.tools)


def _can_ask(ctx: ServerRequestContext[Any]) -> bool:
    """Whether the client said that it shows forms to a person."""
    able = ctx.session.client_capabilities
    return able is not None and able.elicitation is not None


def _tell(status: str, text: str, *, failed: bool = False, **more: str) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=text)],
        structured_content={"status": status, "reason": text, **more},
        is_error=failed,
    )

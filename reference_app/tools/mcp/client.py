"""Tools that an MCP server lists, as the registry takes them: one connection, opened at the start."""

from __future__ import annotations

import json
import math
import os
import shlex
import threading
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError
from reference_app.tools.api import MAX_ANSWER_BYTES
from reference_app.tools.mcp import write_question
from reference_app.tools.registry import Decision, DeniedCallError, Tool
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import mcp_types as types
    from mcp import Client

VARIABLE, TIMEOUT_S = "REFERENCE_APP_MCP", 60.0
_UNOWNED = Decision(
    outcome="deny",
    reason="The guard owner denies it: an MCP server does not know whose the data are.",
    guard="owner",
)


class McpError(AppError):
    """The MCP server cannot be started, ended, hung, broke the protocol, or changed its tools."""


class McpTools:
    """
    The client of one server; may be used from many threads. The call after a failed one connects anew.

    Args:
        server: A URL of streamable HTTP, or a command.
        is_confirmed: Whether a person agreed to a call of the tool before it is made; only then is the
            server's own question about that call answered with yes. Any other is declined.
    """

    def __init__(
        self, server: str, is_confirmed: Callable[[str], bool], timeout_s: float = TIMEOUT_S
    ) -> None:
        self._server, self._is_confirmed, self._timeout_s = server, is_confirmed, timeout_s
        self._shown = server.partition("?")[0] if "://" in server else shlex.split(server)[0]
        self._lock, self._open = threading.Lock(), ExitStack()
        self._portal: Any = None
        self._client: Any = None
        self._listed: dict[str, Any] = {}
        self._agreed: list[str] = []

    def make_tools(self) -> list[Tool]:
        """
        Each tool of the server, with the server's description and schema.

        Raises:
            McpError: There is no server, or it has no tool.
            ToolError: A schema is not strict.
        """
        self._listed = self._ask(self._list)
        if not self._listed:
            raise McpError(f"The MCP server {self._shown} has no tool.")
        return [
            Tool(
                name=name,
                description=one["description"],
                parameters=one["parameters"],
                run=partial(self._run, name),
                run_as=partial(self._run, name)
                if "order_id" in one["parameters"].get("properties", {})
                else None,
            )
            for name, one in self._listed.items()
        ]

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        with self._lock:
            opened, self._open, self._client = self._open, ExitStack(), None
        opened.close()

    def _run(self, name: str, arguments: dict[str, Any], customer: int | None = None) -> dict[str, Any]:
        """
        The result of a call.

        Raises:
            DeniedCallError: The server denied it, or it is about the data of one customer alone.
            McpError: No whole answer came.
        """
        if customer is not None:
            raise DeniedCallError(_UNOWNED)
        with trace(
            f"tools/call {name}",
            call=True,
            mcp__method__name="tools/call",
            gen_ai__tool__name=name,
            network__transport="tcp" if "://" in self._server else "pipe",
        ):
            given: dict[str, Any]
            given, failed = self._ask(partial(self._call, name, arguments))
        status = given.get("status")
        if (failed and status == "denied") or (status == "pending" and "digest" in given):
            raise DeniedCallError(Decision(outcome="deny", reason=str(given.get("reason"))[:500]))
        return given

    async def _call(self, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        if await self._list() != self._listed:
            raise McpError(f"The MCP server {self._shown} changed its tools; see `llmops mcp check`.")
        question = write_question(name, arguments)
        agreed = [question] if self._is_confirmed(name) else []
        self._agreed += agreed
        try:
            made = await self._client.call_tool(name, arguments)
        finally:
            for each in agreed:
                self._agreed.remove(each)
        given = made.structured_content
        if not isinstance(given, dict) or len(json.dumps(given)) > MAX_ANSWER_BYTES:
            raise McpError(f"The MCP server {self._shown} answered {name} with no object, or one too large.")
        return given, bool(made.is_error)

    async def _list(self) -> dict[str, Any]:
        listed = (await self._client.list_tools()).tools
        return {
            each.name: {"description": each.description or "", "parameters": each.input_schema}
            for each in listed
        }

    async def _answer_person(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:  # noqa: ARG002 - the SDK gives it
        import mcp_types as types

        form = (getattr(params, "requested_schema", None) or {}).get("properties", {})
        if set(form) == {"agreed"} and params.message in self._agreed:
            return types.ElicitResult(action="accept", content={"agreed": True})
        return types.ElicitResult(action="decline")

    def _ask(self, what: Callable[[], Any]) -> Any:
        try:
            with self._lock:
                if self._client is None:
                    self._connect()
                portal = self._portal
            return portal.call(what)
        except McpError:
            raise
        except ModuleNotFoundError:
            raise McpError('Tools of an MCP server need: pip install "pytest-llmops[app,mcp]"') from None
        except Exception as error:  # noqa: BLE001 - the SDK's, the system's, or a group of such
            self.close()
            first: BaseException = error
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            said = " ".join(str(first).split())[:200]
            raise McpError(f"The MCP server {self._shown} failed: {type(first).__name__}: {said}") from None

    def _connect(self) -> None:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal())
            self._client = opening.enter_context(self._portal.wrap_async_context_manager(self._connected()))
            self._open = opening.pop_all()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        """The client, once the server has introduced itself; that may take no longer than a call."""
        import anyio
        from mcp import Client, StdioServerParameters

        server: Any = self._server
        if "://" not in self._server:
            command, *arguments = shlex.split(self._server)
            own = {name: value for name, value in os.environ.items() if name != VARIABLE}
            server = StdioServerParameters(command=command, args=arguments, env=own)
        client = Client(
            server,
            read_timeout_seconds=self._timeout_s,
            elicitation_callback=self._answer_person,
            cache=None,
        )
        with anyio.move_on_after(self._timeout_s) as scope:
            async with client:
                scope.deadline = math.inf
                yield client
        if scope.cancelled_caught:
            raise TimeoutError(f"it did not introduce itself within {self._timeout_s:g} s")

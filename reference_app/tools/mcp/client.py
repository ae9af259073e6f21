"""Tools that an MCP server lists, as the registry takes them: one connection, opened at the start."""

from __future__ import annotations

import json
import logging
import math
import os
import shlex
import threading
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from reference_app.errors import AppError
from reference_app.settings import is_url
from reference_app.tools.api import MAX_ANSWER_BYTES
from reference_app.tools.mcp import write_question
from reference_app.tools.registry import Decision, DeniedCallError, Tool
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    import mcp_types as types
    from anyio.from_thread import BlockingPortal
    from mcp import Client

VARIABLE, OWN, TIMEOUT_S, MAX_PAGES = "REFERENCE_APP_MCP", "reference_app.variants.mcp", 60.0, 100
_UNOWNED = Decision(
    outcome="deny",
    reason="The guard owner denies it: an MCP server does not know whose the data are.",
    guard="owner",
)


class McpError(AppError):
    """The MCP server cannot be started, ended, hung, broke the protocol, or changed its tools."""


class _Connection(NamedTuple):
    portal: BlockingPortal
    client: Client
    closing: ExitStack


class McpTools:
    """
    The client of one server; may be used from many threads. The call after a lost connection connects again.

    Args:
        server: A URL of streamable HTTP, or a command. Only the shop's own server gets this process's
            environment; any other command gets `PATH`, `HOME` and the like.
        is_confirmed: Whether a person agreed to a call of the tool before it is made; only then is the
            server's own question about that call answered with yes. Any other is declined.
        public: Names of tools whose data belong to no customer. All others are denied for a customer.
    """

    def __init__(
        self,
        server: str,
        is_confirmed: Callable[[str], bool],
        public: Collection[str] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._server, self._is_confirmed, self._public = server, is_confirmed, public
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._listed: dict[str, Any] = {}
        self._agreed: list[str] = []

    def make_tools(self) -> list[Tool]:
        """
        Each tool of the server, with the server's description and schema.

        Raises:
            McpError: There is no server, or it has no tool.
            ToolError: A schema is not strict.
        """
        self._listed = self._request(self._list)
        if not self._listed:
            raise self._fail("has no tool.")
        return [
            Tool(
                name=name,
                description=description,
                parameters=parameters,
                run=partial(self._run, name),
                run_as=None if name in self._public else _deny,
            )
            for name, (description, parameters) in self._listed.items()
        ]

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        self._drop(self._connection)

    def _run(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """
        The result of a call.

        Raises:
            DeniedCallError: The server denied it.
            McpError: No complete answer came.
        """
        with trace(
            f"tools/call {name}",
            call=True,
            mcp__method__name="tools/call",
            gen_ai__tool__name=name,
            network__transport="tcp" if is_url(self._server) else "pipe",
        ):
            result, failed = self._request(partial(self._call, name, arguments))
        if failed and (not isinstance(result, dict) or not {"status", "error"} & set(result)):
            return {"error": "unavailable"}
        if not isinstance(result, dict) or len(json.dumps(result)) > MAX_ANSWER_BYTES:
            raise self._fail(f"answered {name} with no object, or one too large.")
        status = result.get("status")
        if (failed and status == "denied") or (status == "pending" and "digest" in result):
            raise DeniedCallError(Decision(outcome="deny", reason=str(result.get("reason"))[:500]))
        return result

    async def _call(self, name: str, arguments: dict[str, Any], client: Client) -> tuple[Any, bool]:
        if await self._list(client) != self._listed:
            raise self._fail("changed its tools; see `llmops mcp check`.")
        agreed = [write_question(name, arguments)] if self._is_confirmed(name) else []
        self._agreed += agreed
        try:
            made = await client.call_tool(name, arguments)
        finally:
            for question in agreed:
                self._agreed.remove(question)
        return made.structured_content, bool(made.is_error)

    async def _list(self, client: Client) -> dict[str, Any]:
        """Description and schema by name, from all pages."""
        listed: dict[str, Any] = {}
        cursor = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            listed |= {tool.name: (tool.description or "", tool.input_schema) for tool in page.tools}
            cursor = page.next_cursor
            if cursor is None:
                return listed
        raise self._fail("lists tools without end.")

    async def _answer_person(
        self,
        context: Any,  # noqa: ARG002 - the SDK gives it
        params: types.ElicitRequestParams,
    ) -> types.ElicitResult:
        """Yes to the one question that the server may put, of a call that a person agreed to here."""
        import mcp_types as types

        form = (getattr(params, "requested_schema", None) or {}).get("properties", {})
        if set(form) == {"agreed"} and params.message in self._agreed:
            return types.ElicitResult(action="accept", content={"agreed": True})
        return types.ElicitResult(action="decline")

    def _request(self, what: Callable[[Client], Any]) -> Any:
        connection = None
        try:
            with self._lock:
                connection = self._connection = self._connection or self._connect()
            return connection.portal.call(what, connection.client)
        except McpError:
            raise
        except ModuleNotFoundError:
            raise McpError('Tools of an MCP server need: pip install "pytest-llmops[app,mcp]"') from None
        except Exception as error:  # noqa: BLE001 - the SDK's, the system's, or a group of such
            first: BaseException = error
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            if not _is_late(first):  # else the calls beside this one would end too
                self._drop(connection)
            words = " ".join(str(getattr(first, "message", first)).split())[:200]
            raise self._fail(f"failed: {type(first).__name__}: {words}") from None

    def _drop(self, connection: _Connection | None) -> None:
        """Close a connection, unless another thread did, and opened the next one."""
        with self._lock:
            if connection is None or self._connection is not connection:
                return
            self._connection = None
        connection.closing.close()

    def _connect(self) -> _Connection:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as opening:
            portal = opening.enter_context(start_blocking_portal())
            client = opening.enter_context(portal.wrap_async_context_manager(self._open_client()))
            return _Connection(portal, client, opening.pop_all())

    @asynccontextmanager
    async def _open_client(self) -> AsyncIterator[Client]:
        """The client, once the server has introduced itself; that may take no longer than a call."""
        import anyio
        from mcp import Client, StdioServerParameters

        logging.getLogger("mcp").setLevel(logging.CRITICAL)  # else it logs what is no message
        server: Any = self._server
        if not is_url(server):
            command, *arguments = shlex.split(server)
            own = {name: value for name, value in os.environ.items() if name != VARIABLE}
            environment = own if OWN in arguments else None
            server = StdioServerParameters(command=command, args=arguments, env=environment)
        client = Client(
            server, read_timeout_seconds=self._timeout_s, elicitation_callback=self._answer_person, cache=None
        )
        with anyio.move_on_after(self._timeout_s) as scope:
            async with client:
                scope.deadline = math.inf
                yield client
        if scope.cancelled_caught:
            raise TimeoutError(f"it did not introduce itself within {self._timeout_s:g} s")

    def _fail(self, what: str) -> McpError:
        """Names the server without what may be a secret: user and query of a URL, arguments of a command."""
        url = urlsplit(self._server)
        place = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        return McpError(
            f"The MCP server {place if is_url(self._server) else shlex.split(self._server)[0]} {what}"
        )


def _deny(_arguments: dict[str, Any], _customer: int) -> dict[str, Any]:
    raise DeniedCallError(_UNOWNED)


def _is_late(error: BaseException) -> bool:
    """Whether one answer did not come in time, which says nothing of the connection."""
    import mcp_types as types
    from mcp import MCPError

    return isinstance(error, MCPError) and error.code == types.REQUEST_TIMEOUT

"""Reads the tools of an MCP server by the official client, within limits of time and size."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from pytest_llmops.errors import McpServerError, MissingExtraError, describe_error
from pytest_llmops.features.mcp.rules import MAX_CHARACTERS, show

if TYPE_CHECKING:
    from mcp import Client


def is_modern_only(error: BaseException) -> bool:
    """Return whether a server refuses the handshake of the protocol's earlier revisions."""
    from mcp import MCPError
    from mcp_types import UNSUPPORTED_PROTOCOL_VERSION

    error = _first(error)
    return isinstance(error, MCPError) and error.code == UNSUPPORTED_PROTOCOL_VERSION


def explain(error: BaseException, timeout_s: float) -> str:  # noqa: PLR0911 - a line for each cause
    """Explain an exception of the SDK, of its HTTP client or of the system."""
    import httpx2
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED
    from pydantic import ValidationError

    error = _first(error)
    match error:
        case TimeoutError() | httpx2.TimeoutException():
            return f"did not list its tools within {timeout_s:g} s"
        case FileNotFoundError() | PermissionError():
            return f"cannot be started: {error.strerror}"
        case MCPError() if error.code == CONNECTION_CLOSED:
            return "ended the connection before it listed its tools"
        case MCPError():
            return f"answered with an error: {show(error.message)}"
        case ValidationError():
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            return f"its answer is not valid MCP: {show(place)}: {show(first['msg'])}"
        case RecursionError():
            return "a definition is nested too deeply"
        case _:
            return f"cannot be reached or read: {show(describe_error(error))}"


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """
    A tool.

    Attributes:
        sha256: Of the definition as the server gives it.
        content: The definition; in a lock with its secrets masked.
    """

    name: str
    sha256: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """
    The tools and self-description of a server, listed for one client at one time.

    Attributes:
        server: The name it gives itself; empty where it gives none.
        instructions: For the model, as many clients put them into the system prompt.
        about: Its name, title and description.
        client: The name of the client.
    """

    server: str
    instructions: str
    about: tuple[str, ...]
    client: str
    tools: tuple[Definition, ...]


def define(content: Mapping[str, Any]) -> Definition:
    """Make a definition, with a digest that does not depend on the order of keys."""
    return Definition(name=content["name"], sha256=digest_of(content), content=content)


def digest_of(value: Any) -> str:
    """Return the sha256 of a JSON value in ASCII, with sorted keys and no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


TIMEOUT_S = 30.0
PAUSE_S = 1.0
CLIENTS = ("pytest-llmops", "claude-ai")
"""
A connection for each of these names, since a server may look out for a scanner; from the second one on with
the handshake of earlier revisions of the protocol, as most clients have it.
"""
MAX_TOOLS = 1000
MAX_PAGES = 200
MAX_BYTES = 1_000_000  # of all definitions, as JSON in ASCII


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """
    The address of a server.

    Attributes:
        url: Of streamable HTTP; empty for a command.
        command: A program with MCP on its standard streams; it gets PATH, HOME and the like, and `env`.
        headers: Of each HTTP request.
    """

    url: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return show(self.url or shlex.join(self.command))


def read_address(
    typed: Sequence[str], env: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Address:
    """Read a URL, a command in parts, or one in a single text."""
    env, headers = env or {}, headers or {}
    if len(typed) == 1 and typed[0].lower().startswith(("http://", "https://")):
        return Address(url=typed[0], headers=headers)
    try:
        parts = shlex.split(typed[0]) if len(typed) == 1 else list(typed)
    except ValueError as error:
        raise McpServerError(f"the command {show(typed[0])!r} cannot be read: {error}") from None
    if not parts or not parts[0]:
        raise McpServerError("name the command that starts the server, or its URL")
    return Address(command=tuple(parts), env=env, headers=headers)


def read_listings(
    address: Address,
    *,
    timeout_s: float = TIMEOUT_S,
    pause_s: float = PAUSE_S,
    clients: Sequence[str] = CLIENTS,
) -> list[Listing]:
    """
    List the tools of a server: twice in the first connection, then once in each further one.

    Args:
        timeout_s: Of one connection, its pause not counted.
        clients: A name for each connection.

    Raises:
        MissingExtraError: The MCP SDK is not installed.
        McpServerError: The server ended, hung, broke the protocol, or listed more than can be read.
    """
    try:
        from mcp import Client  # noqa: F401 - is it installed, and of version 2?
    except ImportError as error:
        raise MissingExtraError("checking an MCP server", "mcp") from error
    listings: list[Listing] = []
    with _quiet(), tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        for client in clients:
            pause = None if listings else pause_s
            try:
                listings += _read_in_turn(
                    _Visit(address, client, timeout_s, pause, stderr), legacy=bool(listings)
                )
            except McpServerError:
                raise
            except Exception as error:  # noqa: BLE001 - any error leaves the server unchecked
                reason = explain(error, timeout_s)
                raise McpServerError(f"{address}: {reason}{_last_line(stderr)}") from None
    return listings


class _Visit(NamedTuple):
    """
    One connection.

    Attributes:
        pause_s: Before a second listing; None for one listing.
        stderr: Gets the standard error of the server.
    """

    address: Address
    name: str
    timeout_s: float
    pause_s: float | None
    stderr: IO[str]


def _read_in_turn(visit: _Visit, *, legacy: bool) -> list[Listing]:
    import anyio

    try:
        return anyio.run(_read, visit, "legacy" if legacy else "auto")
    except Exception as error:
        if not legacy or not is_modern_only(error):
            raise
    return anyio.run(_read, visit, "auto")


async def _read(visit: _Visit, mode: str) -> list[Listing]:
    import anyio

    with anyio.fail_after(visit.timeout_s + (visit.pause_s or 0)):
        async with _connect(visit, mode) as client:
            listings = [await _list(client, visit)]
            if visit.pause_s is not None:
                await anyio.sleep(visit.pause_s)
                listings.append(await _list(client, visit))
            return listings
    raise TimeoutError  # never reached, as `fail_after` raises it; mypy takes it for one that swallows errors


@asynccontextmanager
async def _connect(visit: _Visit, mode: str) -> AsyncIterator[Client]:
    import httpx2
    import mcp_types as types
    from mcp import Client, StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client

    from pytest_llmops.features.mcp.limited_stream import limit_body

    address = visit.address
    info = types.Implementation(name=visit.name, version="1.0.0")
    if address.command:
        command, *arguments = address.command
        server = StdioServerParameters(command=command, args=arguments, env=dict(address.env))
        streams = stdio_client(server, visit.stderr)  # type: ignore[arg-type] # any file will do
        async with Client(streams, client_info=info, cache=None, mode=mode) as client:
            yield client
        return
    hooks = {"response": [limit_body]}
    headers = dict(address.headers)
    async with httpx2.AsyncClient(headers=headers, timeout=visit.timeout_s, event_hooks=hooks) as http:
        streams = streamable_http_client(address.url, http_client=http)
        async with Client(streams, client_info=info, cache=None, mode=mode) as client:
            yield client


async def _list(client: Client, visit: _Visit) -> Listing:
    """List all pages; the SDK's own method leaves out tools with a broken header, and may cache."""
    import mcp_types as types
    from pydantic import TypeAdapter

    as_it_is: TypeAdapter[Any] = TypeAdapter(dict[str, Any])
    address = visit.address
    _measure(client.instructions or "", address)
    tools: list[Definition] = []
    cursor: str | None = None
    cursors: set[str] = set()
    size = 0
    while True:
        request = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
        page = await client.session.send_request(request, as_it_is)
        for content in page["tools"]:
            size += _measure(content, address)
            tools.append(define(content))
            if len(tools) > MAX_TOOLS or size > MAX_BYTES:
                raise McpServerError(
                    f"{address}: lists more than {MAX_TOOLS:,} tools or {MAX_BYTES:,} bytes of definitions; "
                    "nothing was checked"
                )
        cursor = page.get("nextCursor")
        if cursor is None:
            break
        if cursor in cursors or len(cursors) >= MAX_PAGES:
            raise McpServerError(f"{address}: its list of tools has no end: page {len(cursors) + 2:,}")
        cursors.add(cursor)
    info = client.server_info
    return Listing(
        server=info.name if info else "",
        about=tuple(filter(None, (info.name, info.title, info.description))) if info else (),
        instructions=client.instructions or "",
        client=visit.name,
        tools=tuple(tools),
    )


def _measure(content: Any, address: Address) -> int:
    """Return the size of a definition; a text that is too long to be checked is an error."""
    size = len(json.dumps(content))
    if size > MAX_CHARACTERS and max(map(len, _texts(content)), default=0) > MAX_CHARACTERS:
        raise McpServerError(
            f"{address}: a text of a definition has over {MAX_CHARACTERS:,} characters; nothing was checked"
        )
    return size


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(part)


def _last_line(stderr: IO[str]) -> str:
    """Return the last line of the server's standard error."""
    end = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, end - 4000))
    lines = [line for line in stderr.read().splitlines() if line.strip()]
    return f"; it wrote: {show(lines[-1].strip())}" if lines else ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log of the SDK, which repeats our message with a traceback."""
    logger = logging.getLogger("mcp")
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagates

"""Why a server could not be read, in one line."""

from __future__ import annotations

from pytest_llmops.errors import describe_error
from pytest_llmops.mcp.findings import show


def is_modern_only(error: BaseException) -> bool:
    """Whether a server refuses the handshake of the protocol's earlier revisions."""
    from mcp import MCPError
    from mcp_types import UNSUPPORTED_PROTOCOL_VERSION

    error = _first(error)
    return isinstance(error, MCPError) and error.code == UNSUPPORTED_PROTOCOL_VERSION


def explain(error: BaseException, timeout_s: float) -> str:  # noqa: PLR0911 - a line for each cause
    """What happened, from an exception of the SDK, of its HTTP client or of the system."""
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

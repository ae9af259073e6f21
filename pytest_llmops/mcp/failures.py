"""Why a server could not be read, in one line."""

from __future__ import annotations

from pytest_llmops.mcp.findings import show


def explain(error: BaseException, timeout_s: float) -> str:  # noqa: PLR0911 - a line for each cause
    """What happened, from an exception of the SDK, of its HTTP client or of the system."""
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED
    from pydantic import ValidationError

    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case TimeoutError():
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
            return f"cannot be reached or read: {show(f'{type(error).__name__}: {error}')}"

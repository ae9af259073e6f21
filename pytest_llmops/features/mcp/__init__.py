"""Checks of the tool definitions of an MCP server, and their lock."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="mcp",
            module="pytest_llmops.features.mcp.command",
            help="tools of an MCP server: check, lock",
            page="docs/mcp.md",
        ),
    ]

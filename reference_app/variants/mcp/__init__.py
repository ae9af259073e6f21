"""
The shop's tools as an MCP server, behind the same registry, policy and confirmation as in the app.

`answer` is the app with that server's tools in place of its own; so is any part of the app where
`REFERENCE_APP_MCP` names a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any


def answer(question: str | Sequence[str | Mapping[str, str]] | Mapping[str, Any]) -> dict[str, Any]:
    """
    As `reference_app.answer`, by the tools of the server that the environment names, or of one started here.

    Raises:
        reference_app.errors.AppError: The server cannot be started, ended, hung or changed its tools.
    """
    import shlex
    import sys

    from reference_app.app import open_app
    from reference_app.settings import read_settings

    settings = read_settings()
    own = shlex.join([sys.executable, "-m", __name__])
    return open_app(replace(settings, mcp=settings.mcp or own)).answer(question)

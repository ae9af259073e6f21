"""Endpoint and key of LangSmith clients in this environment, and the clients that are ours."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakSet

NAMESPACES = ("LANGSMITH", "LANGCHAIN")

own_clients: WeakSet[Any] = WeakSet()
"""Clients of this package, whose runs are none of the app."""


def langsmith_endpoint() -> str:
    """Return the URL that a client of this environment sends its runs to."""
    return _read("ENDPOINT").strip("\"'").rstrip("/") or "https://api.smith.langchain.com"


def langsmith_key() -> str:
    return _read("API_KEY")


def _read(name: str) -> str:
    values = (os.environ.get(f"{namespace}_{name}", "").strip() for namespace in NAMESPACES)
    return next(filter(None, values), "")

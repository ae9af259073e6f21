"""What this environment says of tracing: LangSmith's endpoint and key, whose clients are ours, OTLP."""

from __future__ import annotations

import os
from importlib.util import find_spec
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


def is_tracing() -> bool:
    """Return whether the environment switches LangSmith's tracing on."""
    return any(_read(name).lower() in {"1", "true"} for name in ("TRACING", "TRACING_V2"))


def can_read_protobuf() -> bool:
    """Return whether OTLP's messages can be read here."""
    try:
        return find_spec("opentelemetry.proto") is not None
    except ModuleNotFoundError:  # of its parent package
        return False


def _read(name: str) -> str:
    values = (os.environ.get(f"{namespace}_{name}", "").strip() for namespace in NAMESPACES)
    return next(filter(None, values), "")

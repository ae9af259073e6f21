"""The shop's tools where an MCP server has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_question(name: str, arguments: Mapping[str, Any]) -> str:
    """What the shop's server puts to a person before a call, and what its client knows that question by."""
    return f"{name} with {json.dumps(arguments, ensure_ascii=False, sort_keys=True)}?"

"""Tool definitions as a server lists them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
    What a server says of itself and its tools to one client at one time.

    Attributes:
        server: The name it gives itself; empty where it gives none.
        instructions: For the model, as many clients put them into the system prompt.
        about: What it says of itself beside.
        client: The name under which it was asked.
    """

    server: str
    instructions: str
    about: tuple[str, ...]
    client: str
    tools: tuple[Definition, ...]


def define(content: Mapping[str, Any]) -> Definition:
    """The definition, with a digest that does not depend on the order of keys."""
    return Definition(name=content["name"], sha256=digest_of(content), content=content)


def digest_of(value: Any) -> str:
    """The sha256 of a JSON value in ASCII, with sorted keys and no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

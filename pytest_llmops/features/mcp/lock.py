"""
`mcp.lock`: the accepted tool definitions of MCP servers.

Its JSON Schema is `lock.schema.json` in this folder. Secrets in definitions and instructions are masked;
the digests are of both as the server gives them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pytest_llmops.detect.mask import mask_secrets
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import (
    BrokenValueError,
    hexadecimal,
    list_of,
    read_version,
    reader_of,
    record_reader,
    refuse_twice,
    show,
)
from pytest_llmops.errors import McpLockError
from pytest_llmops.features.mcp.server import Definition, Listing, digest_of
from pytest_llmops.printable import printable

LOCK_NAME = "mcp.lock"
VERSION = 1

_FILE = KeptFile(
    name=LOCK_NAME,
    error=McpLockError,
    remedy="Restore it from version control, or delete it and run: llmops mcp lock SERVER",
)
_COMMAND = "Read the tools of the server, then run: llmops mcp lock SERVER"


def _read_definition(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be a mapping, not {show(value)}")
    return value


_definition = record_reader(Definition, sha256=hexadecimal(64), content=_read_definition)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedServer:
    """
    The accepted tools and instructions of one server.

    Attributes:
        server: The name by which `check` finds it.
        instructions_sha256: Of the instructions as the server gives them, as JSON.
        instructions: With their secrets masked.
        tools: Sorted by name.
    """

    server: str
    instructions_sha256: Annotated[str, hexadecimal(64)]
    instructions: str
    tools: Annotated[tuple[Definition, ...], list_of(_definition)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    version: Any
    servers: tuple[LockedServer, ...]


def load_lock(lock: Path) -> dict[str, LockedServer]:
    """
    Load the servers of a lock by name; none without the file.

    Raises:
        McpLockError: It cannot be read, or is no lock of this version.
    """
    data = _FILE.find(lock, LOCK_NAME)
    servers = () if data is None else _FILE.parse(data, LOCK_NAME, _parse)
    return {server.server: server for server in servers}


def load_accepted(lock: Path) -> dict[str, LockedServer]:
    """
    Load a lock that must exist.

    Raises:
        McpLockError: There is none, or it locks nothing.
    """
    servers = load_lock(lock)
    if not servers:
        raise McpLockError(f"there is no {LOCK_NAME} in {printable(str(lock.parent))}. {_COMMAND}")
    return servers


def find_locked(servers: Mapping[str, LockedServer], name: str) -> LockedServer:
    """
    Return the locked tools of a server.

    Raises:
        McpLockError: The lock has none.
    """
    if name not in servers:
        known = printable(", ".join(servers))
        raise McpLockError(f"{LOCK_NAME}: locks no server {printable(name)!r}; it locks {known}. {_COMMAND}")
    if not servers[name].tools:
        raise McpLockError(f"{LOCK_NAME}: locks no tool of {printable(name)!r}. {_COMMAND}")
    return servers[name]


def make_locked(name: str, listing: Listing) -> LockedServer:
    """
    Make the entry of a lock from a listing.

    Raises:
        McpLockError: There is no tool, or two have one name.
    """
    if not listing.tools:
        raise McpLockError("the server lists no tool, so there is nothing to lock")
    names = [tool.name for tool in listing.tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise McpLockError(f"two tools are named {printable(twice[0])!r}, so nothing was locked")
    kept = [
        Definition(name=tool.name, sha256=tool.sha256, content=mask_secrets(tool.content))
        for tool in sorted(listing.tools, key=lambda tool: tool.name)
    ]
    return LockedServer(
        server=name,
        instructions_sha256=digest_of(listing.instructions),
        instructions=mask_secrets(listing.instructions),
        tools=tuple(kept),
    )


def write_lock(lock: Path, server: LockedServer) -> bool:
    """Add or replace one server, in ASCII, so that a diff shows all; return whether anything changed."""
    servers = load_lock(lock)
    if servers.get(server.server) == server:
        return False
    servers[server.server] = server
    entries = [asdict(locked) for _, locked in sorted(servers.items())]
    content = {"version": VERSION, "servers": entries}
    write_atomically(lock, (json.dumps(content, indent=1) + "\n").encode())
    return True


def _parse(text: str) -> tuple[LockedServer, ...]:
    content = read_version(parse_json(text), VERSION, LOCK_NAME)
    servers = content.get("servers")
    for written in servers if isinstance(servers, list) else ():
        if isinstance(written, dict) and "instructions" in written and "instructions_sha256" not in written:
            raise McpLockError(
                f"{LOCK_NAME}: is of an earlier form, without a digest of instructions. "
                "Read the tools of its servers, delete it, and run: llmops mcp lock SERVER"
            )
    lock: _Lock = reader_of(_Lock)(content)
    refuse_twice((server.server for server in lock.servers), "servers", "server")
    for server in lock.servers:
        refuse_twice((tool.name for tool in server.tools), "tools", "name")
    return lock.servers

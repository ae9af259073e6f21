"""All that is wrong with the tools of a server, from its listings and its lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_llmops.detect.mask import mask_secrets
from pytest_llmops.mcp.changes import compare_fields, compare_listings
from pytest_llmops.mcp.definitions import Definition, Listing, digest_of
from pytest_llmops.mcp.findings import BY_CLIENT, CHANGED, IN_SESSION, SERVER, McpFinding
from pytest_llmops.mcp.lock import LockedServer
from pytest_llmops.mcp.rules.names import check_names
from pytest_llmops.mcp.rules.schemas import check_schema
from pytest_llmops.mcp.rules.texts import check_texts


def check_listings(
    listings: Sequence[Listing], locked: LockedServer, *, bounded: bool = True
) -> tuple[McpFinding, ...]:
    """
    Args:
        listings: Of one server, the first one first; of one session or of several.
        locked: What was accepted.
        bounded: Whether input schemas must be closed and bounded.
    """
    found = [*_check_changes(listings, locked)]
    for listing in listings:
        found += check_names([each.name for each in listing.tools])
    known: dict[str, Definition] = {}
    for each in (tool for listing in listings for tool in listing.tools):
        if known.setdefault(each.sha256, each) is each:
            found += check_schema(each.name, each.content.get("inputSchema"), bounded=bounded)
            found += check_texts(each.name, each.content)
    for instructions, about in dict.fromkeys((each.instructions, each.about) for each in listings):
        found += check_texts(SERVER, {"instructions": instructions, "serverInfo": about})
    return tuple(sorted(dict.fromkeys(found), key=lambda each: each.tool))


def compare_with_lock(listing: Listing, locked: LockedServer) -> Iterator[McpFinding]:
    """What changed since somebody accepted the definitions."""
    yield from compare_listings(locked.tools, listing.tools, CHANGED)
    was = (locked.instructions_sha256, locked.instructions)
    # Both, as of tools: people read the text in a lock, and a secret in it is masked.
    if was != (digest_of(listing.instructions), mask_secrets(listing.instructions)):
        yield from _compare_instructions(locked.instructions, listing.instructions, CHANGED)


def _check_changes(listings: Sequence[Listing], locked: LockedServer) -> Iterator[McpFinding]:
    first, *later = listings
    yield from compare_with_lock(first, locked)
    for each in later:
        what = IN_SESSION if each.client == first.client else BY_CLIENT
        yield from compare_listings(first.tools, each.tools, what)
        if each.instructions != first.instructions:
            yield from _compare_instructions(first.instructions, each.instructions, what)


def _compare_instructions(old: str, new: str, what: str) -> Iterator[McpFinding]:
    was, now = {"instructions": old}, {"instructions": new}
    for each in compare_fields(SERVER, was, now, what):
        yield replace(each, field=each.field or "instructions")

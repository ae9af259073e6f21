"""Findings in the tools of a server, from its listings and its lock."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from typing import Any

from pytest_llmops.detect.mask import mask, mask_secrets
from pytest_llmops.features.mcp.lock import LockedServer
from pytest_llmops.features.mcp.rules import (
    BY_CLIENT,
    CHANGED,
    FILLED,
    IN_SESSION,
    SERVER,
    McpFinding,
    check_names,
    check_schema,
    check_texts,
    fields_of,
)
from pytest_llmops.features.mcp.server import Definition, Listing, digest_of
from pytest_llmops.printable import printable

_FIELDS = 10  # of one tool that are shown
_BEFORE = 24  # characters of a text before its first difference
_LONGEST = 90


def compare_listings(old: Sequence[Definition], new: Sequence[Definition], what: str) -> Iterator[McpFinding]:
    """Find tools that were added, removed or changed; their order does not count."""
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys()):
        yield from _compare_tools(name, before.get(name, []), after.get(name, []), what)


def compare_fields(name: str, old: Any, new: Any, what: str) -> Iterator[McpFinding]:
    """Find the first ten fields that differ, secrets masked on both sides."""
    shown = [mask_secrets(content) for content in (old, new)]
    before, after = (dict(fields_of(content)) for content in shown)
    changed = [field for field in {**before, **after} if _differs(before.get(field), after.get(field))]
    for field in islice(changed, _FIELDS):
        detail = _show_change(before.get(field), after.get(field))
        yield McpFinding(tool=name, field=field, what=what, detail=detail)
    if (more := len(changed) - _FIELDS) > 0:
        yield McpFinding(tool=name, field="", what=what, detail=f"and {more:,} more fields")
    if not changed:
        hidden = shown != [old, new]
        detail = "in a secret, which is not shown" if hidden else "the text is the same, its digest is not"
        yield McpFinding(tool=name, field="", what=what, detail=detail)


def _by_name(definitions: Sequence[Definition]) -> dict[str, list[Definition]]:
    """Group definitions by their tool's name."""
    named: dict[str, list[Definition]] = {}
    for definition in definitions:
        named.setdefault(definition.name, []).append(definition)
    return named


def _compare_tools(
    name: str, old: Sequence[Definition], new: Sequence[Definition], what: str
) -> Iterator[McpFinding]:
    if not old or not new:
        yield McpFinding(tool=name, field="", what=what, detail="removed" if old else "added")
        return
    known = [(definition.sha256, mask_secrets(definition.content)) for definition in old]
    for definition in new:
        # Both: people read the content in a lock, and a digest of another content would deceive them.
        if (definition.sha256, mask_secrets(definition.content)) not in known:
            yield from compare_fields(name, old[0].content, definition.content, what)
    if len(old) > len(new):
        yield McpFinding(tool=name, field="", what=what, detail="one of two tools of this name was removed")


def _differs(old: str | None, new: str | None) -> bool:
    """Compare two values; of containers only the kind, since their parts are fields themselves."""
    if old is None or new is None:
        return (old or new) not in FILLED
    return old[0] != new[0] if old[0] in "[{" else old != new


def _show_change(old: str | None, new: str | None) -> str:
    """Return `- 'old' + 'new'`, from shortly before the first difference; quoted JSON if one is no text."""
    sides = [(sign, text) for sign, text in (("-", old), ("+", new)) if text is not None]
    plain = all(text.startswith('"') for _, text in sides)
    shown = [(sign, mask(json.loads(text) if plain else text)) for sign, text in sides]
    first, last = shown[0][1], shown[-1][1]
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    start = max(0, sum(1 for _ in alike) - _BEFORE) if len(shown) > 1 else 0
    return " ".join(f"{sign} {_quote(text, start)}" for sign, text in shown)


def _quote(text: str, start: int) -> str:
    end = start + _LONGEST
    return f"'{'…' * (start > 0)}{printable(text[start:end])}{'…' * (len(text) > end)}'"


def check_listings(
    listings: Sequence[Listing], locked: LockedServer, *, bounded: bool = True
) -> tuple[McpFinding, ...]:
    """
    Find all problems of a server.

    Args:
        listings: Of one server, the first one first; of one session or of several.
        locked: The accepted definitions.
        bounded: Whether input schemas must be closed and bounded.
    """
    findings = [*_check_changes(listings, locked)]
    for listing in listings:
        findings += check_names([tool.name for tool in listing.tools])
    known: dict[str, Definition] = {}
    for tool in (tool for listing in listings for tool in listing.tools):
        if known.setdefault(tool.sha256, tool) is tool:
            findings += check_schema(tool.name, tool.content.get("inputSchema"), bounded=bounded)
            findings += check_texts(tool.name, tool.content)
    for instructions, about in dict.fromkeys((listing.instructions, listing.about) for listing in listings):
        findings += check_texts(SERVER, {"instructions": instructions, "serverInfo": about})
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.tool))


def compare_with_lock(listing: Listing, locked: LockedServer) -> Iterator[McpFinding]:
    """Find changes since the definitions were accepted."""
    yield from compare_listings(locked.tools, listing.tools, CHANGED)
    accepted = (locked.instructions_sha256, locked.instructions)
    # Both, as of tools: people read the text in a lock, and a secret in it is masked.
    if accepted != (digest_of(listing.instructions), mask_secrets(listing.instructions)):
        yield from _compare_instructions(locked.instructions, listing.instructions, CHANGED)


def _check_changes(listings: Sequence[Listing], locked: LockedServer) -> Iterator[McpFinding]:
    first, *later = listings
    yield from compare_with_lock(first, locked)
    for listing in later:
        what = IN_SESSION if listing.client == first.client else BY_CLIENT
        yield from compare_listings(first.tools, listing.tools, what)
        if listing.instructions != first.instructions:
            yield from _compare_instructions(first.instructions, listing.instructions, what)


def _compare_instructions(old: str, new: str, what: str) -> Iterator[McpFinding]:
    for finding in compare_fields(SERVER, {"instructions": old}, {"instructions": new}, what):
        yield replace(finding, field=finding.field or "instructions")

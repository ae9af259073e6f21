"""All that is wrong with the tools of a server, from its listings and its lock."""

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
    """Tools that were added, removed or changed; their order does not count."""
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys()):
        yield from _compare_tools(name, before.get(name, []), after.get(name, []), what)


def compare_fields(name: str, old: Any, new: Any, what: str) -> Iterator[McpFinding]:
    """The first ten fields that differ, secrets masked on both sides."""
    shown = [mask_secrets(each) for each in (old, new)]
    before, after = (dict(fields_of(each)) for each in shown)
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
    """Definitions by their tool's name; two of one name stay two."""
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
    known = [(each.sha256, mask_secrets(each.content)) for each in old]
    for each in new:
        # Both: people read the content in a lock, and a digest that fits something else would deceive them.
        if (each.sha256, mask_secrets(each.content)) not in known:
            yield from compare_fields(name, old[0].content, each.content, what)
    if len(old) > len(new):
        yield McpFinding(tool=name, field="", what=what, detail="one of two tools of this name was removed")


def _differs(old: str | None, new: str | None) -> bool:
    """Of containers only what they are counts here, as what is in them has fields of its own."""
    if old is None or new is None:
        return (old or new) not in FILLED
    return old[0] != new[0] if old[0] in "[{" else old != new


def _show_change(old: str | None, new: str | None) -> str:
    """`- 'was' + 'is'`, from shortly before the first difference; texts in quotes where one is no text."""
    there = [(sign, text) for sign, text in (("-", old), ("+", new)) if text is not None]
    plain = all(text.startswith('"') for _, text in there)
    shown = [(sign, mask(json.loads(text) if plain else text)) for sign, text in there]
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
    Args:
        listings: Of one server, the first one first; of one session or of several.
        locked: What was accepted.
        bounded: Whether input schemas must be closed and bounded.
    """
    found = [*_check_changes(listings, locked)]
    for listing in listings:
        found += check_names([tool.name for tool in listing.tools])
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
    for field in compare_fields(SERVER, was, now, what):
        yield replace(field, field=field.field or "instructions")

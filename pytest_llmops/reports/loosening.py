"""Lines on keys that a change loosened or edited in its own gate."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.printable import counted, printable
from pytest_llmops.revision.loosening import Loosening


def render_loosened(items: Sequence[Loosening]) -> list[str]:
    """Return the count, then a line for each with place, case and values. Empty for none."""
    if not items:
        return []
    return [f"this change loosens its own gate in {counted(len(items), 'place')}:", *map(_line, items)]


def render_edited(items: Sequence[Loosening]) -> list[str]:
    """As `render_loosened`, of checks that are asked as they were too."""
    if not items:
        return []
    places = counted(len(items), "place")
    head = f"this change edits its own checks in {places}; the old ones, named (merge base), are asked too:"
    return [head, *map(_line, items)]


def _line(item: Loosening) -> str:
    path, _, name = (item.case or "").rpartition("::")
    case = name if path in {item.place, item.place.rpartition(":")[0]} else item.case
    where = ": ".join(printable(part) for part in (item.place, case) if part)
    before = f"before: {item.before}" if item.before else ""
    after = f"now: {item.after}" if item.after else ""
    values = ", ".join(printable(part) for part in (before, after) if part)
    return f"  {where}: {printable(item.what)}{f' ({values})' if values else ''}"

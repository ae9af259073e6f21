"""What a change loosened in its own gate, for people."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.printable import counted, printable
from pytest_llmops.revision.loosening.record import Loosening


def render_loosened(items: Sequence[Loosening]) -> list[str]:
    """How many, then a line each: where, which case, what, and what stood there before. Empty for none."""
    if not items:
        return []
    return [f"this change loosens its own gate in {counted(len(items), 'place')}:", *map(_line, items)]


def _line(item: Loosening) -> str:
    path, _, name = (item.case or "").rpartition("::")
    case = name if path in {item.place, item.place.rpartition(":")[0]} else item.case
    where = ": ".join(printable(part) for part in (item.place, case) if part)
    before = f"before: {item.before}" if item.before else ""
    after = f"now: {item.after}" if item.after else ""
    values = ", ".join(printable(part) for part in (before, after) if part)
    return f"  {where}: {printable(item.what)}{f' ({values})' if values else ''}"

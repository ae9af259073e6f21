"""Lines on keys that a change loosened or edited in its own gate."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.printable import counted
from pytest_llmops.revision.loosening import Loosening


def render_loosened(items: Sequence[Loosening], *, approved: bool = False) -> list[str]:
    """Return the count, then a line for each with place, case and values. Empty for none."""
    if not items:
        return []
    places = counted(len(items), "approved place" if approved else "place")
    return [f"this change loosens its own gate in {places}:", *(f"  {item.text}" for item in items)]


def render_edited(items: Sequence[Loosening]) -> list[str]:
    """As `render_loosened`, of checks that are asked as they were too."""
    if not items:
        return []
    places = counted(len(items), "place")
    head = f"this change edits its own checks in {places}; the old ones, named (merge base), are asked too:"
    return [head, *(f"  {item.text}" for item in items)]

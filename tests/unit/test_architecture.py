"""The picture in docs/architecture.md is the import graph, without what follows from other arrows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PACKAGE = "pytest_llmops"


def imports() -> Mapping[str, set[str]]:
    """Each room of the package to those that it imports."""
    graph = grimp.build_graph(PACKAGE)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module in graph.modules - {PACKAGE}:
        room = module.split(".")[1]
        for imported in graph.find_modules_directly_imported_by(module) - {PACKAGE}:
            found[room].add(imported.split(".")[1])
    return {room: targets - {room} for room, targets in found.items()}


def reached(room: str, rooms: Mapping[str, set[str]]) -> set[str]:
    """What a room imports, itself or by others."""
    found: set[str] = set()
    waiting = list(rooms.get(room, ()))
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += rooms.get(each, ())
    return found


def arrows(rooms: Mapping[str, set[str]]) -> list[str]:
    return [
        f"  {room} --> {target}"
        for room in sorted(rooms)
        for target in sorted(rooms[room])
        if not any(target in reached(other, rooms) for other in rooms[room] - {target})
    ]


def test_the_picture_is_the_import_graph():
    drawn = (
        (ROOT / "docs/architecture.md")
        .read_text()
        .partition("```mermaid\nflowchart TD\n")[2]
        .partition("```")[0]
    )
    assert drawn.splitlines() == arrows(imports())


def test_no_room_imports_itself_by_others():
    rooms = imports()
    assert [room for room in rooms if room in reached(room, rooms)] == []

"""
What docs/architecture.md says of the whole package.

Its picture is the import graph without what follows from other arrows, and its table says who writes to disk.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PACKAGE = "pytest_llmops"


def imports() -> Mapping[str, set[str]]:
    """Each room of the package to those that it imports."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
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


WRITING = {
    "write_text",
    "write_bytes",
    "write_atomically",
    "mkdtemp",
    "TemporaryDirectory",
    "NamedTemporaryFile",
    "hold_lock",
    "take_lock",
    "wait_for_lock",
    "touch",
}
NOT_NAMED = {"documents/atomic_file.py", "streams.py"}  # writes for the others; opens the null device


def writes(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = [node.value for node in ast.iter_child_nodes(call) if isinstance(node, ast.Constant)]
    given += [keyword.value.value for keyword in call.keywords if isinstance(keyword.value, ast.Constant)]
    opens = name == "open" and any(
        isinstance(mode, str) and set("wax") & set(mode) and len(mode) < 4 for mode in given
    )
    return opens or name in WRITING or ast.unparse(call.func) in {"os.open", "sqlite3.connect"}


def test_the_table_names_who_writes_to_disk():
    table = (
        (ROOT / "docs/architecture.md")
        .read_text()
        .partition("## Who may write to disk")[2]
        .partition("\n## ")[0]
    )
    named = [
        name
        for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\S+?)`", row)
    ]
    package = ROOT / PACKAGE
    writing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and writes(node)
    }
    assert {path for path in writing if not path.startswith(tuple(named))} == NOT_NAMED
    assert [name for name in named if not any(path.startswith(name) for path in writing)] == []

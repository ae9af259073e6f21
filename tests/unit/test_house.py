"""Names, files and folders of the code: no word that the glossary bans, and nothing too large."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BANNED = frozenset({"told", "yardstick", "purse", "shelf", "kin", "foresight", "grounds", "stray"})
MAX_LINES = 300
MAX_LINES_OF_A_FUNCTION = 50
MAX_MODULES = 10  # of a folder, `__init__.py` not counted

# Exceptions with their reasons; each must be needed.
LARGE_FOLDERS: dict[str, str] = {}

FILES = [
    path.relative_to(ROOT)
    for package in ("pytest_llmops", "reference_app")
    for path in sorted(ROOT.joinpath(package).rglob("*.py"))
]


def names(path: Path) -> Iterator[str]:
    """Every identifier of a file, and the name of the file."""
    yield path.stem
    for node in ast.walk(ast.parse(ROOT.joinpath(path).read_text(encoding="utf-8"))):
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}


def test_no_name_has_a_banned_word():
    texts = ((path, f"{path.stem} {ROOT.joinpath(path).read_text(encoding='utf-8')}") for path in FILES)
    suspects = [path for path, text in texts if words(text) & BANNED]  # by a comment, perhaps
    found = {(str(path), name) for path in suspects for name in names(path) if words(name) & BANNED}
    assert found == set()


def test_no_file_is_too_long():
    lines = {path.as_posix(): ROOT.joinpath(path).read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_no_folder_has_too_many_modules():
    modules = Counter(path.parent.as_posix() for path in FILES if path.stem != "__init__")
    assert {folder for folder, count in modules.items() if count > MAX_MODULES} == set(LARGE_FOLDERS)


def test_no_function_is_too_long():
    """Its docstring is not counted."""
    lengths = {}
    for path in FILES:
        for node in ast.walk(ast.parse(ROOT.joinpath(path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                described = len((ast.get_docstring(node, clean=False) or "").splitlines())
                lengths[f"{path}:{node.lineno} {node.name}"] = node.end_lineno - node.lineno + 1 - described
    assert {name: length for name, length in lengths.items() if length > MAX_LINES_OF_A_FUNCTION} == {}

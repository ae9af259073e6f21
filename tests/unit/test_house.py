"""Names of the code: no word that the glossary bans."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BANNED = frozenset({"told", "yardstick", "purse", "shelf", "kin", "foresight", "grounds", "stray"})
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

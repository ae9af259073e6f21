"""Each message of docs/messages.md is one that the package prints."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = re.findall(r"^\| `([^`]+)`", (ROOT / "docs/messages.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def printed() -> str:
    """The strings of the package, a line each, with `…` for what differs."""
    texts = []
    for path in (ROOT / "pytest_llmops").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(
                        getattr(part, "value", "") if isinstance(part, ast.Constant) else "…"
                        for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


@pytest.mark.parametrize("message", ROWS)
def test_a_message_of_the_page_is_printed(message: str, printed: str):
    missing = [part for part in message.split("…") if part.strip() and part.strip(" :;") not in printed]
    assert not missing


def test_the_page_has_messages():
    assert len(ROWS) > 30

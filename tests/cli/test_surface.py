"""All that a user can type, as it stands in `surface.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_llmops import plugin
from pytest_llmops.cli import known_verbs
from pytest_llmops.settings import SETTINGS
from tests.command import main

SURFACE = Path(__file__).with_name("surface.txt")
VERBS = (
    *(
        "run",
        "compare",
        "merge",
        "judge",
        "comment",
        "report",
        "view",
        "accept",
        "score",
        "calibrate",
        "scan",
        "attack",
        "choose",
        "canary",
        "import",
        "selfcheck",
        "drift",
    ),
    "explain",
    *("cassettes", "cassettes check", "cassettes prune"),
    *("models", "models pull", "models list"),
    *("prompts", "prompts check", "prompts lock", "prompts diff", "review"),
    *("mcp", "mcp check", "mcp lock"),
    "mutate",
    "demo",
    "init",
)


class Written:
    """What `pytest_addoption` is given, a line each."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def getgroup(self, name: str, description: str) -> Written:
        self.lines.append(f"pytest group {name}: {description}")
        return self

    def addoption(self, name: str, **words: Any) -> None:
        self.lines.append(
            f"pytest {name} {words.pop('metavar', '')}: {words.pop('help')} {sorted(words.items())}"
        )

    def addini(self, name: str, help: str, **words: Any) -> None:  # noqa: A002 - pytest's own word
        self.lines.append(f"ini {name}: {help} {sorted(words.items())}")


def read_help(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_all_that_a_user_can_type(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setenv("NO_COLOR", "1")
    written = Written()
    plugin.pytest_addoption(written)
    lines = [
        *sorted(written.lines),
        *sorted(f"setting {name}" for name in SETTINGS),
        *(line for verb in ("", *VERBS) for line in ("", *read_help(capsys, *verb.split()))),
    ]
    assert lines == SURFACE.read_text(encoding="utf-8").splitlines()


def test_the_page_of_each_verb_exists():
    pages = {verb.page for verb in known_verbs().values()} - {""}
    assert {page for page in pages if not (Path(__file__).parents[2] / page).is_file()} == set()

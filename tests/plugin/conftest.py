"""A tiny project with an app and a golden file, run by a pytest of its own."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.warm import import_all

import_all()  # what is loaded already is not loaded by each `run_here`

PLUGINS = "pytest_llmops.plugin,xdist.plugin"
APP = """
    from pathlib import Path

    ANSWERS = {"capital of France?": "Paris", "capital of Spain?": "Madrid", "capital of Italy?": "Milan"}

    def answer(question):
        with Path("asked.log").open("a") as log:
            log.write(question + "\\n")
        return ANSWERS[question]
"""

GOLDEN = """
    version: 1
    app: capitals:answer
    cases:
      - id: france
        input: capital of France?
        tags: [north]
        checks: {keywords: {all: [Paris]}}
      - id: spain
        input: capital of Spain?
        tags: [south]
        checks: {keywords: {all: [Madrid]}}
"""


@dataclass(frozen=True, slots=True)
class Project:
    pytester: pytest.Pytester
    environment: pytest.MonkeyPatch

    @property
    def path(self) -> Path:
        return self.pytester.path

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def golden(self, text: str = GOLDEN, name: str = "golden/capitals.yaml") -> Path:
        return self.write(name, text)

    def app(self, text: str = APP) -> Path:
        return self.write("capitals.py", text)

    def run(self, *arguments: str) -> pytest.RunResult:
        """In a process of its own, as a user's would be, but for its imports."""
        return self.pytester.runpytest_subprocess("--llm-golden", "-p", "no:cacheprovider", *arguments)

    def run_here(self, *arguments: str) -> pytest.RunResult:
        """In this process, which takes the least time; workers (`-n`) have processes of their own."""
        own = ("--llm-golden", "-p", "no:cacheprovider", "-W", "default")  # not the warnings that fail us
        return self.pytester.runpytest_inprocess(*own, *arguments)

    def asked(self) -> list[str]:
        log = self.path / "asked.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def project(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    warm: None,  # noqa: ARG001 - for what it does
) -> Project:
    """Holds the app and golden file above, until a test writes others."""
    # Looking for plugins, and importing those that are installed here for other reasons, takes the longest.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", PLUGINS)
    project = Project(pytester, monkeypatch)
    project.app()
    project.golden()
    return project

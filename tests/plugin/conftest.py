"""A tiny project with an app and a golden file, run by a pytest of its own."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import httpcore2  # noqa: F401 - here and below: what is loaded already is not loaded by each `run_here`
import openai  # noqa: F401
import opentelemetry.sdk.trace  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import spacy  # noqa: F401 - Presidio's; half forgotten it cannot be loaded again
import yaml  # noqa: F401

import pytest_llmops.plugin.golden.golden_plugin  # noqa: F401

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
        """In a process of its own, as a user's would be."""
        return self.pytester.runpytest_subprocess("--llm-golden", "-p", "no:cacheprovider", *arguments)

    def run_here(self, *arguments: str) -> pytest.RunResult:
        """In this process, which takes a tenth of the time; workers (`-n`) have processes of their own."""
        own = ("--llm-golden", "-p", "no:cacheprovider", "-W", "default")  # not the warnings that fail us
        return self.pytester.runpytest_inprocess(*own, *arguments)

    def asked(self) -> list[str]:
        log = self.path / "asked.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Holds the app and golden file above, until a test writes others."""
    # Other plugins that are installed here take two seconds a process to import.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:langsmith_plugin -p no:hypothesispytest -p no:anyio")
    project = Project(pytester, monkeypatch)
    project.app()
    project.golden()
    return project

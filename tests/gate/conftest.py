"""The golden set of the reference app, run by pytest in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One folder of recorded calls for all tests, so that what a change does not touch is not asked again."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def golden_run(home):
    """Runs chosen cases in a project; `environment` is that of this process by default."""

    def run(
        project: Path,
        cases: str,
        *arguments: str,
        environment: dict[str, str] | None = None,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable, "-m", "pytest", "--llm-golden", "-k", cases, "-p", "no:cacheprovider",
            "-o", f"llm_home={home}", *arguments,
        ]  # fmt: skip
        inherited = dict(os.environ) if environment is None else environment
        env = {**inherited, "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:anyio", **variables}
        return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)  # noqa: S603

    return run

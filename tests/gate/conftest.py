"""The golden set of the reference app, run by pytest in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reference_app.models.weights import PINNED
from reference_app.settings import read_settings

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / ".llmops" / "cassettes" / "adapter"
COMMITTED = ROOT / "golden" / "cassettes"


@pytest.fixture(scope="session")
def large():
    """The chat model of the reference app, which recorded calls do without."""
    settings = read_settings({})
    if not (settings.weights / PINNED["large"].file).is_file():
        pytest.skip("the large chat model is not here: llmops models pull large")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """
    One folder of recorded calls for all tests, so that what a change does not touch is not asked again.

    It begins with what `make golden` recorded of the adapter and its base, if that ran here before: a
    recorded call is found by all that was sent, the model's fingerprint included.
    """
    home = tmp_path_factory.mktemp("home")
    if COMMITTED.is_dir():
        shutil.copytree(COMMITTED, home / "committed")
    if RECORDED.is_dir():
        shutil.copytree(RECORDED, home / "cassettes" / RECORDED.name)
    return home


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
            "-o", f"llm_home={home}", "-o", f"llm_cassettes={home / 'committed'}", *arguments,
        ]  # fmt: skip
        inherited = dict(os.environ) if environment is None else environment
        env = {**inherited, "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:anyio", **variables}
        return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)  # noqa: S603

    return run

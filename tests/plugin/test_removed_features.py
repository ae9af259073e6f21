"""
Features can be deleted with their entry points, and what is left is a working gate.

All at once: that none needs another is a contract of import-linter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest_llmops

PACKAGE = Path(pytest_llmops.__file__).parent
FEATURES = sorted(path.name for path in (PACKAGE / "features").iterdir() if (path / "__init__.py").exists())
GOLDEN = """
app: shop:answer
checks: {keywords: {all: [days]}}
suite: {exact_match: {mean: ">= 0.9"}}
cases:
  - {id: boots, input: How long?, reference: 60 days}
"""


def install_without_features(folder: Path) -> dict[str, str]:
    """Copy the package; return an environment in which the copy is found first."""

    def ignore(path: str, names: list[str]) -> set[str]:
        left_out = {"__pycache__", *(FEATURES if Path(path) == PACKAGE / "features" else ())}
        return left_out & set(names)

    shutil.copytree(PACKAGE, folder / "pytest_llmops", ignore=ignore)
    metadata = folder / "pytest_llmops-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pytest-llmops\nVersion: 0.1.0\n")
    points = distribution("pytest-llmops").read_text("entry_points.txt").splitlines()
    (metadata / "entry_points.txt").write_text(
        "\n".join(line for line in points if line.partition(" = ")[0] not in FEATURES)
    )
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_the_gate_works_without_features(tmp_path: Path) -> None:
    environment = install_without_features(tmp_path / "site")
    project = tmp_path / "project"
    (project / "golden").mkdir(parents=True)
    (project / "golden/shop.yaml").write_text(GOLDEN)
    (project / "shop.py").write_text("def answer(question): return '60 days'\n")
    code = (
        "import sys, pytest, pytest_llmops.cli\n"
        "codes = pytest.main(['--llm-golden', '-q']), pytest_llmops.cli.main(['run'])\n"
        "assert not [name for name in sys.modules if name.startswith('pytest_llmops.features.')]\n"
        f"assert pytest_llmops.__file__.startswith({str(tmp_path)!r})\n"
        "sys.exit(max(codes))"
    )

    run = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-B", "-c", code],  # -B: no warm process, which has our package already
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert "2 passed, 0 failed" in run.stdout


def test_every_feature_is_registered() -> None:
    points = {
        point.name: point.value
        for point in distribution("pytest-llmops").entry_points.select(group="pytest_llmops")
    }
    assert points == {name: f"pytest_llmops.features.{name}" for name in FEATURES}

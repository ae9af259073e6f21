"""A project outside this repository, with the built wheel, by the README's own words and without torch."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from pytest_llmops.settings import load_settings
from tests.readme import read_blocks, run_page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = list(read_blocks(README))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the wheel as its only new package, and what the lock file installed."""
    folder = tmp_path_factory.mktemp("installed")
    wheels = folder / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(ROOT)]
    subprocess.run(build, check=True)  # noqa: S603
    venv.create(folder / "env", with_pip=False)
    site = Path(
        sysconfig.get_path("purelib", vars={"base": str(folder / "env"), "platbase": str(folder / "env")})
    )
    (wheel,) = wheels.glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "env"),
        "install",
        "-q",
        "--no-deps",
        str(wheel),
    ]
    subprocess.run(install, check=True)  # noqa: S603
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    binaries = folder / "env" / "bin"
    (binaries / "pytest").write_text(f'#!/bin/sh\nexec {binaries}/python -m pytest "$@"\n')
    (binaries / "pip").write_text("#!/bin/sh\nexit 0  # the wheel is installed from this checkout\n")
    for script in ("pytest", "pip"):
        (binaries / script).chmod(0o755)
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "COVERAGE", "COV_"))
        },
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_ADDOPTS": "-p no:langsmith_plugin -p no:hypothesispytest -p no:anyio",
    }


@pytest.mark.timeout(300)  # builds a wheel and runs some thirty commands
def test_every_block_works_in_its_order(environment, tmp_path):
    wrong = run_page(README, tmp_path, environment)
    assert not wrong, "\n\n".join(wrong)
    kept = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file() and
                   path.name != "worse_bot.py" and path.suffix != ".pyc")  # fmt: skip
    assert "ann.lee@example.com" not in kept


def test_the_settings_shown_are_settings(tmp_path):
    (block,) = (block for block in BLOCKS if block.language == "toml")
    (tmp_path / "pyproject.toml").write_text(block.text, encoding="utf-8")
    settings = load_settings(tmp_path)
    table = tomllib.loads(block.text)["tool"]["pytest-llmops"]
    assert settings.concurrency == table["concurrency"]
    assert settings.prices == {"gpt-4o-mini": (0.15, 0.60)}


def test_no_block_is_left_out():
    """A block is a file, a console, or the one table of settings."""
    other = [block.language for block in BLOCKS if "file" not in block.told and block.language != "console"]
    assert other == ["toml"]

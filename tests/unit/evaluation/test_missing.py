"""No baseline at a revision is an outcome with what to do, and never a silent pass."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops import load_golden
from pytest_llmops.evaluation.baseline import find_baseline
from pytest_llmops.evaluation.missing import MissingBaseline
from pytest_llmops.records import CaseResult, Output, Run, Score
from pytest_llmops.reports.files.baseline_file import write_baseline
from pytest_llmops.settings import load_settings
from tests.command import main
from tests.git_settings import forget_git_settings

GOLDEN = "version: 1\napp: shop:answer\ncases: [{id: a, input: hello, checks: {keywords: {all: [hi]}}}]\n"
APP = "def answer(question):\n    return 'hi'\n"
SETTINGS = "[tool.pytest-llmops]\n"


@pytest.fixture(autouse=True)
def _plain_git(monkeypatch):
    forget_git_settings(monkeypatch)


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "a commit")


def begin(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def write_golden(folder: Path) -> None:
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    (folder / "golden/shop.yaml").write_text(GOLDEN)


def write_project(folder: Path, *, baseline: bool = True) -> None:
    write_golden(folder)
    (folder / "pyproject.toml").write_text(SETTINGS)
    (folder / "shop.py").write_text(APP)
    if baseline:
        accept(folder)


def accept(folder: Path) -> None:
    result = CaseResult(
        case="golden/shop.yaml::a",
        input_hash="",
        outputs=(Output(text="hi"),),
        scores=(Score(metric="keywords", value=1.0, signature="keywords|v1"),),
    )
    write_baseline(Run(signature={}, results=(result,)), folder / "golden/baseline.json")


def missing(root: Path) -> MissingBaseline | None:
    goldens = [load_golden(root / "golden/shop.yaml", root=root)]
    return find_baseline(replace(load_settings(root), baseline="git:main"), goldens).missing


def branch(folder: Path) -> None:
    commit(folder)
    git(folder, "switch", "--quiet", "--create", "branch")


def test_a_golden_set_in_a_submodule_has_its_baseline(tmp_path):
    inner = begin(tmp_path / "inner")
    (inner / "shop.yaml").write_text(GOLDEN)
    accept(tmp_path / "made")
    shutil.copy(tmp_path / "made/golden/baseline.json", inner)
    commit(inner)
    root = begin(tmp_path / "outer")
    (root / "pyproject.toml").write_text(SETTINGS)
    git(root, "submodule", "--quiet", "add", str(inner), "golden")
    branch(root)

    assert missing(root) is None


def test_a_project_that_a_change_moved_has_its_baseline_and_not_a_neighbour_s(tmp_path):
    top = begin(tmp_path / "repository")
    write_project(top / "shop")
    write_project(top / "neighbour")
    branch(top)
    (top / "shop").rename(top / "store")

    assert missing(top / "store") is None
    git(top, "checkout", "--quiet", "--", "shop")
    assert missing(top / "store").outcome == "undecided"


def test_golden_files_without_a_baseline_on_main_are_an_error(tmp_path, capsys, monkeypatch):
    root = begin(tmp_path)
    write_project(root, baseline=False)
    branch(root)

    found = missing(root)

    assert found.outcome == "error"
    assert "accept one there and commit it" in found.reason
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    assert main(["run", "--baseline", "git:main"]) == 3
    told = capsys.readouterr().out
    assert "1 passed, 0 failed, 0 regressed, 0 undecided, 1 error" in told
    assert "error: nothing is compared: no baseline golden/baseline.json at git:main" in told
    assert main(["run", "--baseline", "none"]) == 0
    sys.modules.pop("shop", None)


@pytest.mark.parametrize("has_cases", [True, False])
def test_a_baseline_that_git_does_not_know_is_named(tmp_path, has_cases):
    root = begin(tmp_path)
    (root / ".gitignore").write_text("baseline.json\n")
    if has_cases:
        write_golden(root)
    branch(root)
    write_project(root)
    commit(root)

    found = missing(root)

    assert found.outcome == ("error" if has_cases else "undecided")
    assert "here and not in git" in found.reason


@pytest.mark.parametrize("baseline", [True, False])
def test_a_first_golden_set_is_undecided_with_the_way_through(tmp_path, baseline):
    root = begin(tmp_path)
    (root / "shop.py").write_text(APP)
    branch(root)
    write_project(root, baseline=baseline)
    commit(root)

    found = missing(root)

    assert found.outcome == "undecided"
    assert ("pipeline passes --llm-baseline none for this" if baseline else "--llm-accept") in found.reason


def test_a_baseline_that_is_there_is_not_missing(tmp_path):
    root = begin(tmp_path)
    write_project(root)
    branch(root)
    assert missing(root) is None

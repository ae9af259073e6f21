"""`llmops prompts`: from the first lock over a change to the diff, as a user meets them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command import main

ROOT = Path(__file__).parents[2]
PLANNER = "name: planner\nversion: {}\nkind: planner\ntools: [search]\ntemplate: {}\n"
GOLDEN = "app: a:b\nprompts: [p]\ncases: [{id: a, input: Hi}]\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    for path, text in {
        "pyproject.toml": "",
        "golden/shop.yaml": GOLDEN,
        "p/planner.yaml": PLANNER.format("1.0.0", "Plan."),
        "p/sub/system.md": "You are kind.\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def git(*arguments):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]  # fmt: skip
    subprocess.run(command, check=True, env=env, capture_output=True)  # noqa: S603


def commit():
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "all")


def test_lock_then_check_then_a_change_then_its_version(project, capsys):
    assert main(["prompts", "check"]) == 1
    assert (
        "red: p/planner.yaml: planner: is not in the lock. Run: llmops prompts lock."
        in capsys.readouterr().out
    )
    assert main(["prompts", "lock"]) == 0
    assert "p/prompts.lock: written" in capsys.readouterr().out
    assert main(["prompts", "check"]) == 0
    assert capsys.readouterr().out == "2 checked, 0 red\n"

    (project / "p/planner.yaml").write_text(PLANNER.format("1.0.0", "Plan well."))
    assert main(["prompts", "check"]) == 1
    told = capsys.readouterr().out
    assert "red: p/planner.yaml: planner: the content changed, and the version is still 1.0.0." in told
    locked = (project / "p/prompts.lock").read_bytes()
    assert main(["prompts", "lock"]) == 1
    assert "nothing was written" in capsys.readouterr().out
    assert (project / "p/prompts.lock").read_bytes() == locked

    (project / "p/planner.yaml").write_text(PLANNER.format("1.0.1", "Plan well."))
    assert main(["prompts", "check"]) == 0
    assert "to lock: p/planner.yaml: planner: is 1.0.1, and the lock holds 1.0.0." in capsys.readouterr().out
    assert main(["prompts", "lock"]) == 0
    assert main(["prompts", "check"]) == 0
    assert "2 checked, 0 red\n" in capsys.readouterr().out


def test_force_locks_what_it_shows(project, capsys):
    main(["prompts", "lock"])
    (project / "p/planner.yaml").write_text(PLANNER.format("0.9.0", "Plan."))
    assert main(["prompts", "lock"]) == 1
    capsys.readouterr()
    assert main(["prompts", "lock", "--force"]) == 0
    assert "the version went back from 1.0.0 to 0.9.0" in capsys.readouterr().out
    assert main(["prompts", "check"]) == 0


@pytest.mark.usefixtures("project")
def test_check_as_json(capsys):
    assert main(["prompts", "check", "p/planner.yaml", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "version": 1,
        "prompts": 1,
        "red": 1,
        "findings": [
            {
                "file": "p/planner.yaml",
                "name": "planner",
                "what": "new",
                "red": True,
                "reason": "is not in the lock",
                "remedy": "Run: llmops prompts lock",
            }
        ],
    }


def test_a_path_starts_where_it_is_typed(project, monkeypatch, capsys):
    main(["prompts", "lock"])
    monkeypatch.chdir(project / "p" / "sub")
    assert main(["prompts", "check", "system.md"]) == 0
    assert "1 checked, 0 red" in capsys.readouterr().out
    assert main(["prompts", "check"]) == 0
    assert "2 checked, 0 red" in capsys.readouterr().out


def test_diff_shows_versions_and_text_against_the_commit(project, capsys):
    (project / "p/gone.md").write_text("Once here.")
    commit()
    assert main(["prompts", "diff"]) == 0
    assert "0 of 3 prompts changed" in capsys.readouterr().out

    (project / "p/planner.yaml").write_text(PLANNER.format("1.1.0", "Plan well."))
    (project / "p/sub/system.md").write_text("You are \x1b[2J kind.\n")
    (project / "p/gone.md").unlink()
    (project / "p/new.md").write_text("New.\n")
    main(["prompts", "lock"])  # the diff is against the commit, not the lock
    index = (project / ".git/index").read_bytes()
    capsys.readouterr()
    assert main(["prompts", "diff"]) == 0
    told = capsys.readouterr().out
    assert "p/planner.yaml: planner 1.0.0 → 1.1.0" in told
    assert "-version: 1.0.0\n+version: 1.1.0\n" in told
    assert "+template: Plan well.\n" in told
    assert "-You are kind.\n+You are \\x1b[2J kind.\n" in told
    assert "p/gone.md: gone no version → absent" in told
    assert "-Once here.\n" in told
    assert "p/new.md: new absent → no version" in told
    assert "4 of 4 prompts changed" in told
    assert (project / ".git/index").read_bytes() == index


def test_diff_in_a_folder_of_a_repository_and_of_one_file(project, monkeypatch, capsys):
    monkeypatch.delenv("GIT_CEILING_DIRECTORIES")
    inner = project / "inner"
    shutil.copytree(project / "p", inner / "p")
    (inner / "pyproject.toml").touch()
    commit()
    monkeypatch.chdir(inner)
    (inner / "p/planner.yaml").write_text(PLANNER.format("2.0.0", "Plan."))
    (inner / "p/sub/system.md").write_text("Other.")
    assert main(["prompts", "diff", "p/planner.yaml"]) == 0
    told = capsys.readouterr().out
    assert "p/planner.yaml: planner 1.0.0 → 2.0.0" in told
    assert "1 of 1 prompt changed" in told


@pytest.mark.parametrize("without", ["git", "repository", "commit"])
def test_diff_without_a_commit_tells_hashes_and_metadata(project, monkeypatch, capsys, without):
    main(["prompts", "lock"])
    if without == "git":
        commit()
        monkeypatch.setenv("PATH", str(project))
    elif without == "commit":
        git("init", "-q")
    (project / "p/planner.yaml").write_text(PLANNER.format("1.1.0", "Plan well.").replace("search", "find"))
    capsys.readouterr()
    assert main(["prompts", "diff"]) == 0
    told = capsys.readouterr().out
    assert "there is no commit to compare with" in told
    assert "p/planner.yaml: planner 1.0.0 → 1.1.0" in told
    assert "tools: search → find" in told
    assert "sha256: " in told
    assert "Plan well." not in told


@pytest.mark.parametrize("deed", ["check", "lock", "diff"])
@pytest.mark.parametrize(
    "mistake",
    [
        (
            {"golden/shop.yaml": "cases: [{id: a, input: Hi}]"},
            [],
            "golden/shop.yaml: no prompts are named; write",
        ),
        ({"golden/shop.yaml": "casse: 1"}, [], "unknown key 'casse'"),
        ({"empty/x.py": ""}, ["empty"], "holds no prompt file"),
        ({}, ["p/planer.yaml"], "Did you mean 'planner.yaml'?"),
        ({"p/bad.md": "---\nkind: systen\n---\n"}, [], "p/bad.md:2: kind: must be"),
    ],
)
def test_a_mistake_is_a_line_and_exit_4(project, capsys, deed, mistake):
    files, arguments, said = mistake
    for path, text in files.items():
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(text)
    assert main(["prompts", deed, *arguments]) == 4
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
    assert not list(project.rglob("prompts.lock"))


@pytest.mark.parametrize("deed", ["check", "lock"])
def test_a_broken_lock_is_told_and_kept(project, capsys, deed):
    (project / "p/prompts.lock").write_text("{")
    assert main(["prompts", deed]) == 4
    assert "p/prompts.lock: line 1, column 2: is no JSON" in capsys.readouterr().err
    assert (project / "p/prompts.lock").read_text() == "{"


def test_the_reference_app_s_prompts_are_locked(python):
    command = [str(Path(python).with_name("llmops")), "prompts", "check"]  # its own metrics are of no test
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (0, "7 checked, 0 red\n")

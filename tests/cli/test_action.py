"""The steps of `action.yml` in a shell, as a runner executes them; only the program for GitHub is ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_llmops.reports.comment import MARKER
from tests.git_settings import forget_git_settings

RUN, COMMENT = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text())["runs"]["steps"]
GH = f"""#!{sys.executable}
import json, os, sys
words = sys.argv[1:]
with open("gh.log", "a") as log:
    log.write(json.dumps(words) + "\\n")
if "--paginate" in words:  # the ids of our comments, as --jq prints them
    print(os.environ.get("EARLIER", ""), end="")
"""
GOLDEN = "app: shop:answer\ncases:\n  - {id: long, input: How long?, checks: {keywords: {all: ['60']}}}\n"


@pytest.fixture
def shop(tmp_path, monkeypatch, warm):  # noqa: ARG001 - for what it does
    """A project of whose branch the first commit has an accepted baseline."""
    forget_git_settings(monkeypatch)
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "CI_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden/shop.yaml").write_text(GOLDEN)
    (tmp_path / "shop.py").write_text("def answer(question):\n    return '60 days'\n")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gh").write_text(GH)
    (tmp_path / "bin/gh").chmod(0o755)
    path = [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "outputs"))
    shell(tmp_path, "llmops run --repeats 2 --out base.json && llmops accept base.json --all")
    shell(tmp_path, "git init -qb main && git add golden shop.py pyproject.toml && git commit -qm first")
    shell(tmp_path, "git update-ref refs/remotes/origin/main HEAD")
    return tmp_path


def shell(folder, script, **variables):
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]  # as `shell: bash` is run
    run = subprocess.run(  # noqa: S603 - the action's own words
        command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout + run.stderr


def start(shop, **inputs):
    given = {"GOLDEN": "golden/", "APP": "", "BASELINE": "", "RECORD": "none", "REPORT": "report.html"}
    return shell(shop, RUN["run"], **{**given, "FAIL_ON": "regressed", "TARGET": "main", **inputs})


def outputs(shop):
    lines = (shop / "outputs").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_good_run_is_green_with_its_outputs(shop):
    code, text = start(shop)
    assert (code, outputs(shop)["job"]) == (0, "success"), text
    assert outputs(shop)["outcome"] == "passed"
    assert Path(outputs(shop)["report-path"]).name == "report.html"


@pytest.mark.parametrize(("fail_on", "code", "earlier"), [("regressed", 1, ""), ("never", 0, "17\n42\n")])
def test_a_red_run_is_commented_once(shop, fail_on, code, earlier):
    (shop / "shop.py").write_text("def answer(question):\n    return 'We do not know'\n")
    assert start(shop, FAIL_ON=fail_on)[0] == code
    assert outputs(shop)["job"] == "failure"

    given = {"BASELINE": "", "TARGET": "main", "JOB": "failure", "LINK": "https://ci.example/1"}
    done, text = shell(shop, COMMENT["run"], **given, REPO="o/r", NUMBER="7", EARLIER=earlier)

    assert done == 0, text
    comment = (shop / "llmops-comment.md").read_text()
    assert comment.startswith(MARKER)
    assert "**regressed**" in comment
    assert "shop.py: not committed" in comment
    *_, last = (shop / "gh.log").read_text().splitlines()
    way = ["PATCH", "repos/o/r/issues/comments/42"] if earlier else ["POST", "repos/o/r/issues/7/comments"]
    assert all(f'"{word}"' in last for word in (*way, "body=@llmops-comment.md"))


def test_a_golden_set_that_finds_less_than_it_did_fails_the_step(shop):
    assert shell(shop, "llmops mutate --accept")[0] == 0
    shell(shop, "git add golden && git commit -qm strength && git update-ref refs/remotes/origin/main HEAD")
    (shop / "golden/shop.yaml").write_text(GOLDEN.replace("['60']", "[days]"))
    code, text = start(shop)
    assert code != 0
    assert "mutation score" in text


def test_an_input_that_cannot_be_is_one_line(shop):
    code, text = start(shop, FAIL_ON="sometimes")
    assert (code, text) == (4, "::error::fail-on must be regressed, undecided or never, not sometimes\n")

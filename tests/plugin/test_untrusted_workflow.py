"""The workflow of docs/untrusted-changes.md: its own commands, in clones of a real repository."""

# ruff: noqa: F811 - fixtures are imported, and named again by the tests that take them

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.openai_server import OpenAIServer
from tests.plugin.test_honest_changes import CASSETTE, change_prompt, recorded  # noqa: F401 - a fixture
from tests.plugin.test_loosening_attacks import begin  # noqa: F401 - a fixture
from tests.plugin.test_merge_base import FILE, Repository, repository  # noqa: F401 - a fixture
from tests.stored_files import edit_calls

PAGE = Path(__file__).parents[2] / "docs" / "untrusted-changes.md"


def documented(workflow: str) -> Iterator[str]:
    """The commands of ours in a workflow of the page."""
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        content = yaml.safe_load(block)
        if content["name"] == workflow:
            (job,) = content["jobs"].values()
            yield from (step["run"] for step in job["steps"] if step.get("run", "").startswith("llmops"))


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Both jobs of a pull request, each in a clone of its own."""

    repository: Repository
    server: OpenAIServer

    def clone(self, name: str, branch: str, *options: str) -> Path:
        self.repository.git("branch", "--force", "pull")
        folder = self.repository.path.parent / name
        shutil.rmtree(folder, ignore_errors=True)
        url = f"file://{self.repository.path}"
        self.repository.git("clone", "--quiet", "--branch", branch, *options, url, str(folder))
        return folder

    def run(self, folder: Path, command: str, **environment: str) -> tuple[int, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(  # noqa: S603 - a command of the page
            ["bash", "-c", command],  # noqa: S607
            cwd=folder,
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def gate(self, *options: str) -> tuple[int, str]:
        """The job without secrets, and without a model."""
        folder = self.clone("gate", "pull", *options)
        (folder / "offline").touch()
        command, _ = documented("gate")  # the other one is of golden sets with a stored strength
        return self.run(folder, command, BASE="main")

    def judge(self) -> tuple[list[int], str]:
        """The job with a key, on main; it gets nothing but two files of the other."""
        folder, left = self.clone("judge", "main"), self.repository.path.parent / "gate"
        shutil.copytree(left / "golden/cassettes", folder / "artefact/golden/cassettes")
        shutil.copy(left / "run.json", folder / "artefact/run.json")
        proxy = f"http://127.0.0.1:{self.server.port}"
        model = {
            "http_proxy": proxy,
            "OPENAI_BASE_URL": "http://api.models.example/v1",
            "OPENAI_API_KEY": "k",
        }
        done = [self.run(folder, command, **model) for command in documented("judge")]
        return [code for code, _ in done], "\n".join(text for _, text in done)

    def comment(self, job: str) -> tuple[int, str]:
        """The job that comments, on main, after the gate's."""
        folder, left = self.clone("comment", "main"), self.repository.path.parent / "gate"
        if (left / "run.json").exists():
            (folder / "artefact").mkdir()
            shutil.copy(left / "run.json", folder / "artefact/run.json")
        commands = documented("comment")  # the last one comments
        *_, (code, _) = [
            self.run(folder, command, JOB=job, LINK="https://github.example/7") for command in commands
        ]
        assert (folder / "report.html").exists() == (left / "run.json").exists()
        return code, (folder / "comment.md").read_text(encoding="utf-8")


@pytest.fixture
def pipeline(recorded):
    def answer(request):
        return "bad" if "awful" in json.dumps(request) else "good"

    with OpenAIServer(answer=answer) as server:
        yield Pipeline(recorded, server)


def test_an_honest_prompt_change_is_green(pipeline):
    change_prompt(pipeline.repository)
    code, shown = pipeline.gate()
    assert code == 0, shown
    assert "loosens" not in shown
    codes, shown = pipeline.judge()
    assert codes == [0, 0], shown
    code, comment = pipeline.comment("success")
    assert code == 0
    assert "\n**passed**\n" in comment
    assert "4 of 4 new calls made again: 0 of the recorded answers are the least like the others" in shown


def test_a_change_that_loosens_what_it_breaks_is_red_and_named(pipeline):
    pipeline.repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    change_prompt(pipeline.repository, "Be awful.\n")
    code, shown = pipeline.gate()
    assert f"  {FILE}: the suite's keywords mean: bound changed (before: >= 0.5, now: >= 0.1)" in shown
    assert "regressed  keywords mean >= 0.1: 0, baseline 1" in shown
    assert code == 1
    assert pipeline.judge()[0] == [1, 0]
    code, comment = pipeline.comment("failure")
    assert code == 0
    assert "\n**regressed**\n" in comment
    assert (
        "<code>failed: golden/capitals.yaml::" in comment
        or "<code>regressed: golden/capitals.yaml::" in comment
    )
    assert "now        bad" in comment


def test_a_gate_that_left_no_run_is_an_error_in_the_comment(pipeline):
    shutil.rmtree(pipeline.repository.path.parent / "gate", ignore_errors=True)
    code, comment = pipeline.comment("failure")
    assert code == 0
    assert "\n**error: nothing could be compared**\n" in comment


def test_recordings_that_the_model_never_gave_are_red_in_the_trusted_job(pipeline):
    change_prompt(pipeline.repository, "Be awful.\n")
    for path in (pipeline.repository.path / CASSETTE).parent.glob("*.yaml"):
        edit_calls(path, lambda calls: json.loads(json.dumps(calls).replace('"bad"', '"good"')))
    pipeline.repository.commit("it was good all the time")
    code, shown = pipeline.gate()
    assert code == 0, shown
    assert "new recorded responses to changed requests" in shown
    codes, shown = pipeline.judge()
    assert codes == [0, 1], shown
    assert "5 of the recorded answers are the least like the others" in shown


def test_a_shallow_clone_is_one_line_with_the_remedy(pipeline):
    change_prompt(pipeline.repository)
    for options in (("--depth", "1"), ("--depth", "1", "--no-single-branch")):
        code, shown = pipeline.gate(*options)
        assert "with actions/checkout set fetch-depth: 0" in shown
        assert shown.count("\n") == 1
        assert code == 4


def test_no_job_with_secrets_runs_code_of_the_change():
    workflows = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    by_name = {content["name"]: content for content in map(yaml.safe_load, workflows)}
    assert by_name["gate"][True] == "pull_request"  # to YAML 1.1 `on` is true
    assert "secrets" not in json.dumps(by_name["gate"]["jobs"])
    for name in ("judge", "comment"):
        assert list(by_name[name][True]) == ["workflow_run"]
        steps = by_name[name]["jobs"][name]["steps"]
        (checkout,) = [step for step in steps if "checkout" in step.get("uses", "")]
        assert "ref" not in checkout["with"]
        assert not [
            step for step in steps if "${{" in step.get("run", "")
        ]  # else a branch's name is a command
    assert by_name["judge"]["permissions"] == {"actions": "read", "contents": "read"}
    assert "secrets" not in json.dumps(by_name["comment"]["jobs"])
    assert by_name["comment"]["permissions"] == {}
    rights = {"actions": "read", "contents": "read", "pull-requests": "write"}
    assert by_name["comment"]["jobs"]["comment"]["permissions"] == rights

"""`action.yml`: its own script, in a project, with the files of a step."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.test_comment import shop
from tests.report_page import read_data

__all__ = ["shop"]

ACTION = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text(encoding="utf-8"))
RUN = ACTION["runs"]["steps"][0]


def run_step(folder: Path, **inputs: str) -> tuple[int, dict[str, str]]:
    """Run the step as GitHub does, and return its exit code and outputs."""
    given = {name: declared["default"] for name, declared in ACTION["inputs"].items()} | inputs
    names = {f"${{{{ inputs.{name} }}}}": value for name, value in given.items()}
    variables = {name: names.get(value, "") for name, value in RUN["env"].items()}
    outputs = folder / "outputs"
    outputs.write_text("")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **variables, "PATH": path, "GITHUB_OUTPUT": str(outputs)}
    command = [shutil.which("bash"), "--noprofile", "--norc", "-eo", "pipefail", "-c", RUN["run"]]
    code = subprocess.run(command, cwd=folder, env=environment, check=False).returncode  # noqa: S603 - our own
    return code, dict(line.split("=", 1) for line in outputs.read_text().splitlines())


@pytest.mark.parametrize(("fail_on", "expected"), [("regressed", 1), ("never", 0)])
def test_a_worse_app_fails_as_the_caller_wants_and_says_how(shop, monkeypatch, fail_on, expected):
    monkeypatch.setenv("TONE", "kind")

    code, outputs = run_step(shop, **{"fail-on": fail_on, "baseline": "base.json", "report": "out/r.html"})

    assert code == expected
    assert (outputs["outcome"], outputs["regressed"], outputs["undecided"]) == ("failed", "0", "0")
    assert outputs["report-path"] == str(shop / "out/r.html")
    assert read_data(shop / "out/r.html")["outcome"] == "failed"


@pytest.mark.parametrize(("tone", "job"), [("kind", "failure"), ("", "success")])
def test_the_comment_learns_of_a_red_run_that_fails_nothing(shop, monkeypatch, tone, job):
    monkeypatch.setenv("TONE", tone)

    assert run_step(shop, **{"fail-on": "never"})[1]["job"] == job


def test_golden_files_may_be_on_lines(shop):
    (shop / "golden/other.yaml").write_text((shop / "golden/shop.yaml").read_text())

    run_step(shop, golden="golden/other.yaml\ngolden/shop.yaml\n", baseline="none")

    cases = {case["id"].partition("::")[0] for case in read_data(shop / "llmops-report.html")["cases"]}
    assert cases == {"golden/other.yaml", "golden/shop.yaml"}


def test_a_broken_app_fails_whatever_the_caller_wants(shop, monkeypatch):
    monkeypatch.setenv("TONE", "broken")

    code, outputs = run_step(shop, **{"fail-on": "never"})

    assert (code, outputs["outcome"]) == (3, "error")


def test_a_good_app_passes_by_the_accepted_baseline(shop):
    code, outputs = run_step(shop)

    assert (code, outputs["outcome"], outputs["cost-usd"]) == (0, "passed", "0.000000")


def test_a_misspelt_input_is_an_error_before_anything_runs(shop):
    code, outputs = run_step(shop, **{"fail-on": "regresed"})

    assert (code, outputs) == (4, {})

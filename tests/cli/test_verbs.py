"""`llmops VERB`: exit codes, what is written, and one line for a user's mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import main
from tests.git_settings import forget_git_settings
from tests.openai_server import OpenAIServer

GOLDEN = """
version: 1
app: cli_app:answer
suite: {keywords: {mean: ">= 0.5", max_drop: 0.0}}
cases:
  - {id: a, input: hello, checks: {keywords: {all: [Echo]}}}
  - {id: b, input: there, checks: {keywords: {all: [Echo]}}}
"""
APP = """
import openai

def answer(question):
    with openai.OpenAI(max_retries=0) as client:
        reply = client.chat.completions.create(
            model="small", temperature=TEMPERATURE, messages=[{"role": "user", "content": question}])
    return reply.choices[0].message.content
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "shop.yaml").write_text(GOLDEN)
    (tmp_path / "cli_app.py").write_text(APP.replace("TEMPERATURE", "0"))
    monkeypatch.chdir(tmp_path)
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield server
    sys.modules.pop("cli_app", None)


def test_run_scores_writes_and_replays(project, capsys):
    assert main(["run", "--out", "run.json"]) == 0
    assert "3 passed, 0 failed, 0 regressed, 0 undecided, 0 error" in capsys.readouterr().out
    assert main(["run", "golden/shop.yaml", "--out", "again.json"]) == 0
    assert "0 model calls made, 2 replayed" in capsys.readouterr().out
    assert len(project.requests) == 2
    assert [entry["case"] for entry in json.loads(Path("run.json").read_text())["results"]] == [
        "golden/shop.yaml::a",
        "golden/shop.yaml::b",
    ]


def test_run_exits_1_for_a_missed_check_and_3_for_a_broken_one(project, capsys):
    project.answer = lambda _: "nothing of it"
    assert main(["run"]) == 1
    assert "missing: 'Echo'" in capsys.readouterr().out
    project.fault = "401"
    assert main(["run", "--record", "all"]) == 3
    assert "AuthenticationError" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_explain_tells_what_changed(tmp_path, capsys):
    main(["run"])
    (tmp_path / "cli_app.py").write_text(APP.replace("TEMPERATURE", "0.7"))
    sys.modules.pop("cli_app", None)
    main(["run"])
    capsys.readouterr()
    assert main(["explain", "a"]) == 0
    shown = capsys.readouterr().out
    assert "temperature" in shown
    assert "0.7" in shown
    assert main(["explain", "zz"]) == 4


def test_compare_exit_codes(project, capsys):
    main(["run", "--out", "base.json", "--repeats", "3"])
    assert main(["compare", "base.json", "base.json"]) == 0
    project.answer = lambda _: "nothing of it"
    main(["run", "--out", "worse.json", "--record", "all", "--repeats", "3"])
    capsys.readouterr()
    code = main(["compare", "base.json", "worse.json", "--format", "json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["outcome"] == "regressed"
    assert code == 1
    outcomes = {"passed", "failed", "regressed", "undecided", "error"}
    assert set(shown["counts"]) == {*outcomes, "known", "xfailed", "xpassed"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "--record", "nwe"], "Did you mean 'new'?"),
        (["models", "pull", "minillm"], "Did you mean 'minilm'?"),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_mistake_is_a_line_and_exit_4(capsys, arguments, message):
    assert main(arguments) == 4
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


@pytest.mark.usefixtures("project")
def test_comparing_what_is_not_there_is_broken(capsys):
    assert main(["compare", "nowhere.json", "nowhere.json"]) == 3
    assert "there is no such run file" in capsys.readouterr().err


def test_models_list_names_every_weight(capsys):
    assert main(["models", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("minilm", "minilm-int8", "smollm2"))


def test_compare_takes_the_baseline_of_a_revision(project, capsys, monkeypatch):
    forget_git_settings(monkeypatch)

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True, capture_output=True)  # noqa: S603, S607

    git("init", "-q", "-b", "main")
    git("add", "golden")
    git("commit", "-qm", "no baseline yet")
    main(["run", "--out", "base.json", "--repeats", "3", "--accept"])
    assert main(["compare", "git:main", "base.json"]) == 3
    assert "git:main: there is no golden/baseline.json at " in capsys.readouterr().err
    git("add", "golden")
    git("commit", "-qm", "a baseline")
    git("checkout", "-qb", "change")
    project.answer = lambda _: "nothing of it"
    main(["run", "--out", "worse.json", "--record", "all", "--repeats", "3"])
    Path("golden/baseline.json").unlink()
    capsys.readouterr()

    assert main(["compare", "git:main", "base.json"]) == 0
    assert main(["compare", "git:main", "worse.json"]) == 1
    assert main(["compare", "git:mian", "worse.json"]) == 3
    assert "Did you mean 'main'?" in capsys.readouterr().err

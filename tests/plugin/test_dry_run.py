"""`--llm-dry-run` and `llmops run --dry-run`: what a run would take, without a call."""

from __future__ import annotations

import pytest

from tests.command import main
from tests.openai_server import OpenAIServer

APP = """
    from pathlib import Path

    Path("imported.log").write_text("yes")

    import openai

    def answer(question):
        with openai.OpenAI(max_retries=0) as client:
            reply = client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": question}])
        return reply.choices[0].message.content
"""
CASE = "  - {{id: {0}, input: question {0}, checks: {{keywords: {{all: [Echo]}}}}}}\n"


def golden(*names: str, head: str = "") -> str:
    return f"app: capitals:answer\n{head}cases:\n" + "".join(CASE.format(name) for name in names)


@pytest.fixture
def called(project, monkeypatch):
    """A project whose app calls a model, with an accepted baseline of two cases."""
    project.app(APP)
    project.golden(golden("a", "b"))
    project.write("pyproject.toml", "[tool.pytest-llmops.prices]\nsmall = [1, 2]\n")
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        assert project.run("--llm-accept", "--llm-repeats", "2").ret == 0
        server.requests.clear()
        (project.path / "imported.log").unlink()
        yield project, server


def run_command(project, monkeypatch, capsys, *arguments):
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    return main(["run", "--dry-run", *arguments]), capsys.readouterr().out


def test_a_dry_run_shows_what_the_baseline_took_and_calls_nothing(called, monkeypatch, capsys):
    project, server = called
    files = {path: path.stat().st_mtime_ns for path in project.path.rglob("*") if ".llmops" in path.parts}
    result = project.run_here("--llm-dry-run", "--llm-repeats", "3")
    assert result.ret == 0
    expected = ["dry run: nothing is called", "2 cases of 1 golden file, 6 calls of the app"]
    result.stdout.fnmatch_lines(
        [*expected, "expected, by the baseline: 6 model calls, * prompt and * tokens, $0.*"]
    )
    code, out = run_command(project, monkeypatch, capsys, "--repeats", "3")
    assert code == 0
    assert "expected, by the baseline: 6 model calls," in out
    assert not server.requests
    assert not (project.path / "imported.log").exists()
    assert files == {
        path: path.stat().st_mtime_ns for path in project.path.rglob("*") if ".llmops" in path.parts
    }


def test_what_cannot_be_estimated_is_listed(called):
    project, _ = called
    project.golden(
        golden("a", "c", "d")
        .replace("question d", "question d, skip: not today")
        .replace("question a", "another a")
    )
    result = project.run_here("--llm-dry-run")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "not estimated: 1 case edited since: golden/capitals.yaml::a",
            "not estimated: 1 case never run: golden/capitals.yaml::c",
            "not estimated: further repeats of 1 case, up to 64 each while a verdict is open",
            "skipped by golden files: 1 case",
        ]
    )
    result.stdout.no_fnmatch_line("expected*")


def test_without_a_baseline_the_last_run_is_the_measure(called):
    project, _ = called
    (project.path / "golden" / "baseline.json").unlink()
    result = project.run_here("--llm-dry-run", "-k", "a and not b")
    result.stdout.fnmatch_lines(
        ["1 case of *, 1 call of the app", "expected, by the last run: 1 model call, *"]
    )
    (project.path / ".llmops" / "runs" / "last.json").write_text("{")
    result = project.run_here("--llm-dry-run", "-k", "a and not b")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["not estimated: 1 case never run: *", "not read: *last.json*"])


def test_judges_are_not_estimated(called):
    project, _ = called
    project.golden(
        golden("a", head="judge: {model: small}\n").replace(
            "keywords:", "judge: {rubric: support, min: 4}, keywords:"
        )
    )
    result = project.run_here("--llm-dry-run", "--llm-repeats", "2")
    result.stdout.fnmatch_lines(["not estimated: model calls of judges, for so many outputs: judge (2)"])


def test_workers_are_not_started(called):
    project, _ = called
    result = project.run_here("--llm-dry-run", "-n", "2")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["2 cases of 1 golden file*"])
    result.stdout.no_fnmatch_line("*bringing up nodes*")


def test_a_dry_run_belongs_to_a_golden_run(project):
    result = project.pytester.runpytest_inprocess("--llm-dry-run", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--llm-dry-run belongs to a golden run: add --llm-golden"])


def test_a_mistake_in_a_file_is_one_here_too(called, monkeypatch, capsys):
    project, _ = called
    project.golden(golden("a", "a"))
    assert project.run_here("--llm-dry-run").ret == pytest.ExitCode.USAGE_ERROR
    code, _ = run_command(project, monkeypatch, capsys)
    assert code == 4

"""The summary of a step of GitHub Actions, and its annotations, by pytest's door."""

from __future__ import annotations

import pytest

from pytest_llmops.reports.comment import MARKER


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_run_appends_its_comment_once(project, monkeypatch, workers):
    summary = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.golden(project.golden().read_text().replace("[Madrid]", "[Toledo]"))
    assert project.run(*workers).ret == 1
    text = summary.read_text()
    assert text.count(MARKER) == 1
    assert "\n**failed**\n" in text
    assert "<code>failed: golden/capitals.yaml::spain: keywords &gt;= 1</code>" in text
    assert "  now        Madrid\n" in text


def test_a_run_whose_items_fail_otherwise_is_red_there(project, monkeypatch):
    summary = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    project.pytester.makeconftest("""
        def pytest_runtest_teardown(item):
            raise RuntimeError("of the project")
    """)
    assert project.run().ret == 1
    assert "**failed: the job ended by failure; " in summary.read_text()


def test_a_case_that_fails_is_an_annotation_at_its_line(project, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    path = project.golden(project.golden().read_text().replace("[Madrid]", "[100%]"))
    result = project.run()
    folder, line = project.path.name, path.read_text().split("\n").index("  - id: spain") + 1
    where = f"file={folder}/golden/capitals.yaml,line={line}"
    result.stdout.fnmatch_lines([f"::error {where}::failed: golden/capitals.yaml::spain: keywords >= 1"])
    assert result.stdout.str().count("::error") == 1


@pytest.mark.parametrize("name", ["a%0A::error::x", "a, line=1: x"])
def test_an_annotation_is_one_command_whatever_a_file_is_named(project, monkeypatch, name):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    golden = project.golden().read_text().replace("[Madrid]", "[Toledo]")
    (project.path / "golden/capitals.yaml").unlink()
    project.golden(golden, f"golden/{name}.yaml")
    (line,) = [line for line in project.run().outlines if line.startswith("::error")]
    properties = line.removeprefix("::error ").partition("::")[0]
    assert [part.partition("=")[0] for part in properties.split(",")] == ["file", "line"]
    assert "%0A" not in line.replace("%250A", "")

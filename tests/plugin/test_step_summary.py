"""The summary of a step of GitHub Actions, by pytest's door."""

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

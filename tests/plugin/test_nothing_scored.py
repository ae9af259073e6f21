"""A run in which nothing was scored says nothing of the app, so it is no success."""

from __future__ import annotations

import json

import pytest

from tests.command import main

UNCHECKED = """
    version: 1
    app: capitals:answer
    cases: [{id: france, input: capital of France?}, {id: spain, input: capital of Spain?}]
"""
TOLD = "nothing was scored: give the golden file checks"


@pytest.fixture
def unchecked(project):
    project.golden(UNCHECKED)
    return project


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_pytest_fails_and_says_so(unchecked, workers):
    result = unchecked.run(*workers) if workers else unchecked.run_here()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2)
    assert TOLD in result.outlines


def test_a_baseline_is_not_made_of_it(unchecked):
    result = unchecked.run_here("--llm-accept")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["nothing was accepted: nothing in the run was scored*", TOLD])
    assert not (unchecked.path / "golden" / "baseline.json").exists()


def test_llmops_run_is_broken_and_says_so(unchecked, capsys, monkeypatch):
    monkeypatch.syspath_prepend(unchecked.path)
    assert main(["run", "--out", "run.json"]) == 3
    told = capsys.readouterr().out
    assert "2 passed, 0 failed, 0 regressed, 0 undecided, 0 error" in told
    assert TOLD in told
    assert len(json.loads((unchecked.path / "run.json").read_text())["results"]) == 2


def test_one_score_is_enough(unchecked):
    unchecked.golden(UNCHECKED.replace("Spain?}", "Spain?, checks: {keywords: {all: [Madrid]}}}"))
    result = unchecked.run_here()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("nothing was scored*")
    assert unchecked.run_here("-k", "france").ret == pytest.ExitCode.TESTS_FAILED
    assert unchecked.run_here("-k", "spain").ret == 0


def test_a_metric_of_the_suite_scores_too(unchecked):
    unchecked.golden(UNCHECKED.replace("cases:", "suite: {latency_s: {p95: '<= 60'}}\n    cases:"))
    assert unchecked.run_here().ret == 0


def test_a_run_that_broke_is_not_told_to_have_checks(project):
    project.app("def answer(question): raise ValueError(question)\n")
    result = project.run_here()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "nothing was scored" in result.outlines


def test_a_run_without_golden_cases_says_nothing_of_them(project):
    project.write("tests/test_it.py", "def test_it(): pass\n")
    result = project.run_here("golden", "tests", "-k", "test_it")
    assert result.ret == 0
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.no_fnmatch_line("nothing was scored*")


def test_empty_answers_are_counted_at_both_doors(project, capsys, monkeypatch):
    project.write("silent.py", "def answer(question):\n    return '' if 'France' in question else 'Madrid'\n")
    project.golden(UNCHECKED.replace("capitals:", "silent:").replace("}]", ", checks: {pii_leak: none}}]"))
    warning = "warning: 1 of 2 answers is empty"
    assert warning in project.run_here().outlines
    monkeypatch.syspath_prepend(project.path)
    main(["run"])
    assert warning in capsys.readouterr().out


def test_a_run_that_could_not_be_written_is_not_accepted(unchecked, capsys, monkeypatch):
    unchecked.golden(UNCHECKED.replace("Spain?}", "Spain?, checks: {keywords: {all: [Madrid]}}}"))
    (unchecked.path / "there.json").mkdir()
    monkeypatch.syspath_prepend(unchecked.path)
    assert main(["run", "--accept", "--out", "there.json"]) == 3
    assert "there.json could not be written" in capsys.readouterr().out
    assert not (unchecked.path / "golden/baseline.json").exists()

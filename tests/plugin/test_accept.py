"""`--llm-accept`: what a run may put into the baseline, and what it never touches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llmops import load_run
from tests.plugin.varying import STEADY, Varying, golden_text

BROKEN_FILES = {
    "empty": "",
    "truncated": '{"version": 1, "kind": "baseline", "signature": {',
    "of another version": '{"version": 99, "kind": "baseline", "signature": {}, "cases": []}',
    "a list": "[]",
    "a conflict": "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n",
    "no baseline": '{"name": "something else"}',
}


@pytest.fixture
def shop(project):
    """A steady app of three cases."""
    project.app(STEADY)
    project.golden(golden_text(3))
    return Varying(project)


def scores(baseline: Path) -> dict[str, list[float]]:
    return {
        result.case.split("::")[1]: [score.value for score in result.scores]
        for result in load_run(baseline).results
    }


def accept(shop: Varying, *arguments: str) -> pytest.RunResult:
    return shop.ask("--llm-accept", *arguments)


def test_a_first_run_is_the_baseline(shop):
    result = accept(shop, "--llm-repeats", "2")
    assert result.ret == 0
    assert "golden/baseline.json: 3 cases accepted, 0 kept" in result.outlines
    assert scores(shop.baseline) == {f"case-{number}": [1, 1] for number in range(3)}
    assert load_run(shop.baseline).signature["app:golden/capitals.yaml"] == "capitals:answer"


def test_only_new_cases_are_taken(shop):
    accept(shop)
    shop.project.golden(golden_text(5))
    shop.break_case(1)
    result = accept(shop)
    assert result.ret == 1
    assert "golden/baseline.json: 2 cases accepted, 3 kept" in result.outlines
    assert scores(shop.baseline) == {f"case-{number}": [1] for number in range(5)}


def test_an_edited_case_is_a_new_one(shop):
    accept(shop)
    shop.project.golden(golden_text(3).replace("question 2", "question 7"))
    shop.break_case(0, 7)
    result = accept(shop)
    result.stdout.fnmatch_lines(
        ["golden/baseline.json: 1 case accepted, 2 kept; 1 of them misses a check, *"]
    )
    assert scores(shop.baseline) == {"case-0": [1], "case-1": [1], "case-2": [0]}


def test_a_case_with_an_error_is_refused_and_the_others_are_taken(shop):
    shop.project.golden(golden_text(3).replace("question 1", "no number"))
    result = accept(shop)
    assert result.ret == 1
    told = "golden/baseline.json: 2 cases accepted, 0 kept, 1 refused: golden/capitals.yaml::case-1: "
    result.stdout.fnmatch_lines([f"{told}*ValueError*"])
    assert scores(shop.baseline) == {"case-0": [1], "case-2": [1]}


def test_where_nothing_can_be_taken_the_file_stays(shop):
    accept(shop)
    before = shop.baseline.read_bytes()
    shop.project.golden(golden_text(1).replace("question 0", "no number"))
    result = accept(shop)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["nothing was accepted: no case of the run can be accepted*"])
    assert shop.baseline.read_bytes() == before


def test_a_run_that_changes_nothing_leaves_the_file_alone(shop):
    accept(shop)
    before, written = shop.baseline.read_bytes(), shop.baseline.stat().st_mtime_ns
    assert accept(shop).ret == 0
    assert (shop.baseline.read_bytes(), shop.baseline.stat().st_mtime_ns) == (before, written)


def test_a_few_selected_cases_are_taken_and_the_rest_kept(shop):
    accept(shop, "-k", "case-1")
    assert scores(shop.baseline) == {"case-1": [1]}
    result = accept(shop)
    assert "golden/baseline.json: 2 cases accepted, 1 kept" in result.outlines
    assert "partial" not in load_run(shop.baseline).signature


@pytest.mark.parametrize(
    "options", [(), ("--llm-baseline", "none"), ("--llm-baseline", "golden/baseline.json")]
)
@pytest.mark.parametrize("text", BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_a_broken_baseline_is_told_before_a_case_is_asked_and_stays(shop, options, text):
    shop.baseline.write_text(text)
    result = accept(shop, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*baseline.json: *"])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert not (shop.path / "asked").exists()
    assert shop.baseline.read_text() == text


def test_a_run_file_is_no_baseline_to_accept_into(shop):
    shop.ask("--llm-out", "base.json")
    before = (shop.path / "base.json").read_bytes()
    result = accept(shop, "--llm-baseline", "base.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*base.json: is a run, no baseline; make one of it with: llmops accept *"])
    assert not (shop.path / "asked").exists()
    assert (shop.path / "base.json").read_bytes() == before


def test_a_baseline_that_is_named_is_the_one_that_is_written(shop):
    accept(shop)
    other = shop.baseline.rename(shop.path / "other.json")
    shop.project.golden(golden_text(4))
    result = accept(shop, "--llm-baseline", "other.json")
    assert "other.json: 1 case accepted, 3 kept" in result.outlines
    assert len(scores(other)) == 4
    assert not shop.baseline.exists()


def test_none_compares_with_nothing_and_accepts_all_the_same(shop):
    accept(shop)
    shop.project.golden(golden_text(4))
    shop.break_case(0)
    result = accept(shop, "--llm-baseline", "none")
    result.stdout.no_fnmatch_line("*regressed *")
    assert "golden/baseline.json: 1 case accepted, 3 kept" in result.outlines


def test_another_accepted_file_can_be_set(shop):
    shop.project.write(
        "pyproject.toml", "[tool.pytest-llmops]\naccepted = 'quality/base.json'\n[tool.pytest.ini_options]\n"
    )
    accept(shop)
    assert len(scores(shop.path / "quality" / "base.json")) == 3
    assert not shop.baseline.exists()
    shop.break_case(1)
    assert shop.ask().parseoutcomes()["failed"] == 1


def test_a_file_that_cannot_be_written_is_told(shop):
    shop.project.write("blocked", "a file, where a folder would have to be")
    shop.project.write(
        "pyproject.toml", "[tool.pytest-llmops]\naccepted = 'blocked/base.json'\n[tool.pytest.ini_options]\n"
    )
    result = accept(shop)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["nothing was accepted: *blocked*: *"])


def test_flags_of_a_golden_run_need_one(shop):
    shop.project.write("test_it.py", "def test_it(): pass\n")
    result = shop.project.pytester.runpytest_inprocess("test_it.py", "--llm-accept")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--llm-accept belongs to a golden run: add --llm-golden"])


def test_collection_alone_accepts_nothing(shop):
    result = accept(shop, "--collect-only")
    assert result.ret == 0
    assert not shop.baseline.exists()


def llmops(shop: Varying, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("llmops")), "run", *arguments]
    shop.start_over()
    return subprocess.run(command, cwd=shop.path, capture_output=True, text=True, check=False)  # noqa: S603


def test_llmops_run_accepts_the_same_bytes(shop):
    accept(shop)
    by_pytest = shop.baseline.read_bytes()
    shop.baseline.unlink()
    done = llmops(shop, "--accept")
    assert done.returncode == 0, done.stderr
    assert "golden/baseline.json: 3 cases accepted, 0 kept" in done.stdout
    assert shop.baseline.read_bytes() == by_pytest


def test_llmops_run_tells_what_it_could_not_accept_and_all_else_too(shop):
    shop.project.golden(golden_text(1).replace("question 0", "no number"))
    done = llmops(shop, "--accept")
    assert done.returncode == 3
    assert "nothing was accepted: no case of the run can be accepted" in done.stdout
    assert "0 passed, 0 failed, 0 regressed, 0 undecided, 2 error" in done.stdout
    shop.baseline.write_text("{")
    done = llmops(shop, "--accept")
    assert done.returncode == 4
    assert not (shop.path / "asked").exists()


def test_the_baseline_of_another_app_is_told(shop):
    accept(shop)
    shop.project.write("till.py", "def ask(question):\n    return 'good'\n")
    result = shop.ask("--llm-app", "till:ask")
    assert "since the baseline: app golden/capitals.yaml: capitals:answer → till:ask" in result.outlines
    assert result.ret == 0


def test_a_golden_file_that_is_new_to_the_baseline_is_judged_by_its_thresholds(shop):
    accept(shop)
    shop.project.golden(golden_text(2), "golden/more.yaml")
    result = shop.ask("golden/more.yaml")
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 3}
    result.stdout.no_fnmatch_line("*is gone*")
    assert "since the baseline: golden file golden/more.yaml is new" in result.outlines
    result = shop.ask("golden/capitals.yaml")
    result.stdout.no_fnmatch_line("since the baseline: *")


def test_each_line_of_the_file_is_a_case(shop):
    accept(shop)
    lines = [line for line in shop.baseline.read_text().splitlines() if '"case"' in line]
    assert [json.loads(line.rstrip(","))["case"] for line in lines] == [
        f"golden/capitals.yaml::case-{number}" for number in range(3)
    ]

"""`--llm-baseline`: what got worse is told apart from what was bad before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_llmops.gates.baseline import rescore_run
from pytest_llmops.reports.files.baseline_file import name_release
from tests.extras import needs_pii
from tests.git_settings import forget_git_settings

GOLDEN = (
    "version: 1\napp: capitals:answer\nsuite: {keywords: {mean: '>= 0.1', max_drop: 0.05}}\ncases:\n"
    + "".join(
        f"  - {{id: case-{number}, input: question {number}, checks: {{keywords: {{all: [good]}}}}}}\n"
        for number in range(12)
    )
)


def app(*bad: int) -> str:
    return f"""
        def answer(question):
            return "bad" if int(question.split()[1]) in {bad!r} else "good"
    """


@pytest.fixture
def base(project):
    """A baseline of three repeats in which case 0 failed."""
    project.golden(GOLDEN)
    project.app(app(0))
    project.run_here("--llm-repeats", "3", "--llm-out", "base.json")
    return project


def test_the_same_app_holds_and_the_old_failure_is_known(base):
    result = base.run_here("--llm-baseline", "base.json")
    assert result.parseoutcomes() == {"passed": 12, "known": 1}
    assert result.ret == 0


def test_known_failures_can_fail_the_build(base):
    base.write("pytest.ini", "[pytest]\nllm_known_failures = fail\n")
    base.run_here("--llm-baseline", "base.json").assert_outcomes(passed=12, failed=1)


def test_a_case_that_dropped_is_run_again_and_regressed(base):
    base.app(app(0, 5))
    result = base.run_here("--llm-baseline", "base.json", "-k", "case")
    assert result.parseoutcomes() == {"passed": 10, "regressed": 1, "known": 1, "deselected": 1}
    result.stdout.fnmatch_lines(["*case-5*", "*regressed *keywords >= 1: 0, baseline 1*"])


def test_a_drop_over_the_suite_is_regressed(base):
    base.app(app(*range(9)))
    result = base.run_here("--llm-baseline", "base.json", "-k", "suite")
    assert result.parseoutcomes() == {"regressed": 1, "deselected": 12}
    result.stdout.fnmatch_lines(["*regressed *keywords mean >= 0.1: 0.25, baseline 0.9167*"])


def test_what_failed_and_holds_now_is_fixed(base):
    base.app(app())
    result = base.run_here("--llm-baseline", "base.json", "--llm-out", "run.json")
    result.assert_outcomes(passed=13)
    compared = base.pytester.run(
        Path(sys.executable).with_name("llmops"), "compare", "base.json", "run.json", "--format", "json"
    )
    changed = json.loads(compared.stdout.str())["cases"]["changed"]
    assert [(each["case"].split("::")[1], each["before"], each["after"]) for each in changed] == [
        ("case-0", 0, 1)
    ]


def test_a_small_run_says_that_it_cannot_tell(base):
    varying = 'f"good {time.perf_counter_ns()}"'
    base.app("import time\n" + dedent(app(0)).replace('"good"', varying))
    base.run_here("--llm-repeats", "3", "--llm-out", "base.json")
    base.app("import time\n" + dedent(app(0, 1)).replace('"good"', varying))
    result = base.run_here("--llm-baseline", "base.json", "-k", "suite", "--llm-repeats", "1")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 undecided*"])
    base.write("pytest.ini", "[pytest]\nllm_undecided = fail\n")
    assert base.run_here("--llm-baseline", "base.json", "-k", "suite", "--llm-repeats", "1").ret == 1


def test_a_drop_of_a_steady_app_beyond_max_drop_is_regressed_by_one_case(base):
    base.app(app(0, 1))
    result = base.run_here("--llm-baseline", "base.json", "-k", "suite")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*no repeat differs: the app changed here, or its model*"])


def test_a_case_that_left_the_golden_file_is_undecided(base):
    base.golden(
        GOLDEN.replace("  - {id: case-3, input: question 3, checks: {keywords: {all: [good]}}}\n", "")
    )
    result = base.run_here("--llm-baseline", "base.json")
    result.stdout.fnmatch_lines(["*in no golden file any more: *::case-3", "*2 undecided*"])
    base.write("pytest.ini", "[pytest]\nllm_undecided = fail\n")
    assert base.run_here("--llm-baseline", "base.json").ret == 1


@needs_pii
def test_an_old_leak_is_no_excuse(project):
    project.app("def answer(question): return 'ann.lee@example.com'")
    project.golden("version: 1\napp: capitals:answer\ncases: [{id: a, input: x, checks: {pii_leak: none}}]\n")
    project.run_here("--llm-repeats", "2", "--llm-out", "base.json")
    result = project.run_here("--llm-baseline", "base.json")
    result.assert_outcomes(failed=1)


def test_workers_give_the_same_verdicts(base):
    base.app(app(0, 5))
    alone = base.run_here("--llm-baseline", "base.json")
    together = base.run("--llm-baseline", "base.json", "-n", "2")
    assert alone.parseoutcomes() == together.parseoutcomes()


BROKEN = [
    "",
    "{",
    '{"version": 99}',
    '{"version": 2, "kind": "baseline", "signature": {}, "cases": []}',
    "[]",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_baseline_is_one_message_and_stays_as_it_is(base, text):
    (base.path / "base.json").write_text(text)
    result = base.run_here("--llm-baseline", "base.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*base.json: *"])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert (base.path / "base.json").read_text() == text


def test_a_baseline_that_was_cut_off_is_one_message(accepted):
    whole = (accepted.path / "golden/baseline.json").read_bytes()
    for length in range(1, len(whole) - 2, 97):
        (accepted.path / "golden/baseline.json").write_bytes(whole[:length])
        result = accepted.run_here()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        lines = [line for line in result.errlines if line.strip()]
        assert len(lines) == 1
        assert "baseline.json: " in lines[0]


@pytest.fixture
def accepted(base):
    """The same as an accepted baseline."""
    base.run_here("--llm-repeats", "3", "--llm-accept")
    return base


def test_an_accepted_baseline_is_compared_with_unless_somebody_says_otherwise(accepted):
    accepted.app(app(0, 5))
    worse = {"passed": 10, "regressed": 2, "known": 1}
    assert accepted.run_here().parseoutcomes() == worse
    accepted.run_here("--llm-baseline", "none").assert_outcomes(passed=11, failed=2)
    accepted.write("pytest.ini", "[pytest]\nllm_baseline = none\n")
    accepted.run_here().assert_outcomes(passed=11, failed=2)
    assert accepted.run_here("--llm-baseline", "golden/baseline.json").parseoutcomes() == worse


def test_a_release_is_scored_again_once_for_its_verdicts_and_the_sentence_on_it(accepted):
    name_release(accepted.path / "golden/baseline.json", "1.4")
    scored = []

    def count(*given):
        scored.append(given)
        return rescore_run(*given)

    accepted.environment.setattr("pytest_llmops.gates.release.rescore_run", count)
    result = accepted.run_here("--llm-repeats", "1")
    result.stdout.fnmatch_lines(["since release 1.4: no mean moved*"])
    assert len(scored) == 1


@pytest.mark.parametrize("name", ["nowhere.json", "golden", "golden/capitals.yaml"])
def test_a_baseline_that_is_none_is_one_message(base, name):
    result = base.run_here("--llm-baseline", name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{name}: *"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_path_that_is_typed_starts_where_it_is_typed(base):
    (base.path / "below").mkdir()
    base.write("pytest.ini", "[pytest]\n")
    base.environment.chdir(base.path / "below")
    result = base.run_here("../golden", "--llm-baseline", "../base.json")
    assert result.parseoutcomes() == {"passed": 12, "known": 1}


def test_a_baseline_from_a_run_of_another_app_is_told(base):
    base.write("till.py", app(0))
    result = base.run_here("--llm-baseline", "base.json", "--llm-app", "till:answer")
    assert "since the baseline: app golden/capitals.yaml: capitals:answer → till:answer" in result.outlines
    assert result.parseoutcomes() == {"passed": 12, "known": 1}


def test_what_else_differs_is_told(base):
    base.golden(GOLDEN.replace("'>= 0.1'", "'>= 0.2'"))
    result = base.run_here("--llm-baseline", "base.json")
    assert "since the baseline: golden file golden/capitals.yaml changed" in result.outlines
    base.golden(GOLDEN)
    result = base.run_here("--llm-baseline", "base.json", "-k", "case-3")
    result.stdout.no_fnmatch_line("since the baseline*")


@pytest.mark.parametrize(
    ("variables", "place"),
    [({}, "HEAD"), ({"GITHUB_BASE_REF": "main"}, "origin/main"), ({"GITHUB_BASE_REF": "gone"}, "HEAD")],
)
def test_a_baseline_file_that_the_change_edited_is_reported(base, monkeypatch, variables, place):
    forget_git_settings(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=base.path, check=True, capture_output=True)  # noqa: S603, S607

    git("init", "-q", "-b", "main")
    git("add", "base.json")
    git("commit", "-qm", "first")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    same = base.run_here("--llm-baseline", "base.json")
    base.run_here("--llm-repeats", "4", "--llm-out", "base.json")
    if place == "origin/main":
        git("commit", "-qam", "second")

    edited = base.run_here("--llm-baseline", "base.json")
    (base.path / "mine.json").write_text((base.path / "base.json").read_text())
    unknown = base.run_here("--llm-baseline", "mine.json")

    unknown.stdout.fnmatch_lines([f"*warning: mine.json is not there at {place}, and nothing checks *"])
    line = f"*warning: base.json is another one than at {place}, and nothing checks what changed in it*"
    edited.stdout.fnmatch_lines([line])
    same.stdout.no_fnmatch_line("*is another one than*")

"""`--llm-baseline`: what got worse is told apart from what was bad before."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

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
    project.run("--llm-repeats", "3", "--llm-out", "base.json")
    return project


def test_the_same_app_holds_and_the_old_failure_is_known(base):
    result = base.run("--llm-baseline", "base.json")
    result.assert_outcomes(passed=12, xfailed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*12 passed, 1 failed, 0 regressed, 0 undecided, 0 error*"])


def test_known_failures_can_fail_the_build(base):
    base.write("pytest.ini", "[pytest]\nllm_known_failures = fail\n")
    base.run("--llm-baseline", "base.json").assert_outcomes(passed=12, failed=1)


def test_a_case_that_fell_is_regressed_with_one_repeat(base):
    base.app(app(0, 5))
    result = base.run("--llm-baseline", "base.json", "-k", "case")
    result.assert_outcomes(passed=10, failed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*case-5*", "*regressed *keywords >= 1: 0, baseline 1*"])


def test_a_drop_over_the_suite_is_regressed(base):
    base.app(app(*range(9)))
    result = base.run("--llm-baseline", "base.json", "-k", "suite")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*regressed *keywords mean >= 0.1: 0.25, baseline 0.9167*"])


def test_what_failed_and_holds_now_is_fixed(base):
    base.app(app())
    result = base.run("--llm-baseline", "base.json", "--llm-out", "run.json")
    result.assert_outcomes(passed=13)
    compared = base.pytester.run(
        Path(sys.executable).with_name("llmops"), "compare", "base.json", "run.json", "--format", "json"
    )
    changed = json.loads(compared.stdout.str())["cases"]["changed"]
    assert [(each["case"].split("::")[1], each["before"], each["after"]) for each in changed] == [
        ("case-0", 0, 1)
    ]


def test_a_small_run_says_that_it_cannot_tell(base):
    base.golden(GOLDEN.replace("max_drop: 0.05", "max_drop: 0.01"))
    base.app(app(0, 1))
    result = base.run("--llm-baseline", "base.json", "-k", "suite")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*0 passed, 0 failed, 0 regressed, 1 undecided, 0 error*"])
    base.write("pytest.ini", "[pytest]\nllm_undecided = fail\n")
    assert base.run("--llm-baseline", "base.json", "-k", "suite").ret == 1


def test_a_case_that_left_the_golden_file_is_undecided(base):
    base.golden(
        GOLDEN.replace("  - {id: case-3, input: question 3, checks: {keywords: {all: [good]}}}\n", "")
    )
    result = base.run("--llm-baseline", "base.json")
    result.stdout.fnmatch_lines(["*2 undecided*", "*in no golden file any more: *::case-3"])
    base.write("pytest.ini", "[pytest]\nllm_undecided = fail\n")
    assert base.run("--llm-baseline", "base.json").ret == 1


def test_an_old_leak_is_no_excuse(project):
    project.app("def answer(question): return 'ann.lee@example.com'")
    project.golden("version: 1\napp: capitals:answer\ncases: [{id: a, input: x, checks: {pii_leak: none}}]\n")
    project.run("--llm-repeats", "2", "--llm-out", "base.json")
    result = project.run("--llm-baseline", "base.json")
    result.assert_outcomes(failed=1)


def test_workers_give_the_same_verdicts(base):
    base.app(app(0, 5))
    alone = base.run("--llm-baseline", "base.json")
    together = base.run("--llm-baseline", "base.json", "-n", "2")
    assert alone.parseoutcomes() == together.parseoutcomes()


@pytest.mark.parametrize("text", ["", "{", '{"version": 99}', "[]"])
def test_a_broken_baseline_is_one_message_and_stays_as_it_is(base, text):
    (base.path / "base.json").write_text(text)
    result = base.run("--llm-baseline", "base.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*base.json: *"])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert (base.path / "base.json").read_text() == text

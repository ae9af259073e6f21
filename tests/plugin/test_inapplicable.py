"""An output that gives a metric nothing to judge is no pass: the check is undecided, and a suite leaves it out."""

from __future__ import annotations

import json

import pytest

from tests.stored_files import WEIGHTS

GOLDEN = """
    version: 1
    app: shop:answer
    checks: {facts: true}
    suite: {facts: {mean: ">= 0.9"}}
    cases:
      - {id: window, input: window, reference: Within 60 days.}
      - {id: lining, input: lining, reference: The lining is rough.}
"""
APP = """
    ANSWERS = {"window": "It takes 60 days.", "lining": "It is soft."}
    def answer(question):
        return ANSWERS[question]
"""
WARNING = (
    "warning: golden/capitals.yaml: facts is not applicable to 1 of 2 cases, which its suite checks leave out: "
    "lining"
)


@pytest.fixture
def shop(project):
    project.environment.setenv("LLMOPS_WEIGHTS", WEIGHTS)
    project.golden(GOLDEN)
    project.write("shop.py", APP)
    return project


def test_the_check_is_undecided_and_the_suite_says_what_it_leaves_out(shop):
    result = shop.run_here("--llm-out", "run.json")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*undecided: facts >= 1: not applicable: *check it with keywords*"])
    result.stdout.fnmatch_lines([WARNING, "*2 passed*1 undecided*"])
    run = json.loads((shop.path / "run.json").read_text())
    stages = {result["case"]: [fault["stage"] for fault in result["failures"]] for result in run["results"]}
    assert stages == {"golden/capitals.yaml::window": [], "golden/capitals.yaml::lining": ["inapplicable"]}


def test_where_undecided_fails_it_is_red(shop):
    assert shop.run_here("-o", "llm_undecided=fail").ret == pytest.ExitCode.TESTS_FAILED


def test_a_suite_of_such_cases_alone_is_undecided(shop):
    shop.golden(GOLDEN.replace("- {id: window, input: window, reference: Within 60 days.}", ""))
    result = shop.run_here()

    result.stdout.fnmatch_lines(["*undecided: *nothing was scored by facts; not applicable to 1 case*"])


def test_a_baseline_takes_the_case_and_compares_the_others(shop):
    assert shop.run_here("--llm-accept").ret == 0
    result = shop.run_here()

    assert result.ret == 0
    result.stdout.fnmatch_lines([WARNING, "*2 passed*1 undecided*"])


def test_an_answer_that_states_nothing_any_more_does_not_pass(shop):
    assert shop.run_here("--llm-accept").ret == 0
    shop.write("shop.py", APP.replace("It takes 60 days.", "It takes a while."))
    result = shop.run_here("-o", "llm_undecided=fail")

    assert result.ret == pytest.ExitCode.TESTS_FAILED

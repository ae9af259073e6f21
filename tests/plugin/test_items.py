"""Golden cases are pytest items: selected, stopped, repeated and reported as any other."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

THREE = """
    version: 1
    app: capitals:answer
    suite:
      keywords: {mean: ">= 0.9"}
    cases:
      - {id: france, input: capital of France?, tags: [north], checks: {keywords: {all: [Paris]}}}
      - {id: spain, input: capital of Spain?, tags: [south], checks: {keywords: {all: [Madrid]}}}
      - {id: italy, input: capital of Italy?, tags: [south], checks: {keywords: {all: [Rome]}}}
"""


def test_a_case_is_an_item_and_so_is_a_suite_metric(project):
    project.golden(THREE)
    result = project.run_here("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "golden/capitals.yaml::france",
            "golden/capitals.yaml::spain",
            "golden/capitals.yaml::italy",
            "golden/capitals.yaml::suite[[]keywords]",
        ]
    )
    assert project.asked() == []
    assert not (project.path / ".llmops").exists()


def test_every_count_is_shown_and_the_exit_code_is_pytests(project):
    project.golden(THREE)
    result = project.run_here()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*2 failed*2 passed*"])
    result.stdout.fnmatch_lines(["*capitals.yaml:9: italy*", "*keywords >= 1*"])
    assert sorted(project.asked()) == ["capital of France?", "capital of Italy?", "capital of Spain?"]


@pytest.mark.parametrize(
    ("arguments", "passed", "failed", "asked"),
    [
        (("-k", "france"), 1, 0, 1),
        (("-m", "north"), 1, 0, 1),
        (("-m", "south"), 1, 1, 2),
        (("golden/capitals.yaml::spain",), 1, 0, 1),
        (("-k", "suite"), 0, 1, 3),
    ],
)
def test_what_is_selected_is_all_that_is_asked(project, arguments, passed, failed, asked):
    """A suite check needs every case of its file, a case only itself."""
    project.golden(THREE)
    result = project.run_here(*arguments)
    result.assert_outcomes(passed=passed, failed=failed, deselected=None)
    assert len(project.asked()) == asked


def test_last_failed_runs_the_failed_case_again(project):
    project.golden(THREE)
    arguments = ("--llm-golden", "golden/capitals.yaml")
    project.pytester.runpytest_inprocess(*arguments)
    result = project.pytester.runpytest_inprocess(*arguments, "--lf")
    result.assert_outcomes(failed=2)


def test_exitfirst_stops_at_the_first_failure(project):
    project.golden(THREE)
    result = project.run_here("-x")
    result.assert_outcomes(passed=2, failed=1)


def test_junit_carries_the_outcome_and_the_scores(project):
    project.golden(THREE)
    project.run_here("--junitxml=junit.xml")
    written = ET.parse(project.path / "junit.xml")  # noqa: S314 - pytest's own
    cases = {case.get("name"): case for case in written.iter("testcase")}
    properties = {each.get("name"): each.get("value") for each in cases["italy"].iter("property")}
    assert properties == {"llm_outcome": "failed", "llm_keywords": "0.0"}
    assert cases["italy"].find("failure") is not None


def test_the_run_file_holds_every_case(project):
    project.golden(THREE)
    project.run_here("--llm-out", "run.json")
    run = json.loads((project.path / "run.json").read_text())
    assert [each["case"].split("::")[1] for each in run["results"]] == ["france", "italy", "spain"]
    assert run["results"][1]["outputs"][0]["text"] == "Milan"


def test_golden_items_stand_beside_ordinary_tests(project):
    project.write("tests/test_plain.py", "def test_plain(): pass\n")
    result = project.run_here("tests", "golden")
    result.assert_outcomes(passed=3)


def test_without_the_flag_golden_files_are_no_tests(project):
    result = project.pytester.runpytest_inprocess("golden")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.asked() == []


def test_repeats_run_again_and_the_pass_rate_is_judged(project):
    project.app("""
        import itertools
        COUNT = itertools.count()
        def answer(question):
            return "Paris Madrid" if next(COUNT) % 2 else "London"
    """)
    result = project.run_here("--llm-repeats", "12", "--llm-concurrency", "1")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*keywords >= 1: 0.5; 6 of 12 repeats pass, pass_rate >= 0.8*"])


def test_an_async_app_and_one_that_returns_a_mapping(project):
    project.app("""
        async def answer(question):
            return {"text": "Paris, not Madrid", "passages": ["a", {"id": "b", "text": "B", "score": 0.5}]}
    """)
    project.golden("""
        version: 1
        app: capitals:answer
        cases:
          - {id: one, input: x, relevant: [b], checks: {"recall@2": ">= 1", "precision@2": ">= 0.5"}}
          - {id: two, input: y, relevant: [c], checks: {"recall@2": ">= 1"}}
    """)
    result = project.run_here()
    result.assert_outcomes(passed=1, failed=1)


def test_the_fixture_llm_app_overrides_the_file(project):
    project.write(
        "conftest.py",
        """
        import pytest
        @pytest.fixture(scope="session")
        def llm_app():
            return lambda question: "Paris and Madrid, said the fixture"
    """,
    )
    project.run_here().assert_outcomes(passed=2)
    assert project.asked() == []


def test_each_item_says_that_the_fixture_gave_no_app(project):
    project.golden("cases: [{id: a, input: x}, {id: b, input: y}]\n")
    project.write("conftest.py", "import pytest\n@pytest.fixture(scope='session')\ndef llm_app(): pass\n")
    result = project.run_here()
    result.assert_outcomes(errors=2)
    shown = result.stdout.str()
    assert shown.count("names no app; pass --llm-app") >= 2
    assert "KeyError" not in shown


def test_the_flag_llm_app_overrides_the_file(project):
    project.write("other.py", "def answer(question): return 'Paris Madrid'\n")
    project.run_here("--llm-app", "other:answer").assert_outcomes(passed=2)
    assert project.asked() == []


def test_settings_come_from_the_table_the_ini_file_and_flags(project):
    project.write("pyproject.toml", '[tool.pytest-llmops]\napp = "nowhere:answer"\ngolden = "golden/"\n')
    project.write("pytest.ini", "[pytest]\nllm_app = capitals:answer\n")
    project.run_here().assert_outcomes(passed=2)


def test_the_setting_app_is_for_files_that_name_none(project):
    project.write("other.py", "def answer(question): return 'Paris Madrid'\n")
    project.write("pytest.ini", "[pytest]\nllm_app = other:answer\n")
    project.golden("cases: [{id: a, input: hi, checks: {keywords: {all: [Paris]}}}]\n", "golden/none.yaml")

    result = project.run_here("--llm-out", "run.json")

    result.assert_outcomes(passed=3)
    assert len(project.asked()) == 2
    signature = json.loads((project.path / "run.json").read_text())["signature"]
    apps = {name: value for name, value in signature.items() if name.startswith("app:")}
    assert apps == {"app:golden/capitals.yaml": "capitals:answer", "app:golden/none.yaml": "other:answer"}


def test_a_case_takes_as_long_as_its_app(project):
    project.app("""
        import time

        def answer(question):
            time.sleep(0.3 if "France" in question else 0.6)
            return "Paris"
    """)

    result = project.run_here("--junitxml=junit.xml", "--durations=9", "--durations-min=0.2")

    junit = ET.parse(project.path / "junit.xml")  # noqa: S314 - ours
    took = {case.get("name"): float(case.get("time")) for case in junit.iter("testcase")}
    assert 0.3 <= took["france"] < 0.55
    assert 0.6 <= took["spain"] < 0.85
    result.stdout.fnmatch_lines(["*s call *::spain", "*s call *::france"])
    result.stdout.no_fnmatch_line("*s setup *::*")

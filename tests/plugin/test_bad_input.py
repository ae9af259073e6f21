"""What can be wrong around a run: one clear message, other cases go on, nothing is green by accident."""

from __future__ import annotations

import json

import pytest

from tests.extras import needs_pii
from tests.openai_server import OpenAIServer


def test_a_misspelt_metric_stops_the_run_before_any_model_is_called(project):
    project.golden("""
        version: 1
        app: capitals:answer
        cases:
          - {id: a, input: hi, checks: {exact_mach: true}}
          - {id: a, input: ho, chekcs: {}}
    """)
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*capitals.yaml:5: a: *'exact_mach'*Did you mean 'exact_match'?*", "*capitals.yaml:6: *"]
    )
    result.stderr.no_fnmatch_line("*Traceback*")
    assert project.asked() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("golden/capitls.yaml",),
            "*golden/capitls.yaml: no such file or folder. Did you mean 'capitals.yaml'?*",
        ),
        (
            ("--llm-record", "nwe"),
            "*--llm-record must be one of none, *, not 'nwe'. Did you mean 'new'?*",
        ),
        (("--llm-concurrency", "0"), "*concurrency must be a whole number above 0, not '0'*"),
        (("--llm-baseline", "base.json"), "*base.json*no such run file*"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(project, arguments, message):
    result = project.run_here(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("tag", ["skip", "xfail"])
def test_a_tag_cannot_excuse_a_case(project, tag):
    project.golden(f"""
        version: 1
        app: capitals:answer
        cases: [{{id: italy, input: capital of Italy?, tags: [{tag}], checks: {{keywords: {{all: [Rome]}}}}}}]
    """)
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*capitals.yaml:4: italy: the tag '{tag}' is a mark*"])


def test_no_golden_folder(pytester):
    result = pytester.runpytest_inprocess("--llm-golden")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*golden*"])
    result.stderr.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("capitls:answer", "*no module is named 'capitls'*"),
        ("capitals:anwser", "*capitals has no 'anwser'. Did you mean 'answer'?*"),
        ("capitals", "*must be written module:attribute*"),
        ("capitals:ANSWERS", "*is a dict, which cannot be called*"),
        ("broken:answer", "*importing it raised SyntaxError*"),
    ],
)
def test_an_app_that_cannot_be_found_is_one_usage_error(project, app, message):
    project.write("broken.py", "def answer(:\n")
    result = project.run_here("--llm-app", app)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.assert_outcomes()
    assert len(result.outlines + result.errlines) < 20


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no such country')", "*the app raised ValueError: no such country*"),
        ("return None", "*the app returned None; it must return a string*"),
        ("return 3", "*the app returned an int*"),
        ("return {'txt': 'x'}", "*the output has no 'text'; did you mean it for 'txt'?*"),
        ("return {'text': 'x', 'pasages': []}", "*'pasages'*Did you mean 'passages'?*"),
        ("raise SystemExit(3)", "*the app raised SystemExit: 3*"),
        ("time.sleep(2)", "*no answer within 0.5 s (timeout_s)*"),
    ],
)
def test_one_broken_case_is_an_error_and_the_others_go_on(project, body, message):
    project.app(f"""
        import time
        def answer(question):
            if "France" in question:
                {body}
            return "Madrid"
    """)
    result = project.run_here("--llm-timeout-s", "0.5", "--llm-out", "run.json")
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([message])
    result.stdout.fnmatch_lines(["*1 passed*1 error*"])
    run = json.loads((project.path / "run.json").read_text())
    assert [len(each["failures"]) for each in run["results"]] == [1, 0]


def test_a_metric_that_breaks_is_an_error_and_never_a_number(project):
    project.write(
        "conftest.py",
        """
        import math
        from dataclasses import dataclass
        from pytest_llmops.records import Bound, Score
        from pytest_llmops.registry import register_metric

        @dataclass(frozen=True)
        class Odd:
            name = "odd"
            version = 1
            needs = frozenset()
            range = (0.0, 1.0)
            higher_is_better = True
            bound = Bound(comparison=">=", threshold=1.0)

            def score(self, batch):
                if any("Paris" in sample.output.text for sample in batch):
                    raise RuntimeError("too far north")
                return [Score(metric="odd", value=math.nan) for _ in batch]

        register_metric("odd", Odd)
    """,
    )
    project.golden("""
        version: 1
        app: capitals:answer
        checks: {odd: true}
        suite: {odd: {mean: ">= 0.5"}}
        cases:
          - {id: france, input: capital of France?}
          - {id: spain, input: capital of Spain?}
    """)
    result = project.run_here()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*RuntimeError: too far north*", "*odd gave nan*"])


def test_what_a_model_says_cannot_move_the_terminal(project):
    project.app(r"""
        def answer(question):
            return "\x1b[2J\x1b]0;owned\x07 Rome \u202e evil"
    """)
    result = project.run_here()
    result.assert_outcomes(failed=2)
    assert "\x1b[2J" not in result.stdout.str()
    assert "\u202e" not in result.stdout.str()


def test_a_read_only_home_costs_no_case(project):
    project.write(".llmops", "a file where a folder should be\n")
    result = project.run_here()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*.llmops*could not be written*"])


def test_a_file_that_was_asked_for_and_cannot_be_written_is_no_success(project):
    result = project.run_here("--llm-out", "capitals.py/run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*capitals.py/run.json could not be written*"])


def test_a_run_without_a_case_replaces_no_file(project):
    project.run_here("--llm-out", "run.json")
    before = (project.path / "run.json").read_bytes()
    project.run_here("--llm-out", "run.json", "-k", "nowhere")
    assert (project.path / "run.json").read_bytes() == before


def test_a_partial_run_says_so(project):
    project.run_here("--llm-out", "run.json", "-k", "spain")
    assert json.loads((project.path / "run.json").read_text())["signature"]["partial"] == "1 of 2 cases"


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_cassette_that_cannot_be_kept_is_told(project, arguments):
    project.app("""
        import openai

        def answer(question):
            with openai.OpenAI(api_key="none", max_retries=0) as client:
                reply = client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": question}])
            return "Paris Madrid " + reply.choices[0].message.content
    """)
    project.write(".llmops/cassettes", "a file where a folder should be")
    with OpenAIServer() as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        result = project.run_here(*arguments)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*.llmops/cassettes*"])


def test_the_fixture_llm_app_must_live_as_long_as_the_cases(project):
    project.write(
        "conftest.py",
        """
        import pytest
        @pytest.fixture
        def llm_app():
            return str
    """,
    )
    result = project.run_here()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*has the scope function*session*"])


@needs_pii
def test_what_the_app_raised_is_shown_without_its_secrets(project):
    key = "sk-" + "a1b2" * 8
    project.app(f"""
        def answer(question):
            raise ValueError("ann.lee@example.com has {key}")
    """)
    result = project.run_here("--llm-out", "run.json", "--junitxml", "junit.xml")
    result.assert_outcomes(errors=2)
    shown = (
        result.stdout.str()
        + (project.path / "run.json").read_text()
        + (project.path / "junit.xml").read_text()
    )
    assert "ann.lee" not in shown
    assert key not in shown


@needs_pii
def test_what_the_app_prints_is_masked_where_it_is_shown(project):
    project.app("""
        def answer(question):
            print("asked by ann.lee@example.com")
            return "London"
    """)
    result = project.run_here("--junitxml", "junit.xml", "-o", "junit_logging=all", "--llm-concurrency", "1")
    result.assert_outcomes(failed=2)
    assert "ann.lee" not in (project.path / "junit.xml").read_text()


def test_flags_name_paths_from_where_one_stands(project):
    project.write("pytest.ini", "[pytest]\npythonpath = .\n")
    sub = project.path / "sub"
    sub.mkdir()
    project.environment.chdir(sub)
    project.run_here("../golden/capitals.yaml", "--llm-out", "run.json").assert_outcomes(passed=2)
    assert (sub / "run.json").exists()

"""`--llm-html` and `--llm-spans`: what a run leaves for the report."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.detect.seal import seal_result
from pytest_llmops.records import CaseResult, Span
from tests.extras import needs_pii
from tests.report_page import read_data

TRACED = """
from opentelemetry import trace

def answer(question):
    with trace.get_tracer("capitals").start_as_current_span("look up") as span:
        span.set_attributes({attributes})
    return {{"capital of France?": "Paris", "capital of Spain?": "Toledo"}}[question]
"""


KEY = "sk-proj-Zx81LmQ0aB7cD9eF2gH4iJ6kL8mN0pQ2rS4t"


def read_spans(path):
    results = json.loads(path.read_text())["results"]
    return {result["case"].partition("::")[2]: result["spans"] for result in results}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_run_writes_its_report(project, workers):
    project.app(TRACED.format(attributes="{'n': 1}"))
    result = project.run("--llm-html", "report.html", *workers)

    assert result.ret == 1
    data = read_data(project.path / "report.html")
    assert (data["outcome"], data["baseline"]) == ("failed", "")
    france, spain = data["cases"]
    assert (france["status"], france["spans"]) == ("passed", [])
    assert (spain["status"], [span["name"] for span in spain["spans"]]) == ("failed", ["look up"])


@pytest.mark.parametrize("verbosity", [(), ("--no-summary",)])
def test_the_report_says_how_other_plugins_end_the_session(project, verbosity):
    project.write("conftest.py", "def pytest_sessionfinish(session):\n    session.exitstatus = 1\n")
    result = project.run_here("--llm-html", "report.html", "-k", "france", *verbosity)

    assert result.ret == 1
    data = read_data(project.path / "report.html")
    assert (data["outcome"], data["cases"][0]["status"]) == ("failed", "passed")


def test_a_report_that_cannot_be_written_fails_the_build(project):
    (project.path / "file").touch()
    result = project.run_here("--llm-html", "file/report.html")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the report *file/report.html could not be written: *"])


def test_a_report_never_takes_the_place_of_another_file(project):
    before = project.golden().read_text()
    result = project.run("--llm-html", "golden/capitals.yaml")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--llm-html must be a file that ends in .html, not *"])
    assert project.golden().read_text() == before


def test_the_report_of_an_earlier_run_does_not_outlive_a_run_that_ends_early(project):
    project.run_here("--llm-html", "report.html")
    project.run_here("--llm-html", "report.html", "--collect-only")
    assert (project.path / "report.html").exists()
    project.golden("app: [")

    assert project.run_here("--llm-html", "report.html").ret == pytest.ExitCode.USAGE_ERROR
    assert not (project.path / "report.html").exists()


def test_a_report_belongs_to_a_golden_run(project):
    result = project.pytester.runpytest_subprocess("--llm-html", "report.html")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--llm-html belongs to a golden run*"])


@pytest.mark.parametrize(
    ("wanted", "kept"), [("failed", {"spain"}), ("all", {"france", "spain"}), ("none", set())]
)
def test_spans_are_kept_as_the_setting_says(project, wanted, kept):
    project.app(TRACED.format(attributes="{'n': 1}"))
    project.run_here("--llm-spans", wanted, "--llm-out", "run.json")

    spans = read_spans(project.path / "run.json")
    assert {case for case, of_case in spans.items() if of_case} == kept


def test_a_case_that_scores_lower_than_the_baseline_keeps_its_spans(project):
    golden = (
        "app: capitals:answer\ncases:\n  - {id: a, input: q, reference: a b c, checks: {rouge_1: '>= 0.1'}}\n"
    )
    project.golden(golden)
    project.app(TRACED.replace("return", "return 'a b c'\n    return").format(attributes="{}"))
    project.run_here("--llm-out", "run.json")
    assert read_spans(project.path / "run.json") == {"a": []}
    project.run_here("--llm-accept")
    project.app(TRACED.replace("return", "return 'a b'\n    return").format(attributes="{}"))
    project.run("--llm-out", "run.json")

    spans = read_spans(project.path / "run.json")["a"]
    assert {span["name"] for span in spans} == {"look up"}
    repeats = [span["repeat"] for span in spans]
    assert repeats == sorted(repeats)


def test_a_misspelt_choice_of_spans_is_a_usage_error(project):
    result = project.run("--llm-spans", "fialed")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--llm-spans must be one of failed, all, none*"])


@needs_pii
def test_inputs_and_spans_are_masked_whether_or_not_a_check_looks_for_leaks(project):
    project.golden(project.golden().read_text().replace("capital of Spain?", "I am ada@harebell.com. Spain?"))
    project.app(
        TRACED.replace("[question]", ".get(question, 'Toledo')").format(
            attributes=f"{{'user': 'ada@harebell.com', 'api_key': {KEY!r}}}"
        )
    )
    project.run_here("--llm-out", "run.json", "--llm-html", "report.html")

    written = (project.path / "run.json").read_text() + json.dumps(read_data(project.path / "report.html"))
    assert "look up" in written
    assert "ada@harebell.com" not in written
    assert KEY not in written


def test_an_attribute_that_json_does_not_have_loses_no_run(project):
    project.app(TRACED.format(attributes="{'odd': float('nan'), 'many': [float('inf'), 1.0], 'bytes': 'b'}"))
    project.run_here("--llm-out", "run.json")

    (span,) = read_spans(project.path / "run.json")["spain"]
    assert span["attributes"] == {"odd": "nan", "many": ["inf", 1.0], "bytes": "b"}


def test_the_header_is_red_where_the_build_is(project):
    """A case of the baseline that no golden file has any more fails this build, whatever the scores are."""
    project.run_here("--llm-accept")
    golden = project.golden().read_text()
    project.golden(golden[: golden.index("  - id: spain")])
    result = project.run_here("--llm-html", "report.html", "-o", "llm_undecided=fail")

    data = read_data(project.path / "report.html")
    assert (result.ret, data["outcome"], data["missing"]) == (1, "undecided", ["golden/capitals.yaml::spain"])


def test_a_selection_is_reported_as_what_it_is(project):
    suite = "app: capitals:answer\nsuite: {keywords: {mean: '>= 0.1'}}"
    project.golden(project.golden().read_text().replace("app: capitals:answer", suite))
    project.run_here("--llm-accept")
    result = project.run_here("--llm-html", "report.html", "golden/capitals.yaml::france")

    data = read_data(project.path / "report.html")
    assert (result.ret, data["outcome"], data["missing"], data["checks"]) == (0, "passed", [], [])
    assert data["problems"][0] == "a selection: 1 case of these golden files not run"


@needs_pii
def test_ids_that_an_app_chose_are_masked():
    span = Span(span_id=KEY, parent_id="ada@harebell.com", name="x", trace_id=KEY, origin=KEY)
    sealed = seal_result(CaseResult(case="c", input_hash="", spans=(span,)))

    assert KEY not in repr(sealed)
    assert "ada@" not in repr(sealed)
    drawn = Span(span_id="0123456789012345", parent_id=None, name="x", trace_id="4111111111111111" * 2)
    assert seal_result(CaseResult(case="c", input_hash="", spans=(drawn,))).spans == (drawn,)


def test_the_run_says_where_it_was_made(project, monkeypatch):
    for name, value in {
        "GITHUB_SERVER_URL": "https://git.example",
        "GITHUB_REPOSITORY": "acme/shop",
        "GITHUB_RUN_ID": "7",
        "GITHUB_JOB": "golden",
        "GITHUB_HEAD_REF": "shorter-prompt",
    }.items():
        monkeypatch.setenv(name, value)
    project.run_here("--llm-out", "run.json")

    environment = json.loads((project.path / "run.json").read_text())["environment"]
    assert environment.pop("ended").endswith("+00:00")
    assert environment == {
        "branch": "shorter-prompt",
        "job": "golden",
        "url": "https://git.example/acme/shop/actions/runs/7",
    }

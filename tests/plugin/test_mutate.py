"""`pytest --llm-mutate`: items of bounds and a section after the golden set."""

from __future__ import annotations

from tests.report_page import read_data

APP = """
    PASSAGES = {
        "France": {"id": "france", "text": "The capital of France is Paris, with 20 districts."},
        "Spain": {"id": "spain", "text": "The capital of Spain is Madrid, with 21 districts."},
    }

    def answer(question):
        key = next(name for name in PASSAGES if name in question)
        return {"text": PASSAGES[key]["text"], "passages": [PASSAGES[key]]}
"""
SUITE = 'suite: {mutation: {number: ">= 0.9", muted: "<= 0.3"}}'
GOLDEN = """
    app: capitals:answer
    SUITE
    cases:
      - {id: france, input: capital of France?, checks: {keywords: {all: [FRANCE]}}}
      - {id: spain, input: capital of Spain?, checks: {keywords: {all: [SPAIN]}}}
"""
WEAK = GOLDEN.replace("SUITE", SUITE).replace("FRANCE", "capital").replace("SPAIN", "capital")
STRONG = GOLDEN.replace("SUITE", "").replace("FRANCE", "20 districts").replace("SPAIN", "21 districts")


def test_a_missed_bound_fails_the_build_and_a_golden_run_alone_measures_nothing(project):
    project.app(APP)
    project.golden(WEAK)
    assert project.run_here().ret == 0
    result = project.run_here("--llm-mutate", "output,model", "-v", "--llm-html", "report.html")
    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "*golden/capitals.yaml::mutation PASSED*",
        "*golden/capitals.yaml::mutation?number? FAILED*",
        "*golden/capitals.yaml::mutation?muted? UNDECIDED*",
        "*mutation number >= 0.9*0 of 2 mutants are killed*",
        "mutation: output * killed (*",
        "mutation: model not tried: the app made no model call*",
        "mutation: undecided: golden/capitals.yaml: mutation muted <= 0.3:*nothing was tried*",
    ])  # fmt: skip
    data = read_data(project.path / "report.html")
    outcomes = {check["check"]: check["outcome"] for check in data["checks"]}
    assert outcomes["golden/capitals.yaml::mutation[number]"] == "failed"
    assert any(line.startswith("mutation: output ") for line in data["problems"])


def test_a_strong_golden_set_passes_and_an_unknown_kind_is_one_message(project):
    project.app(APP)
    project.golden(STRONG)
    result = project.run_here("--llm-mutate", "number")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mutation: output 2 of 2 mutants killed (100.0 %)"])
    result = project.run_here("--llm-mutate", "nmber")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*--llm-mutate: there is no kind of mutants 'nmber'. Did you mean 'number'?*"]
    )
    result = project.pytester.runpytest_inprocess("--llm-mutate", "number")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--llm-mutate belongs to a golden run: add --llm-golden*"])


def test_a_stored_strength_is_shown_and_one_without_these_mutants_is_undecided(project):
    project.app(APP)
    project.golden(STRONG)
    project.write("pyproject.toml", '[tool.pytest-llmops]\nundecided = "fail"\n')
    project.write("golden/mutation.json", '{"version": 1, "goldens": {}}')
    result = project.run_here("--llm-mutate", "number", "-v")
    assert result.ret == 1
    result.stdout.fnmatch_lines([
        "*::mutation UNDECIDED*",
        "mutation: stored: nothing of what was tried",
        "mutation: golden/capitals.yaml: output: no mutant is stored that was decided this time*",
    ])  # fmt: skip


def test_nothing_tried_and_a_red_golden_set_are_errors(project):
    project.app(APP)
    project.golden(STRONG)
    result = project.run_here("--llm-mutate", "model")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*mutation*nothing was tried: model: the app made no model call*"])
    project.golden(WEAK.replace("[capital]", "[Lisbon]"))
    result = project.run_here("--llm-mutate", "output")
    result.stdout.fnmatch_lines(["*not green before anything is mutated; fix these first*"])


def test_it_works_with_workers_and_with_an_app_of_a_fixture(project):
    project.write(
        "conftest.py",
        """
        import pytest
        from capitals import answer

        @pytest.fixture(scope="session")
        def llm_app():
            return answer
    """,
    )
    project.app(APP)
    project.golden(WEAK.replace("    app: capitals:answer\n", ""))
    for workers in ([], ["-n", "2"]):
        result = project.run_here("--llm-mutate", "output", *workers)
        assert result.ret == 1
        result.stdout.fnmatch_lines(
            ["*mutation number >= 0.9*0 of 2 mutants*", "mutation: output * killed (*"]
        )


def test_undecided_mutants_are_no_green_item_and_a_red_golden_set_is_an_error_of_each(project):
    project.app(APP)
    project.write(
        "capital_checks.py",
        """
        import httpx, openai
        from pytest_llmops.metrics.custom import metric

        def reply(request):
            message = {"role": "assistant", "content": "yes"}
            return httpx.Response(200, json={
                "id": "r", "object": "chat.completion", "created": 1, "model": "paid-1",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            })

        @metric(name="capital_asked", bound=">= 1")
        def capital_asked(output, sample):
            http = httpx.Client(transport=httpx.MockTransport(reply))
            client = openai.OpenAI(api_key="k", base_url="https://api.paid.example/v1", http_client=http)
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": output.text}])
            return 1.0
    """,
    )
    project.write(
        "pyproject.toml",
        """
        [tool.pytest-llmops]
        metrics = ["capital_checks.py"]
        undecided = "fail"
    """,
    )
    project.golden(WEAK.replace("[capital]}", "[capital]}, capital_asked: true"))
    result = project.run_here("--llm-mutate", "number", "-v")
    result.stdout.fnmatch_lines(["*::mutation UNDECIDED*", "mutation: output * 2 undecided"])
    result.stdout.fnmatch_lines(
        ["UNDECIDED golden/capitals.yaml::mutation - undecided mutation: nothing could*"]
    )
    project.golden(WEAK.replace("[capital]", "[Lisbon]"))
    result = project.run_here("--llm-mutate", "output", "-v")
    for name in ("mutation", "mutation?number?", "mutation?muted?"):
        result.stdout.fnmatch_lines([f"*golden/capitals.yaml::{name} ERROR*"])

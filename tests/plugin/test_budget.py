"""`--llm-budget`: counted at the server, in one process and over several."""

from __future__ import annotations

import json

import pytest

from tests.openai_server import OpenAIServer, last_user_text
from tests.plugin.varying import Varying, golden_text, outcomes_of, scores_in

APP = """
    import openai

    def answer(question):
        messages = [{"role": "user", "content": question}]
        with openai.OpenAI(max_retries=2) as client:
            return client.chat.completions.create(model="small", messages=messages).choices[0].message.content
"""
PRICES = "[tool.pytest-llmops]\nprices = {small = [1000.0, 10000.0]}\n[tool.pytest.ini_options]\n"
"""Each question and answer below is two words and one, so a call costs 0.012 dollars."""
SPENT = "the budget is spent: 5 of 5 calls; verdicts that were open then stay so"
MARKED = """
    import pytest

    @pytest.mark.parametrize("number", range(12))
    def test_it(llm, number):
        assert llm(f"question {number}").text == "good"
"""


@pytest.fixture
def server(project):
    project.app(APP)
    project.golden(golden_text(12).replace("suite: {keywords: {mean: '>= 0.5', max_drop: 0.05}}\n", ""))
    with OpenAIServer(answer=lambda _: "good") as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        yield server


def failures_in(project) -> list[str]:
    run = json.loads((project.path / ".llmops/runs/last.json").read_text())
    return [failure["error"] for result in run["results"] for failure in result["failures"]]


def test_no_call_beyond_the_budget_reaches_the_server(project, server):
    result = project.run_here("--llm-budget", "5 calls")
    assert len(server.requests) == 5
    assert outcomes_of(result) == {"passed": 5, "failed": 0, "regressed": 0, "undecided": 0, "error": 7}
    assert set(failures_in(project)) == {"the budget of 5 calls is spent: 5 of 5 calls"}
    assert result.ret == 1
    assert result.outlines.count(SPENT) == 1


def test_workers_spend_one_budget(project, server):
    result = project.run_here("--llm-budget", "5 calls", "-n", "2")
    assert len(server.requests) == 5
    assert outcomes_of(result) == {"passed": 5, "failed": 0, "regressed": 0, "undecided": 0, "error": 7}
    assert result.outlines.count(SPENT) == 1


@pytest.mark.parametrize("flag", [True, False], ids=["flag", "ini"])
def test_marked_tests_of_workers_spend_one_budget_too(project, server, flag):
    project.write("tests/test_it.py", MARKED)
    project.write(
        "pytest.ini", "[pytest]\nllm_app = capitals:answer\n" + ("" if flag else "llm_budget = 5 calls\n")
    )
    arguments = ("--llm-budget", "5 calls") if flag else ()
    result = project.pytester.runpytest_inprocess("tests", "-n", "2", *arguments)
    assert len(server.requests) == 5
    result.assert_outcomes(passed=5, failed=7)


def test_replayed_calls_cost_nothing(project, server):
    project.run_here()
    result = project.run_here("--llm-budget", "0 calls")
    assert len(server.requests) == 12
    assert outcomes_of(result)["passed"] == 12
    assert result.ret == 0


def test_dollars_by_the_prices_of_the_project(project, server):
    project.write("pyproject.toml", PRICES)
    result = project.run_here("--llm-budget", "0.05", "--llm-concurrency", "1")
    assert len(server.requests) == 5
    assert outcomes_of(result)["error"] == 7
    result.stdout.fnmatch_lines(["*the budget of $0.05 is spent: $0.06 of $0.05"])
    assert "the budget is spent: $0.06 of $0.05; verdicts that were open then stay so" in result.outlines


def test_dollars_hold_for_workers_but_for_what_is_under_way(project, server):
    """Each worker asks one question alone, and then no more at once than there is money for."""
    server.latency_s = 0.1
    project.write("pyproject.toml", PRICES)
    result = project.run_here("--llm-budget", "0.03", "-n", "2")
    assert len(server.requests) <= 4
    assert outcomes_of(result)["passed"] == len(server.requests)


def test_a_model_without_a_price_is_told_and_not_called(project, server):
    project.app(APP.replace("max_retries=2", "max_retries=0, base_url='http://api.example.test/v1'"))
    result = project.run_here("--llm-budget", "1.00")
    assert outcomes_of(result)["error"] == 12
    assert server.requests == []
    result.stdout.fnmatch_lines(["*a budget in US dollars needs the price of 'small': add it to prices in*"])


def test_further_repeats_are_given_up_without_an_error(project, server):
    seen: dict[str, int] = {}

    def vary(request) -> str:
        text = last_user_text(request)
        seen[text] = seen.get(text, 0) + 1
        return f"good, {seen[text]}"

    server.answer = vary
    auto = ("--llm-repeats", "auto", "--llm-concurrency", "1")
    result = project.run_here(*auto, "--llm-budget", "30 calls")
    assert len(server.requests) == 30
    assert outcomes_of(result) == {"passed": 12, "failed": 0, "regressed": 0, "undecided": 0, "error": 0}
    assert result.ret == 0
    assert "the budget is spent: 30 of 30 calls; verdicts that were open then stay so" in result.outlines
    repeats = [len(scores) for scores in scores_in(project.path / ".llmops/runs/last.json").values()]
    assert sum(repeats) == 30
    assert min(repeats) == 2


def test_workers_give_up_further_repeats_and_end(project, server):
    numbers = iter(range(1000))
    server.answer = lambda _: f"good, {next(numbers)}"
    arguments = ("--llm-repeats", "auto", "--llm-budget", "40 calls", "--llm-accept", "-n", "2")
    result = project.run_here(*arguments)
    assert len(server.requests) == 40
    assert outcomes_of(result) == {"passed": 12, "failed": 0, "regressed": 0, "undecided": 0, "error": 0}
    assert result.ret == 0
    assert Varying(project).baseline.exists()


@pytest.mark.parametrize("arguments", [("--llm-golden",), ("tests",)])
def test_a_budget_that_is_none_is_one_line(project, arguments):
    project.write("tests/test_it.py", MARKED)
    result = project.pytester.runpytest_inprocess(*arguments, "--llm-budget", "much")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*budget must be US dollars such as 2.50, or calls such as 500 calls, not 'much'"]
    )
    assert project.asked() == []


ENCODED = """
    version: 1
    app: capitals:answer
    encoder: openai:encoder-x
    cases:
      - {id: france, input: question 1, reference: one, checks: {semantic: {record_only: true}}}
      - {id: spain, input: question 2, reference: two, checks: {semantic: {record_only: true}}}
"""
LOCAL_APP = """
    def answer(question):
        return f"The answer to {question}."
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one", "two"])
def test_calls_of_an_encoder_are_counted_and_shown(project, server, workers):
    project.app(LOCAL_APP)
    project.golden(ENCODED)
    result = project.run_here("--llm-budget", "9 calls", *workers)
    assert result.ret == 0
    made = server.calls["/v1/embeddings"]
    assert made >= 1
    result.stdout.fnmatch_lines([f"*metrics: {made} model call* made, 0 replayed, 0 failed*"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one", "two"])
def test_an_encoder_makes_no_call_beyond_the_budget(project, server, workers):
    project.app(LOCAL_APP)
    project.golden(ENCODED)
    result = project.run_here("--llm-budget", "0 calls", *workers)
    assert server.calls["/v1/embeddings"] == 0
    assert outcomes_of(result)["error"] == 2
    assert all("the budget of 0 calls is spent" in error for error in failures_in(project))


def test_no_worker_s_encoder_is_called_where_nothing_may_be(project, server):
    project.app(LOCAL_APP)
    project.golden(ENCODED)
    result = project.run_here("--llm-record", "none", "-n", "2")
    assert server.calls["/v1/embeddings"] == 0
    assert outcomes_of(result)["error"] == 2

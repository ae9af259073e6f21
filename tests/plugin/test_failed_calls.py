"""Model calls that failed behind an app that answers all the same."""

from __future__ import annotations

import json
import re

import pytest

from tests.openai_server import OpenAIServer
from tests.plugin.varying import outcomes_of

APP = """
    import openai

    def answer(question):
        messages = [{"role": "user", "content": question}]
        try:
            with openai.OpenAI(max_retries=RETRIES, timeout=TIMEOUT) as client:
                reply = client.chat.completions.create(model="small", messages=messages)
            return reply.choices[0].message.content
        except openai.OpenAIError:
            return "Paris or Madrid"
"""
ASYNC = """
    import openai

    async def answer(question):
        messages = [{"role": "user", "content": question}]
        try:
            async with openai.AsyncOpenAI(max_retries=RETRIES, timeout=TIMEOUT) as client:
                reply = await client.chat.completions.create(model="small", messages=messages)
            return reply.choices[0].message.content
        except openai.OpenAIError:
            return "Paris or Madrid"
"""
STREAMED = """
    import contextlib
    import openai

    def answer(question):
        messages = [{"role": "user", "content": question}]
        pieces = []
        with contextlib.suppress(Exception), openai.OpenAI(max_retries=0) as client:
            for chunk in client.chat.completions.create(model="small", messages=messages, stream=True):
                pieces += [chunk.choices[0].delta.content or ""]
        return "".join(pieces) + " Paris or Madrid"
"""
BACKEND = """
    import httpx
    import os

    def answer(question):
        base = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
        assert httpx.post(base + "/tickets/7/messages", json={"text": question}).status_code == 404
        return "Paris or Madrid"
"""
GOLDEN = """
    app: capitals:answer
    model_errors: {errors}
    cases:
      - {{id: france, input: "capital of France?", checks: {{keywords: {{all: [Paris]}}}}}}
      - {{id: spain, input: "capital of Spain?", checks: {{keywords: {{all: [Madrid]}}}}}}
"""


def app_text(text: str = APP, *, retries: int = 0, timeout_s: float = 20) -> str:
    return text.replace("RETRIES", str(retries)).replace("TIMEOUT", str(timeout_s))


@pytest.fixture
def server(project):
    project.app(app_text())
    with OpenAIServer(answer=lambda _: "Paris or Madrid") as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        yield server


def usage_in(project) -> tuple[int, int, int]:
    usage = json.loads((project.path / ".llmops/runs/last.json").read_text())["usage"]
    return usage["calls"], usage["replayed"], usage["failed"]


def warnings_in(result) -> list[str]:
    return [line for line in result.outlines if line.startswith("warning: ")]


PATIENT = ("--llm-timeout-s", "5")
"""How long a provider that limits all calls is waited for."""

NAMED = "golden/capitals.yaml::france, golden/capitals.yaml::spain"


@pytest.mark.parametrize("text", [APP, ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize("fault", ["401", "404"])
def test_a_wrong_key_or_model_behind_a_fallback_is_an_error(project, server, fault, text):
    server.fault = fault
    project.app(app_text(text))
    result = project.run_here()
    assert outcomes_of(result)["error"] == 2
    assert result.ret == 1
    assert usage_in(project) == (2, 0, 2)
    assert warnings_in(result) == [f"warning: 2 model calls failed: status {fault} at loopback: {NAMED}"]
    failed = (
        f"*a model call failed and the app went on: the answer had status {fault}: *(small at loopback; *"
    )
    result.stdout.fnmatch_lines([failed, "0 model calls made, 0 replayed, 2 failed, *"])


@pytest.mark.parametrize("errors", ["warn", "allow"])
def test_a_golden_file_may_let_them_pass(project, server, errors):
    server.faults.append("401")
    project.golden(GOLDEN.format(errors=errors))
    result = project.run_here()
    assert outcomes_of(result)["passed"] == 2
    assert result.ret == 0
    assert usage_in(project) == (2, 0, 1)
    assert len(warnings_in(result)) == (errors == "warn")


UNANSWERED = (
    "no model call was answered: 2 failed, so the run says nothing of the model; check its "
    "address, key and limits (`model_errors: allow` in the golden file lets it pass)"
)


@pytest.mark.parametrize("fault", ["401", "429", "500", "cut"])
@pytest.mark.parametrize("errors", ["warn", "allow"])
def test_a_run_without_any_answer_is_an_error_unless_that_is_allowed(project, server, fault, errors):
    server.fault = fault
    project.golden(GOLDEN.format(errors=errors))
    result = project.run_here(*PATIENT)
    assert outcomes_of(result)["passed"] == 2
    assert usage_in(project) == (2, 0, 2)
    assert (UNANSWERED in result.outlines) == (errors == "warn")
    assert result.ret == (errors == "warn")


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_busy_server_for_the_whole_run_is_an_error(project, server, arguments):
    server.fault = "429"
    result = project.run_here(*PATIENT, *arguments)
    assert outcomes_of(result)["passed"] == 2
    assert UNANSWERED in result.outlines
    assert result.ret == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_a_busy_server_behind_a_fallback_warns_and_each_attempt_counts(project, server, retries):
    server.fault = "429"
    project.app(app_text(retries=retries))
    result = project.run_here(*PATIENT)
    assert outcomes_of(result)["passed"] == 2
    calls = 2 * (1 + retries)
    assert usage_in(project) == (calls, 0, calls)
    assert warnings_in(result) == [f"warning: {calls} model calls failed: status 429 at loopback: {NAMED}"]
    project.golden(GOLDEN.format(errors="fail"))
    assert outcomes_of(project.run_here(*PATIENT))["error"] == 2


@pytest.mark.parametrize("errors", ["warn", "fail"])
def test_a_call_that_is_retried_and_answered_warns(project, server, errors):
    """Under `fail`, too: nothing was lost."""
    server.faults.append("500")
    project.app(app_text(retries=2))
    project.golden(GOLDEN.format(errors=errors))
    result = project.run_here("--llm-concurrency", "1")
    assert outcomes_of(result)["passed"] == 2
    assert usage_in(project) == (3, 0, 1)
    retried = "status 500 at loopback, 1 of them answered when retried"
    assert warnings_in(result) == [f"warning: 1 model call failed: {retried}: golden/capitals.yaml::france"]
    again = project.run_here("--llm-record", "none")
    assert outcomes_of(again)["passed"] == 2
    assert usage_in(project) == (2, 2, 0)
    assert warnings_in(again) == []


def test_every_attempt_counts_in_the_budget(project, server):
    server.faults.extend(["500", "500"])
    project.app(app_text(retries=2))
    result = project.run_here("--llm-budget", "3 calls", "--llm-concurrency", "1")
    assert len(server.requests) == 3
    assert outcomes_of(result) == {"passed": 1, "failed": 0, "regressed": 0, "undecided": 0, "error": 1}
    assert usage_in(project) == (3, 0, 2)  # what was refused was not made


@pytest.mark.usefixtures("server")
def test_a_connection_that_is_refused_warns(project):
    project.environment.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    result = project.run_here()
    assert outcomes_of(result)["passed"] == 2
    assert usage_in(project) == (2, 0, 2)
    assert warnings_in(result) == [f"warning: 2 model calls failed: ConnectError at loopback: {NAMED}"]


def test_a_call_that_times_out_warns(project, server):
    server.latency_s = 2
    project.app(app_text(timeout_s=0.2))
    result = project.run_here()
    assert outcomes_of(result)["passed"] == 2
    assert warnings_in(result) == [f"warning: 2 model calls failed: ReadTimeout at loopback: {NAMED}"]


@pytest.mark.parametrize("fault", ["error_stream", "cut_stream"])
@pytest.mark.parametrize(("errors", "outcome"), [("fail", "error"), ("warn", "passed")])
def test_a_stream_that_breaks_off_is_an_error(project, server, fault, errors, outcome):
    server.fault = fault
    project.app(STREAMED)
    if errors == "warn":
        project.golden(GOLDEN.format(errors=errors))
    result = project.run_here()
    assert outcomes_of(result)[outcome] == 2
    calls = 6 if errors == "fail" else 2  # an error is tried again first
    assert usage_in(project) == (calls, 0, calls)
    failed = f"warning: {calls} model calls failed: an unusable answer at loopback: {NAMED}"
    assert warnings_in(result)[0] == failed


def test_the_calls_of_a_case_that_broke_are_counted(project, server):
    server.fault = "401"
    project.app(app_text().replace("except openai.OpenAIError", "except ZeroDivisionError"))
    result = project.run_here()
    assert outcomes_of(result)["error"] == 2
    assert usage_in(project) == (2, 0, 2)


def test_a_metric_of_tokens_does_not_pass_where_no_call_was_answered(project, server):
    server.fault = "500"
    project.golden(GOLDEN.format(errors="warn") + "    checks: {tokens: '<= 1000'}\n")
    result = project.run_here()
    assert outcomes_of(result)["error"] == 2
    result.stdout.fnmatch_lines(["*no model call was answered: 1 failed*"])


@pytest.mark.usefixtures("server")
def test_a_backend_of_the_apps_own_is_no_model(project):
    project.app(BACKEND)
    result = project.run_here()
    assert outcomes_of(result)["passed"] == 2
    assert usage_in(project) == (0, 0, 0)
    assert any(re.fullmatch(r"no model call seen, \d+\.\d s", line) for line in result.outlines)


def test_workers_report_failed_calls_once(project, server):
    server.fault = "401"
    result = project.run_here("-n", "2")
    assert outcomes_of(result)["error"] == 2
    assert usage_in(project) == (2, 0, 2)
    assert warnings_in(result) == [f"warning: 2 model calls failed: status 401 at loopback: {NAMED}"]


def test_the_command_says_the_same(project, server, monkeypatch, capsys):
    from tests.command import main

    server.fault = "429"
    monkeypatch.chdir(project.path)
    assert main(["run", "--timeout-s", "5"]) == 3
    server.fault = "401"
    assert main(["run"]) == 3
    shown = capsys.readouterr().out
    assert f"warning: 2 model calls failed: status 429 at loopback: {NAMED}" in shown
    assert f"warning: 2 model calls failed: status 401 at loopback: {NAMED}" in shown


def test_an_assertion_meets_it_too(project, server):
    server.fault = "401"
    project.write("pytest.ini", "[pytest]\nllm_app = capitals:answer\n")
    project.write("tests/test_it.py", "def test_it(llm):\n    assert llm('capital of France?').text\n")
    result = project.pytester.runpytest_inprocess("tests", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*a model call failed and the app went on: the answer had status 401*"])

"""Model calls and spans on threads of the app belong to its case; what cannot be told is an error."""

from __future__ import annotations

import json

import pytest

from tests.openai_server import OpenAIServer
from tests.plugin.varying import outcomes_of

HEAD = """
    import _thread
    import asyncio
    import contextvars
    import threading
    import time
    from concurrent.futures import Future, ThreadPoolExecutor

    import openai
    from opentelemetry import trace

    TRACER = trace.get_tracer("shop")
    SHARED = ThreadPoolExecutor(3)
    CLIENT = openai.OpenAI(max_retries=0)

    def ask(question):
        with TRACER.start_as_current_span("look", attributes={"gen_ai.tool.name": question}):
            messages = [{"role": "user", "content": question}]
            return CLIENT.chat.completions.create(model="small", messages=messages).choices[0].message.content

    def bare(question):
        done = Future()
        _thread.start_new_thread(lambda: done.set_result(ask(question)), ())
        return done.result()

    def bare_beside_others(question):
        time.sleep(0.5)  # until the others have begun
        answer = bare(question)
        time.sleep(1)  # until theirs are through
        return answer

    def by_thread(question):
        done = Future()
        thread = threading.Thread(target=lambda: done.set_result(ask(question)))
        thread.start()
        return done.result()

    def by_pool(question):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(ask, [question]))[0]

    def by_shared_pool(question):
        return SHARED.submit(ask, question).result()

    async def by_to_thread(question):
        return await asyncio.to_thread(ask, question)

    async def by_executor(question):
        return await asyncio.get_running_loop().run_in_executor(SHARED, ask, question)

    def late_in_pool(question):
        if question == "3?":
            time.sleep(1)
        else:
            SHARED.submit(lambda: (time.sleep(0.3), ask(question)))
        return question
"""
CASES = 4


@pytest.fixture
def shop(project):
    with OpenAIServer(latency_s=0.2, answer=lambda _: "good") as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        project.app(HEAD)

        def use(app: str, checks: str = "{tokens: '> 0'}") -> OpenAIServer:
            cases = "".join(f"  - {{id: c{number}, input: '{number}?'}}\n" for number in range(CASES))
            project.golden(f"app: capitals:{app}\nchecks: {checks}\ncases:\n{cases}")
            return server

        yield use


def outputs_in(project) -> dict[str, dict]:
    run = json.loads((project.path / ".llmops/runs/last.json").read_text())
    return {result["case"][-1]: result["outputs"][0] for result in run["results"]}


APPS = ["by_thread", "by_pool", "by_shared_pool", "by_to_thread", "by_executor"]


@pytest.mark.parametrize("app", APPS)
def test_calls_and_spans_on_threads_belong_to_their_case_and_are_replayed(project, shop, app):
    server = shop(app)
    assert outcomes_of(project.run_here()) == {
        "passed": CASES, "failed": 0, "regressed": 0, "undecided": 0, "error": 0,
    }  # fmt: skip
    for number, output in outputs_in(project).items():
        assert [call["name"] for call in output["tool_calls"]] == [f"{number}?"]
        assert (output["usage"]["calls"], output["usage"]["replayed"]) == (1, 0)
    result = project.run_here("--llm-record", "none")
    assert result.ret == 0
    assert all(output["usage"]["replayed"] == 1 for output in outputs_in(project).values())
    assert len(server.requests) == CASES


def test_workers_follow_threads_too(project, shop):
    server = shop("by_shared_pool")
    assert project.run_here("-n", "2").ret == 0
    assert project.run_here("-n", "2", "--llm-record", "none").ret == 0
    assert len(server.requests) == CASES


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "workers"])
def test_what_no_case_can_be_told_of_is_an_error_of_the_suite(project, shop, arguments):
    shop("bare_beside_others", "{latency_s: '<= 60'}")
    result = project.run_here(*arguments)
    assert outcomes_of(result)["error"] >= 2  # of calls and of spans, in each process
    assert outcomes_of(result)["passed"] == CASES
    assert result.ret == 1
    result.stdout.fnmatch_lines_random([
        "error: * unattributed calls: begun on a thread that knows of no case, while several ran, *",
        "error: * unattributed spans: begun on a thread that knows of no case, while several ran, *",
    ])  # fmt: skip


def test_one_case_at_a_time_everything_is_its_own(project, shop):
    shop("bare")
    result = project.run_here("--llm-concurrency", "1")
    assert (outcomes_of(result)["passed"], outcomes_of(result)["error"]) == (CASES, 0)
    assert result.ret == 0


def test_the_command_says_the_same(project, shop, monkeypatch, capsys):
    from tests.command import main

    shop("bare_beside_others", "{latency_s: '<= 60'}")
    monkeypatch.chdir(project.path)
    assert main(["run"]) == 3
    shown = capsys.readouterr().out
    assert f"{CASES} passed, 0 failed, 0 regressed, 0 undecided, 2 error" in shown
    assert "error: 4 unattributed calls: " in shown
    # The file of the run says so, too.
    assert main(["judge", ".llmops/runs/last.json"]) == 3
    assert capsys.readouterr().out.partition("next:")[0] == shown.partition("next:")[0]
    assert main(["compare", ".llmops/runs/last.json", ".llmops/runs/last.json"]) == 3


def test_a_call_that_comes_after_the_case_is_an_error_and_a_span_a_warning(project, shop):
    """The last case outlives the calls that the others leave behind."""
    shop("late_in_pool", "{latency_s: '<= 60'}")
    result = project.run_here()
    assert outcomes_of(result)["error"] == 1
    assert result.ret == 1
    result.stdout.fnmatch_lines_random([
        "error: sent after the case that began it had ended: 3 to *, so no check saw it: *",
        "3 spans were not ended when the case was over, so no check of the case saw what came after: *",
    ])  # fmt: skip


def test_what_comes_after_the_case_is_refused_where_no_call_is_made(project, shop):
    server = shop("late_in_pool", "{latency_s: '<= 60'}")
    project.run_here("--llm-record", "none")
    assert server.requests == []

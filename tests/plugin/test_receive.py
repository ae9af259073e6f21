"""`receive`: what an app's child processes and its LangSmith client say is seen by the checks of its case."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.extras import needs_pii
from tests.plugin.varying import outcomes_of

CHILD = """
    import sys
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    with provider.get_tracer("child").start_as_current_span("tool") as span:
        span.set_attribute("gen_ai.tool.name", "look")
        span.set_attribute("gen_ai.tool.call.arguments", '{"q": "%s"}' % sys.argv[1])
    provider.shutdown()
"""
APP = """
    import subprocess, sys, time
    from langsmith import traceable
    from langsmith.run_helpers import get_current_run_tree

    def by_child(question):
        subprocess.run([sys.executable, "child.py", question], check=True)
        return "good"

    @traceable(run_type="tool", name="look")
    def look(q):
        return {"found": "ann@example.com" if q == "leak" else "nothing"}

    @traceable
    def by_langsmith(question):
        look(question)
        return "good"

    def by_own_client(question):
        from langsmith import Client
        client = Client(api_url="http://127.0.0.1:9", api_key="none")
        look(question, langsmith_extra={"client": client})
        return "good"

    def by_broken(question):
        import os, urllib.request
        url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
        request = urllib.request.Request(url, b"{", {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request)
        except OSError:
            pass
        return "good"

    def unanswered(question):
        import os
        return str(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))
"""


@pytest.fixture
def shop(project):
    project.write("child.py", CHILD)
    project.app(APP)

    def use(app: str, *questions: str, checks: str = "{keywords: {all: [good]}}") -> None:
        cases = "".join(f"  - {{id: c{at}, input: {each}}}\n" for at, each in enumerate(questions))
        project.golden(f"app: capitals:{app}\nchecks: {checks}\ncases:\n{cases}")

    return use


def calls_in(project) -> dict[str, list]:
    run = json.loads((project.path / ".llmops/runs/last.json").read_text())
    return {
        result["case"][-2:]: [
            (call["name"], call["arguments"]) for call in result["outputs"][0]["tool_calls"]
        ]
        for result in run["results"]
        if result["outputs"]
    }


def test_spans_of_a_child_process_are_those_of_its_case(project, shop):
    shop("by_child", "a", "b")
    result = project.run_here("--llm-receive", "otlp", "--llm-concurrency", "1")
    assert result.ret == 0
    assert calls_in(project) == {"c0": [("look", {"q": "a"})], "c1": [("look", {"q": "b"})]}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "workers"])
def test_runs_of_cases_side_by_side_are_kept_apart(project, shop, arguments):
    questions = [f"q{number}" for number in range(6)]
    shop("by_langsmith", *questions)
    result = project.run_here("--llm-receive", "langsmith", *arguments)
    assert outcomes_of(result)["error"] == 0
    assert result.ret == 0
    assert calls_in(project) == {f"c{at}": [("look", {"q": each})] for at, each in enumerate(questions)}


@needs_pii
def test_a_leak_in_a_run_is_found(project, shop):
    shop("by_langsmith", "clean", "leak", checks="{pii_leak: none}")
    result = project.run_here("--llm-receive", "langsmith")
    assert (outcomes_of(result)["passed"], outcomes_of(result)["failed"]) == (1, 1)
    assert "ann@example" not in result.stdout.str()


def test_runs_that_go_elsewhere_are_an_error(project, shop):
    shop("by_own_client", "a")
    result = project.run_here("--llm-receive", "langsmith")
    assert result.ret == 1
    result.stdout.fnmatch_lines_random(
        ["error: 1 LangSmith run sent to 127.0.0.1:9 by a client with an address of its own, so *"]
    )


def test_a_request_that_cannot_be_read_is_an_error(project, shop):
    shop("by_broken", "a")
    result = project.run_here("--llm-receive", "otlp")
    assert result.ret == 1
    result.stdout.fnmatch_lines_random(["error: 1 trace request could not be read, so no check saw what *"])


def test_a_receiver_that_hears_nothing_of_a_run_in_time_is_an_error(project, shop, monkeypatch):
    from langsmith import Client

    from pytest_llmops.traces import capture

    monkeypatch.setattr(capture.settle, "__defaults__", (0, 0.5))
    monkeypatch.setattr(Client, "_multipart_ingest_ops", lambda *_, **__: None)
    monkeypatch.setattr(Client, "_send_compressed_multipart_req", lambda *_, **__: None)
    shop("by_langsmith", "a")
    result = project.run_here("--llm-receive", "langsmith")
    assert outcomes_of(result)["error"] == 1
    result.stdout.fnmatch_lines_random(["*2 LangSmith runs did not arrive within 0.5 s*"])


def test_off_by_default_and_a_wrong_format_is_one_line(project, shop):
    shop("unanswered", "a", checks="{keywords: {all: [None]}}")
    assert project.run_here().ret == 0
    result = project.run_here("--llm-receive", "zipkin")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--llm-receive*must be otlp or langsmith, not 'zipkin'*"])


def test_without_the_libraries_one_line_says_what_to_install(project, shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.proto", None)
    shop("by_child", "a")
    result = project.run_here("--llm-receive", "otlp")
    assert result.ret == 4
    result.stderr.fnmatch_lines(['*receive = otlp needs: pip install "pytest-llmops[[]otlp]"'])


def test_the_command_receives_too(project, shop):
    shop("by_child", "a")
    program = "import sys; from pytest_llmops.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "run", "--receive", "otlp"]
    ran = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stdout + ran.stderr


TESTS = """
    from capitals import by_broken, by_child
    import pytest

    @pytest.fixture
    def llm_app():
        return by_broken

    def test_broken(llm):
        llm("a")

    def test_after_it():
        pass
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["one process", "a worker"])
@pytest.mark.usefixtures("shop")
def test_an_ordinary_test_fails_by_what_cannot_be_read(project, arguments):
    project.write("test_own.py", TESTS)
    project.write("pyproject.toml", '[tool.pytest-llmops]\nreceive = ["otlp"]\n')
    result = project.pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments, "test_own.py")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines_random(["error: 1 trace request could not be read, so no check saw what *"])


def test_runs_of_langchain_are_those_of_their_case(project, shop):
    pytest.importorskip("langchain_core")
    project.app("""
        from langchain_core.runnables import RunnableLambda
        from langchain_core.tools import tool

        @tool
        def look(q: str) -> str:
            "Looks."
            return "found " + q

        chain = RunnableLambda(lambda q: look.invoke({"q": q}) and "good")

        async def answer(question):
            return await chain.ainvoke(question)
    """)
    shop("answer", "a", "b", "c")
    assert project.run_here("--llm-receive", "langsmith").ret == 0
    assert calls_in(project) == {f"c{at}": [("look", {"q": each})] for at, each in enumerate("abc")}


def test_tracing_that_the_environment_switches_on_is_received(shop, project):
    """Else the runs would be posted to LangSmith past every check."""
    shop("by_langsmith", "leak", checks="{pii_leak: none}")
    project.environment.setenv("LANGSMITH_TRACING", "true")
    assert outcomes_of(project.run("--llm-golden"))["failed"] == 1


def test_a_collector_on_another_machine_gets_nothing(shop, project):
    shop("unanswered", "where", checks="{keywords: {all: ['http://127.0.0.1:']}}")
    project.environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.test:4318")
    assert outcomes_of(project.run("--llm-golden"))["passed"] == 1


def test_workers_receive_what_the_environment_switches_on(shop, project):
    shop("by_langsmith", "leak", "fine", checks="{pii_leak: none}")
    project.environment.setenv("LANGSMITH_TRACING", "true")
    outcomes = outcomes_of(project.run("--llm-golden", "-n", "2"))
    assert (outcomes["failed"], outcomes["passed"]) == (1, 1)

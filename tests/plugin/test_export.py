"""`--llm-export`: masked spans and scores go to the endpoint that the environment names, and nowhere else."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.traces.decoding.otlp import read_otlp, read_protobuf
from tests.collector import Collector
from tests.extras import needs_pii
from tests.plugin.varying import outcomes_of

pytestmark = needs_pii

APP = """
    from opentelemetry import trace

    def answer(question):
        with trace.get_tracer("shop").start_as_current_span("look") as span:
            span.set_attribute("who", "ann@example.com")
            span.add_event("seen", {"by": "bob@example.com"})
        return "Paris" if "France" in question else "Lyon, says cid@example.com"
"""


@pytest.fixture
def collector(project):
    project.app(APP)
    with Collector() as collector:
        project.environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        project.environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
        project.environment.setenv("LANGSMITH_ENDPOINT", collector.url)
        project.environment.setenv("LANGSMITH_API_KEY", "own")
        yield collector


def read(posted, signal: str) -> list:
    return [
        span
        for _, path, headers, body in posted
        if path == f"/v1/{signal}"
        for span in read_otlp(
            read_protobuf(body, signal) if "protobuf" in headers["content-type"] else json.loads(body)
        )
    ]


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "workers"])
def test_scores_are_events_on_the_span_that_is_judged(project, collector, arguments):
    result = project.run_here("--llm-export", "otlp", "--llm-receive", "otlp,langsmith", *arguments)
    assert outcomes_of(result)["error"] == 0
    spans, logs = read(collector.posted, "traces"), read(collector.posted, "logs")
    roots = {span.span_id: span for span in spans if span.name == "llmops.case"}
    assert sorted(span.attributes["llmops.case"][-6:] for span in roots.values()) == [":spain", "france"]
    looks = [span for span in spans if span.name == "look"]
    assert {look.parent_id for look in looks} == set(roots)
    assert [(look.attributes["who"], look.events[0]["attributes"]["by"]) for look in looks] == [
        ("<EMAIL_ADDRESS>", "<EMAIL_ADDRESS>")
    ] * 2
    for log in logs:
        root = roots[log.parent_id]
        assert log.trace_id == root.trace_id
        assert log.name == "gen_ai.evaluation.result"
        passed = "France" in root.attributes["input.value"]
        assert log.attributes["gen_ai.evaluation.name"] == "keywords"
        assert log.attributes["gen_ai.evaluation.score.value"] == float(passed)
        assert log.attributes["gen_ai.evaluation.score.label"] == ("passed" if passed else "failed")
        assert root.attributes["eval.keywords.score"] == float(passed)
    assert len(logs) == 2
    assert all(headers["x-key"] == "a b" for _, _, headers, _ in collector.posted)
    assert not any(b"@example.com" in body for _, _, _, body in collector.posted)


def test_without_the_extra_it_is_json(project, collector, monkeypatch):
    from pytest_llmops.features.export import otlp

    monkeypatch.setattr(
        otlp, "_as_protobuf", lambda _, request: (json.dumps(request).encode(), "application/json")
    )
    project.run_here("--llm-export", "otlp")
    assert len(read(collector.posted, "traces")) == 4


def test_scores_are_feedback_on_runs_of_langsmith(project, collector):
    result = project.run_here("--llm-export", "langsmith", "--llm-receive", "langsmith")
    assert outcomes_of(result)["error"] == 0
    runs = [json.loads(body) for _, path, _, body in collector.posted if path == "/runs"]
    feedback = [json.loads(body) for _, path, _, body in collector.posted if path == "/feedback"]
    roots = {run["id"]: run for run in runs if run.get("parent_run_id") is None}
    assert [each["score"] for each in feedback] == [
        float("France" in roots[each["run_id"]]["inputs"]["input"]) for each in feedback
    ]
    assert len(runs) == 4
    assert all(run["dotted_order"].startswith(roots[run["trace_id"]]["dotted_order"]) for run in runs)
    assert not any(b"@example.com" in body for _, _, _, body in collector.posted)


@pytest.mark.parametrize("kind", ["otlp", "langsmith"])
@pytest.mark.usefixtures("collector")
def test_what_is_not_taken_is_an_error_in_one_line(project, kind):
    with Collector(status=403) as refusing:
        project.environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.url)
        project.environment.setenv("LANGSMITH_ENDPOINT", refusing.url)
        result = project.run_here("--llm-export", kind)
    assert outcomes_of(result)["error"] == 1
    result.stdout.fnmatch_lines_random([f"error: export to {kind}: 2 outputs not sent: *"])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("otlp", "*export = otlp needs the environment variable OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("langsmith", "*export = langsmith needs the environment variable LANGSMITH_API_KEY"),
    ],
)
def test_no_endpoint_is_one_line(project, monkeypatch, kind, line):
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    result = project.run_here("--llm-export", kind)
    assert result.ret == 4
    result.stderr.fnmatch_lines([line])


def test_nothing_is_sent_unless_asked_for(project, collector):
    assert project.run_here().ret == 1
    assert collector.posted == []

"""The steps of a question as runs of LangSmith, sent to a server on this machine."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from reference_app.errors import SettingsError
from reference_app.tracing import export_to, langsmith, trace, trace_guard
from reference_app.tracing.settings import TracingSettings, read_tracing_settings
from tests.collector import Collector

KEY = "walrus-key"
MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "I'm at ada@example.com"}]}]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(langsmith, "_paused_until", {})


def ask(url, target="langsmith"):
    """Leave the steps of a question whose tool fails."""
    environ = {"REFERENCE_APP_TRACING": target, "LANGSMITH_ENDPOINT": url, "LANGSMITH_API_KEY": KEY}
    settings = read_tracing_settings({**environ, "LANGSMITH_PROJECT": "support"})
    with (
        export_to(settings, conversation="t-1"),
        trace(
            "invoke_agent support", gen_ai__operation__name="invoke_agent", gen_ai__input__messages=MESSAGES
        ),
    ):
        trace_guard("redaction", "an e-mail address", decision="masked", text="ada@example.com")
        with trace("chat m", call=True, gen_ai__operation__name="chat") as step:
            step.describe({"gen_ai.usage.input_tokens": 7, "gen_ai.response.finish_reasons": ("stop",)})
        with (
            pytest.raises(KeyError),
            trace(
                "execute_tool x",
                gen_ai__operation__name="execute_tool",
                gen_ai__tool__call__arguments={"a": 1},
            ),
        ):
            raise KeyError("ada@example.com")


def read(body):
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return [span for part in request.resource_spans for scope in part.scope_spans for span in scope.spans]


def attributes(span):
    read = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        read[pair.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return read


def test_a_question_is_one_request_with_its_tree_of_runs():
    with Collector() as server:
        ask(server.url)
    ((method, path, headers, body),) = server.posted
    root, guard, chat, tool = read(body)

    assert (method, path) == ("POST", "/otel/v1/traces")
    assert (headers["x-api-key"], headers["Langsmith-Project"]) == (KEY, "support")
    assert [span.name for span in (root, guard, chat, tool)] == [
        "invoke_agent support", "guard redaction", "chat m", "execute_tool x",
    ]  # fmt: skip
    assert {span.parent_span_id for span in (guard, chat, tool)} == {root.span_id}
    assert not root.parent_span_id
    assert len({span.trace_id for span in (root, guard, chat, tool)}) == 1
    assert root.start_time_unix_nano <= chat.start_time_unix_nano <= chat.end_time_unix_nano
    assert abs(time.time_ns() - root.end_time_unix_nano) < 60e9
    kinds = [attributes(span)["langsmith.span.kind"] for span in (root, guard, chat, tool)]
    assert kinds == ["chain", "chain", "llm", "tool"]
    asked = json.loads(attributes(root)["gen_ai.prompt"])["messages"]
    assert asked[0]["parts"][0]["content"] == "I'm at [email]"
    assert attributes(chat)["langsmith.metadata.thread_id"] == "t-1"
    assert attributes(chat)["gen_ai.usage.input_tokens"] == 7
    assert attributes(chat)["gen_ai.response.finish_reasons"] == ["stop"]
    assert json.loads(attributes(tool)["gen_ai.prompt"]) == {"arguments": {"a": 1}}
    assert (tool.status.message, tool.status.code) == ("KeyError", 2)
    assert b"ada@" not in body


@pytest.mark.parametrize("target", ["opentelemetry", "none"])
def test_nothing_is_sent_unless_it_is_asked_for(target):
    with Collector() as server:
        ask(server.url, target)

    assert server.posted == []


@pytest.mark.parametrize("status", [None, 401, 500], ids=["down", "401", "500"])
def test_a_langsmith_that_fails_is_told_once_and_then_left_alone(monkeypatch, capfd, status):
    monkeypatch.setattr(langsmith, "TIMEOUT_S", 0.5)
    with Collector(status=status or 200) as server:
        url = server.url if status else "http://127.0.0.1:9"
        ask(url)
        sent, began = len(server.posted), time.monotonic()
        ask(url)

    assert time.monotonic() - began < 0.2
    assert len(server.posted) == sent
    errors = capfd.readouterr().err
    assert errors.count("\n") == errors.count("LangSmith did not take the steps") == 1
    assert KEY not in errors


@pytest.mark.parametrize("inside", [True, False])
def test_langgraphs_own_tracing_stays_off(monkeypatch, inside):
    """It would send states unmasked; outside of the app it is as the environment says."""
    from langchain_core.runnables import RunnableLambda
    from langsmith.utils import get_env_var, tracing_is_enabled

    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    seen = RunnableLambda(lambda _: tracing_is_enabled())

    with export_to(TracingSettings()) if inside else nullcontext():
        enabled = tracing_is_enabled() if not inside else seen.invoke("ada@example.com")
    monkeypatch.undo()
    get_env_var.cache_clear()

    assert bool(enabled) is not inside


def test_a_wrong_setting_is_named():
    with pytest.raises(SettingsError, match="REFERENCE_APP_TRACING is 'zipkin'"):
        read_tracing_settings({"REFERENCE_APP_TRACING": "zipkin"})

"""The spans of the app as the provider of OpenTelemetry sees them, and as the terminal draws them."""

from __future__ import annotations

import json

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reference_app.models.client import open_models
from reference_app.models.prompt import Prompt
from reference_app.settings import read_settings
from reference_app.tracing import export_to, record_steps, steps, trace, trace_guard
from reference_app.tracing.settings import TracingSettings

PROMPT = Prompt(
    name="planner", version="3.1.0", kind="planner", template="Plan.", turns=(), replies={}, sha256="0" * 64
)


@pytest.fixture
def read_spans(monkeypatch):
    """A provider that keeps spans; returns what reads them, by name."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(steps, "get_tracer", provider.get_tracer)
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


@pytest.fixture
def models(model_server):
    environ = {
        "OPENAI_BASE_URL": model_server.url,
        "OPENAI_API_KEY": "sk-test",
        "REFERENCE_APP_MODEL": "m",
        "REFERENCE_APP_EMBEDDING_MODEL": "e",
    }
    models = open_models(read_settings(environ), None)
    yield models
    models.close()


def test_a_call_tells_its_prompt_its_messages_and_its_tokens(models, read_spans):
    with export_to(TracingSettings(), conversation="t-1"), trace("planner"):
        said = models.complete(PROMPT, PROMPT.messages("Hi, ada@example.com here"), max_tokens=9, schema={})
        models.embed_query("a tent")
    spans = read_spans()

    parent, chat, embedding = (spans[name] for name in ("planner", "chat m", "embeddings e"))
    assert {chat.parent.span_id, embedding.parent.span_id} == {parent.context.span_id}
    assert chat.kind.name == "CLIENT"
    told = dict(chat.attributes)
    asked = json.loads(told.pop("gen_ai.input.messages"))
    assert [message["role"] for message in asked] == ["system", "user"]
    assert asked[1]["parts"] == [{"type": "text", "content": "Hi, [email] here"}]
    (answered,) = json.loads(told.pop("gen_ai.output.messages"))
    assert (said, answered["parts"][0]["content"]) == (
        "Echo: Hi, ada@example.com here",
        "Echo: Hi, [email] here",
    )
    assert told.pop("gen_ai.usage.input_tokens") > 0
    assert told.pop("gen_ai.usage.output_tokens") > 0
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.conversation.id": "t-1",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.seed": 0,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.output.type": "json",
        "gen_ai.prompt.name": "planner",
        "reference_app.prompt.name": "planner",
        "reference_app.prompt.version": "3.1.0",
        "reference_app.prompt.sha256": "0" * 64,
        "gen_ai.response.model": "m-served",
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert embedding.attributes["gen_ai.embeddings.dimension.count"] == 8
    assert "gen_ai.conversation.id" not in parent.attributes  # it names no operation


def test_a_failure_is_told_by_its_type_alone(models, model_server, read_spans):
    model_server.fault = "401"
    with pytest.raises(openai.AuthenticationError), trace("invoke_agent"):
        models.complete(PROMPT, PROMPT.messages("ada@example.com"), max_tokens=1)

    for span in read_spans().values():
        assert (span.attributes["error.type"], span.status.description) == ("AuthenticationError",) * 2
        assert not span.events
        assert "ada@" not in span.to_json()


def test_each_conversation_has_an_id(read_spans):
    for name in ("a", "b"):
        with export_to(TracingSettings()), trace(name, gen_ai__operation__name="invoke_agent"):
            pass
    with export_to(TracingSettings(opentelemetry=False)), trace("unseen"):
        pass

    spans = read_spans()
    assert set(spans) == {"a", "b"}
    assert len({span.attributes["gen_ai.conversation.id"] for span in spans.values()}) == 2


@pytest.mark.parametrize("opentelemetry", [True, False])
def test_steps_are_recorded_masked_and_nested_whatever_the_output(opentelemetry):
    settings = TracingSettings(opentelemetry=opentelemetry)
    with record_steps() as kept, export_to(settings), trace("one", said="to ada@example.com"):
        with pytest.raises(KeyError), trace("two"):
            raise KeyError("ada@example.com")
        trace_guard("input", "an order", text="x" * 9000)

    assert [(step.name, step.depth) for step in kept] == [("one", 0), ("two", 1), ("guard input", 1)]
    assert kept[0].attributes == {"said": "to [email]"}
    assert kept[1].attributes == {"error.type": "KeyError"}
    assert len(kept[2].attributes["reference_app.guard.text"]) == 8000
    assert all(step.end_s >= step.start_s for step in kept)

"""What the app's spans say, as whoever installs a provider sees them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reference_app
from tests.app.shop import environment

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("weights")]  # skipped where they are missing

# Answers with a provider installed and prints every span as one line of JSON.
RUN = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
import reference_app
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as threads:
    list(threads.map(reference_app.answer, sys.argv[1:]))
for span in exporter.get_finished_spans():
    print(json.dumps({
        "name": span.name, "id": span.context.span_id, "parent": span.parent and span.parent.span_id,
        "attributes": dict(span.attributes), "events": len(span.events)}))
"""
PROMPTS = Path(reference_app.__file__).parent / "prompts" / "prompts.lock"
LOCKED = {one["name"]: one["sha256"] for one in json.loads(PROMPTS.read_text("utf-8"))["prompts"]}
SECRETS = ("ada@example.com", "07700 900461", "4629 1830 5577 1940", "Ada Quimby", "ada.quimby")
DOCUMENTS = (
    "I'm Ada Quimby, ada@example.com, tel. 07700 900461, card 4629 1830 5577 1940. "
    "How heavy is the Kestrel tent?"
)


@pytest.fixture(scope="module")
def spans(shop):
    told = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", RUN, DOCUMENTS, "Where is order FW-20001?"],
        env=environment(**shop),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_spans_form_one_tree_a_question_and_name_calls_prompts_and_documents(spans):
    by_id = {span["id"]: span for span in spans}
    names = {
        (by_id[span["parent"]]["name"].split()[0] if span["parent"] else None, span["name"].split()[0])
        for span in spans
    }
    assert names == {
        (None, "invoke_agent"),
        ("invoke_agent", "guard"),
        ("invoke_agent", "intake"),
        ("invoke_agent", "planner"),
        ("invoke_agent", "retriever"),
        ("invoke_agent", "tools"),
        ("invoke_agent", "answerer"),
        ("intake", "embeddings"),
        ("planner", "chat"),
        ("retriever", "retrieval"),
        ("tools", "execute_tool"),
        ("execute_tool", "GET"),
        ("answerer", "chat"),
    }
    assert [span["parent"] for span in spans].count(None) == 2

    chats = [span["attributes"] for span in spans if span["name"].startswith("chat ")]
    assert {(chat["reference_app.prompt.name"], chat["gen_ai.operation.name"]) for chat in chats} == {
        ("adapter-planner", "chat"), ("adapter-answerer", "chat"),
    }  # fmt: skip
    for chat in chats:
        assert chat["reference_app.prompt.version"].count(".") == 2
        assert chat["gen_ai.prompt.name"] == chat["reference_app.prompt.name"]
        assert chat["reference_app.prompt.sha256"] == LOCKED[chat["gen_ai.prompt.name"]]
        assert "+adapter-" in chat["gen_ai.request.model"]
        assert chat["gen_ai.response.model"] == chat["gen_ai.request.model"]  # and not that of its base
        assert chat["gen_ai.usage.input_tokens"] > 0
        assert chat["gen_ai.usage.output_tokens"] > 0
        assert json.loads(chat["gen_ai.input.messages"])[0]["role"] == "system"
        assert json.loads(chat["gen_ai.output.messages"])[0]["parts"][0]["type"] == "text"

        assert chat["gen_ai.provider.name"] == "llama.cpp"
        assert chat["reference_app.cost_usd"] == 0
        assert json.loads(chat["gen_ai.system_instructions"])[0]["type"] == "text"
        assert chat["gen_ai.response.finish_reasons"] == ["stop"]

    roots = [span["attributes"] for span in spans if span["parent"] is None]
    for root in roots:
        assert {tool["name"] for tool in json.loads(root["gen_ai.tool.definitions"])} >= {
            "order_status",
            "query_shop",
        }
        assert json.loads(root["gen_ai.output.messages"])[0]["role"] == "assistant"
    (retrieval,) = [span["attributes"] for span in spans if span["name"] == "retrieval knowledge"]
    assert json.loads(retrieval["gen_ai.retrieval.documents"])[0]["id"] == "tents#weight"
    (tool,) = [span["attributes"] for span in spans if span["name"] == "execute_tool order_status"]
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"order_id": "FW-20001"}
    assert json.loads(tool["gen_ai.tool.call.result"])["status"] == "shipped"
    assert tool["reference_app.tool.decision"] == "allowed"
    assert re.fullmatch(r"call_[0-9a-f]{24}", tool["gen_ai.tool.call.id"])


def test_a_question_alone_is_a_conversation_of_its_own(spans):
    by_id = {span["id"]: span for span in spans}
    conversations = {}
    for span in spans:
        if "gen_ai.operation.name" not in span["attributes"]:
            assert "gen_ai.conversation.id" not in span["attributes"]
            continue
        root = span
        while root["parent"]:
            root = by_id[root["parent"]]
        conversations.setdefault(root["id"], set()).add(span["attributes"]["gen_ai.conversation.id"])

    assert [len(ids) for ids in conversations.values()] == [1, 1]
    assert len(set.union(*conversations.values())) == 2


def test_spans_hold_no_personal_data(spans):
    text = json.dumps(spans)

    assert "[email]" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_a_failure_is_told_by_its_type_alone(launch, shop):
    code = RUN.replace(
        "list(threads.map(reference_app.answer, sys.argv[1:]))",
        "threads.submit(reference_app.answer, sys.argv[1]).exception()",
    )

    output, errors = launch(
        "-c", code, "ada@example.com", **shop, OPENAI_BASE_URL="http://127.0.0.1:1/v1"
    ).communicate(timeout=60)
    spans = [json.loads(line) for line in output.splitlines()]

    assert spans, errors
    assert "ada@" not in output
    (root,) = [span for span in spans if span["parent"] is None]
    assert root["attributes"]["error.type"] == "APIConnectionError"
    assert not any(span["events"] for span in spans)
